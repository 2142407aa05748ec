"""The command ``fix``: rewrites that were tried, as a unified diff, as JSON, or written into the files.

A file is written only over what was read from it, in its own encoding, and whole: what cannot be written stays as it
is.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from ts_shape_server import reading
from ts_shape_server.analysis.rewrites import LEAVES, SIGNATURE
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.cli.formats import shown_path
from ts_shape_server.cli.runs import (
    CommandProblem,
    Probed,
    Runner,
    Target,
    must_have,
    must_parse,
    no_module,
    target,
    tell,
)
from ts_shape_server.contract import schema, wire
from ts_shape_server.contract.report import SCHEMA, Failure, Report
from ts_shape_server.features import words
from ts_shape_server.features.hover import script_state
from ts_shape_server.probing.requests import Trial
from ts_shape_server.repair import Repaired, edits_between, moved, repair_file, scripts
from ts_shape_server.workspace import encoding_of


@dataclass(frozen=True)
class FileFix:
    """What the repair of one file came to: its text before and after, the reports, and how each class ended.

    `ends` has no entry for a class that could not be run.
    """

    path: str
    source: SourceText
    text: str
    reports: tuple[Report, ...]
    ends: Mapping[str, Repaired]

    @property
    def left(self) -> int:
        """How many classes do not script."""
        ends = [self.ends.get(report.name) for report in self.reports if report.status != "skipped"]
        return sum(made is None or not made.whole for made in ends)

    def end(self, report: Report, written: bool) -> Repaired | None:
        """How a class ended, with what is left at the lines of the file as it is on disk."""
        made = self.ends.get(report.name)
        if made is None:
            return None
        there = self.text if written else self.source.text
        left = moved(made.state.script.failures, self.path, made.text, there)
        return replace(made, state=replace(made.state, script=replace(made.state.script, failures=left)))

    def to_json(self, written: bool) -> dict[str, Any]:
        """The file's line of ``fix --json``; ranges of the edits are those of the text before."""
        changes = edits_between(self.source.text, self.text)
        edits = [schema.write(edit) for edit in changes]
        classes = [_class_to_json(report, self.end(report, written)) for report in self.reports]
        return {"schema": SCHEMA, "path": self.path, "written": written, "edits": edits, "classes": classes}


def _class_to_json(report: Report, made: Repaired | None) -> dict[str, Any]:
    """What was fixed in a class and what is left; `scripts` before and after is null where the class was not run."""
    return {
        "class": report.name,
        "line": report.line,
        "status": report.status,
        "reason": None if report.reason is None else schema.write(report.reason),
        "scripts": None if made is None else {"before": scripts(report.torchscript), "after": made.whole},
        "archive": "" if made is None else made.state.script.archive,
        "fixed": [] if made is None else [{"id": item.id, "title": item.title} for item in made.changes],
        "left": [] if made is None or made.whole else [schema.write(item) for item in made.state.script.failures],
        "left_to_python": made is not None and made.leaves,
        "changes_interface": made is not None and made.interface,
    }


async def fix(options: argparse.Namespace, flags: Mapping[str, Any]) -> int:
    """Repair the classes named; 1 if one of them still does not script, 2 if a file could not be read or written."""
    targets = [target(item) for item in options.files]
    deliver = _deliver_json if options.json else _deliver_text
    left = found = 0
    failed = False
    async with Runner(flags, [item.path for item in targets], tell) as runner:
        runner.must_probe()
        for item in targets:
            try:
                made = await _file(runner, item, options.seconds, LEAVES if options.leave_to_python else SIGNATURE)
                found += len(made.reports)
                left += made.left
                deliver(made, options.write)
            except CommandProblem as problem:
                runner.must_probe()
                tell(str(problem))
                failed = True
    if failed:
        return 2
    if not found:
        raise no_module(targets)
    if left and not options.json:
        tell(f"{words.many(left, 'class', 'classes')} still {'does' if left == 1 else 'do'} not script.")
    return 1 if left else 0


async def _file(runner: Runner, item: Target, seconds: float, deepest: int) -> FileFix:
    """Repair one file, in memory."""
    snapshot = await runner.snapshot(item.path)
    must_parse(item, snapshot)
    must_have(item, [module.name for module in snapshot.modules])
    with _progress(shown_path(item.path)) as show:
        show("running its classes")
        probed = await runner.probe(snapshot, [item.class_name] if item.class_name else None)
        text, ends = await _repaired(runner, probed, seconds, deepest, show)
    return FileFix(item.path, snapshot.source, text, probed.reports, ends)


