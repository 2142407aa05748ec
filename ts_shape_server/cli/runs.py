"""Probing without an editor: files from the command line, one service for all of them, settings from flags.

Whoever starts a command on a file has chosen to run it, so there is no question of trust here.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

from ts_shape_server.cli.formats import shown_path
from ts_shape_server.contract import wire
from ts_shape_server.contract.report import Report
from ts_shape_server.features import words
from ts_shape_server.probing.service import FileRequest, ProbeService
from ts_shape_server.project import options, project_settings
from ts_shape_server.settings import Settings, parse
from ts_shape_server.workspace import Snapshot, Workspace, every_source


class CommandProblem(Exception):
    """The command cannot run; the text is one sentence for the person who started it."""


class Unreadable(CommandProblem):
    """One file cannot be read; others may well be."""


def tell(message: str) -> None:
    """One sentence to standard error."""
    print(wire.printable(message), file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Target:
    """A file, and one class of it if the command names one."""

    path: str
    class_name: str | None = None


@dataclass(frozen=True)
class Probed:
    """What came of one file."""

    snapshot: Snapshot
    request: FileRequest
    reports: tuple[Report, ...]


def target(text: str) -> Target:
    """``FILE`` or ``FILE:CLASS``."""
    path, name = Path(text), None
    if not path.is_file() and ":" in text:
        left, _, right = text.rpartition(":")
        path, name = Path(left), right
    if path.is_dir():
        raise CommandProblem(
            f"{text} is a folder: name a file of it, or FILE:CLASS. `check {text}` goes through all of it."
        )
    if not path.is_file():
        raise CommandProblem(f"There is no file {path}.")
    return Target(str(path.resolve()), name)


def must_parse(item: Target, snapshot: Snapshot) -> None:
    """CommandProblem for a file that cannot be read as Python, with the line of its first syntax error."""
    if snapshot.classes.syntax_error is not None:
        where, what = snapshot.classes.syntax_error
        raise CommandProblem(f"{shown_path(item.path)} has a syntax error in line {where.line}: {what.rstrip('.')}.")


def must_have(item: Target, names: list[str]) -> None:
    if item.class_name is not None and item.class_name not in names:
        there = f"; it has {words.listed(names)}" if names else ""
        raise CommandProblem(f"There is no nn.Module {item.class_name} in {shown_path(item.path)}{there}.")


def no_module(targets: Sequence[Target]) -> CommandProblem:
    """That none of the files has a class to report on."""
    names = list(dict.fromkeys(shown_path(item.path) for item in targets))
    return CommandProblem(f"There is no nn.Module in {words.listed(names)}.")


def python_files(paths: Sequence[str]) -> list[str]:
    """The files named, and those in the folders named."""
    found: list[str] = []
    for text in paths:
        path = Path(text).resolve()
        if path.is_dir():
            found.extend(every_source(str(path)))
        elif path.is_file():
            found.append(str(path))
        else:
            raise CommandProblem(_not_there(text))
    if not found:
        raise CommandProblem(f"There are no Python files in {' and '.join(paths)}.")
    return list(dict.fromkeys(found))


def _not_there(text: str) -> str:
    """Why nothing of this name can be checked: it does not exist, or it names a class."""
    left, colon, _ = text.rpartition(":")
    if colon and Path(left).is_file():
        return f"`check` takes files and folders, not {text}: for one class there is `show {text}`."
    return f"There is no file or folder {text}."


class Runner:
    """Async context: a service that knows its interpreter on entry and leaves no process behind.

    The workspace is the folders named, or the repositories around them and the files; the first has the settings.
    `jobs` is how many probes run at once where nothing else is said.

    An agent is started by the first question that the store cannot answer.
    """

    def __init__(
        self, flags: Mapping[str, Any], near: Sequence[str], on_problem: Callable[[str], None], jobs: int = 1
    ) -> None:
        alone = Workspace(())
        every = dict.fromkeys(alone.root_of(str(Path(path).resolve())) for path in near)
        roots = tuple(root for root in every if not any(Path(other) in Path(root).parents for other in every))
        self.settings, problems = _settings(roots[0], flags, jobs)
        self.workspace = Workspace(roots)
        for problem in problems:
            on_problem(problem)
        cache = Path(platformdirs.user_cache_dir("ts-shape-server")) / "reports"
        # Nobody looks at one of the files: a class that made way for another would only be probed twice.
        self.service = ProbeService(replace(options(self.settings, roots, cache), preempts=False))

    async def __aenter__(self) -> Runner:
        found = await self.service.find()
        if found is not None:
            await asyncio.to_thread(self.workspace.use_environment, found.path)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.service.stop()

    def must_probe(self) -> None:
        """Raises `CommandProblem` where there is no interpreter to probe with, or no agent that starts in it."""
        if self.service.problem is not None:
            raise CommandProblem(self.service.problem.message)

    async def snapshot(self, path: str) -> Snapshot:
        text = self.workspace.text(path)
        if text is None:
            raise Unreadable(f"{path} cannot be read, or is too large.")
        return await asyncio.to_thread(self.workspace.snapshot, path, text)

    async def probe(
        self,
        snapshot: Snapshot,
        names: Iterable[str] | None = None,
        init: Mapping[str, str] | None = None,
        inputs: Mapping[str, str] | None = None,
        on_report: Callable[[Report], None] = lambda report: None,
    ) -> Probed:
        """Final reports of these classes; `init` and `inputs` say more than the file's own comments."""
        request = await asyncio.to_thread(self.workspace.request, snapshot, None if names is None else list(names))
        if init or inputs:
            classes = tuple(item.pinned(init or {}, inputs or {}) for item in request.classes)
            request = replace(request, classes=classes)
        reports = await self.service.reports(request, on_report)
        self.must_probe()
        return Probed(snapshot, request, reports)


def cores() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _settings(root: str, flags: Mapping[str, Any], jobs: int) -> tuple[Settings, tuple[str, ...]]:
    project, problems = project_settings(root)
    settings, found = parse({"jobs": jobs}, project, {key: value for key, value in flags.items() if value is not None})
    return settings, (*problems, *found)