async def _repaired(
    runner: Runner, probed: Probed, seconds: float, deepest: int, show: Callable[[str], None]
) -> tuple[str, dict[str, Repaired]]:
    tried = 0

    async def attempt(report: Report, text: str) -> Trial:
        nonlocal tried
        tried += 1
        show(f"{report.name}, change {tried} is tried")
        return await runner.service.trial(probed.request, report.name, report, text)

    async def reports_of(names: Sequence[str]) -> Sequence[Report]:
        show(f"running {words.listed(names)}, which the change reaches")
        return (await runner.probe(probed.snapshot, names)).reports

    return await repair_file(probed.snapshot.source.text, probed.reports, attempt, seconds, reports_of, deepest)


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Callable[[str], None]]:
    """A line on a terminal that says what is being done; what it yields changes it."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    with Console(stderr=True).status(name) as status:
        yield lambda text: status.update(f"{name}: {text}")


def _tell_of_no_run(report: Report) -> None:
    """Why nothing was looked for."""
    if report.status != "skipped":
        reason = report.reason.message if report.reason is not None else report.status
        tell(f"{report.name} is left as it is, since it could not be run: {reason}")


def _tell_of(made: Repaired, report: Report) -> None:
    """What was done to a class, and what remains."""
    for title in made.titles:
        tell(f"{report.name}: {title}.")
    if made.whole and not made.state.script.proven:
        tell(f"{report.name} {script_state(made.state.script, 'script')}.")
    for failure in made.state.script.failures if not made.whole else ():
        tell(f"{report.name} still fails{_place(failure, report.path)}: {failure.message}")


def _place(failure: Failure, path: str) -> str:
    """Where a failure is, with the file if it is another one."""
    if failure.location is None:
        return ""
    line = f"line {failure.location.range.line}"
    there = failure.location.path
    return f" ({line})" if there == path else f" ({shown_path(there)}, {line})"


def _deliver_json(made: FileFix, write: bool) -> None:
    """One line of JSON, once the file is written where it is to be."""
    changed = made.text != made.source.text
    if write and changed:
        _write(made.source.text, made.text, Path(made.path))
    print(json.dumps(made.to_json(written=write and changed), ensure_ascii=False), flush=True)


def _deliver_text(made: FileFix, write: bool) -> None:
    """Sentences for each class on standard error, and the diff on standard output or the file written."""
    for report in made.reports:
        end = made.end(report, write)
        if end is None:
            _tell_of_no_run(report)
        elif not scripts(report.torchscript):
            _tell_of(end, report)
    if made.text == made.source.text:
        return
    if write:
        _write(made.source.text, made.text, Path(made.path))
        tell(f"{shown_path(made.path)} is written.")
        return
    _print_diff(made)


def _print_diff(made: FileFix) -> None:
    shown = shown_path(made.path).lstrip("/")
    before, after = made.source.text.splitlines(True), made.text.splitlines(True)
    lines = difflib.unified_diff(before, after, f"a/{shown}", f"b/{shown}")
    text = "".join(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)
    if sys.stdout.isatty():
        print(wire.printable(text), end="")
        return
    sys.stdout.flush()
    # The bytes as they are: a diff of lines that end otherwise would not apply to the file.
    encoding = encoding_of(reading.data(made.path, wire.MAXIMUM_FRAME)).removesuffix("-sig")
    sys.stdout.buffer.write(text.encode(encoding, "replace"))
    sys.stdout.buffer.flush()


def _write(before: str, after: str, path: Path) -> None:
    """In the encoding that the file has, only over what was read from it, and as a whole or not at all."""
    shown = shown_path(str(path))
    try:
        data = reading.data(path, wire.MAXIMUM_FRAME)
        encoding = encoding_of(data)
        if data.decode(encoding) != before:
            raise CommandProblem(f"{shown} is not written: it has changed since it was read.")
        if not os.access(path, os.W_OK):
            raise CommandProblem(f"{shown} cannot be written: it is read-only.")
        _replace(path.resolve(), after.encode(encoding))
    except UnicodeError:
        raise CommandProblem(f"{shown} is not written: not all of it is text in its encoding.") from None
    except OSError as error:
        raise CommandProblem(f"{shown} cannot be written: {error.strerror or error}.") from None


def _replace(path: Path, data: bytes) -> None:
    """The new content beside the file first, so that a full disk costs nothing."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        shutil.copymode(path, name)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
