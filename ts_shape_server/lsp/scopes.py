"""The folders of a window: each has settings of its own, and asks the Python that is found for it.

Folders for which the same interpreter is tried first, with the same limits, share a service and its agents. Knows no
document and no LSP type; what a folder's settings mean is for those who ask for them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import platformdirs

from ts_shape_server.probing.interpreter import candidates
from ts_shape_server.probing.service import Options, ProbeService
from ts_shape_server.project import options, project_settings
from ts_shape_server.settings import Settings, parse
from ts_shape_server.workspace import Workspace

UNTRUSTED = (
    "This workspace is not trusted, so none of its code is run: trust it in the editor, "
    "or start the server with --trust-workspace."
)
Layers = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Status:
    """What the status item of an editor shows of a folder."""

    interpreter: str | None
    torch: str | None
    tier: str | None
    running: int
    message: str
    engine: str | None = None


@dataclass(frozen=True)
class WindowStatus:
    """That of the folder of the file that a person is at, and that of each folder by its path."""

    front: Status
    folders: Mapping[str, Status]

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self.front),
            "folders": [{"path": path, **asdict(each)} for path, each in self.folders.items()],
        }


@dataclass(frozen=True)
class _Asked:
    """What decides which interpreter is found for a folder, and how it is used. `first` is tried before others."""

    options: Options
    first: str
    trusted: bool


@dataclass
class FolderScope:
    """One folder; `folder` is empty where the window has none. There is no service before the workspace is trusted.

    `found` is done once the interpreter is known, and with it the packages that base classes may come from.
    """

    folder: str
    settings: Settings
    workspace: Workspace
    asked: _Asked | None = None
    service: ProbeService | None = None
    found: asyncio.Task[None] | None = None

    def status(self) -> Status:
        if self.service is None:
            trusted = self.asked is None or self.asked.trusted
            return Status(None, None, None, 0, "" if trusted else UNTRUSTED)
        info = self.service.info()
        sandbox = info.get("sandbox")
        tier = sandbox.get("tier") if isinstance(sandbox, Mapping) else None
        running, message = self.service.running, info["problem"] or ""
        return Status(info["interpreter"], info["torch"], tier, running, message, info["engine"])


class FolderScopes:
    """Those of one session. `overlays` gives the texts of the open files, `keep` holds a task until it is done."""

    def __init__(
        self,
        overlays: Callable[[], Mapping[str, str]],
        on_status: Callable[[], None],
        keep: Callable[[asyncio.Task[None]], asyncio.Task[None]],
    ) -> None:
        self.folders: tuple[str, ...] = ()
        self._overlays, self._on_status, self._keep = overlays, on_status, keep
        self._scopes = [FolderScope("", Settings(), Workspace((), overlays))]

    def of(self, path: str = "") -> FolderScope:
        """That of the innermost folder around a path; the first for what is in none."""
        if len(self._scopes) == 1:
            return self._scopes[0]
        around = [scope for scope in self._scopes if path == scope.folder or path.startswith(scope.folder + os.sep)]
        return max(around, key=lambda scope: len(scope.folder), default=self._scopes[0])

    def services(self) -> list[ProbeService]:
        """Each once."""
        return list({id(each.service): each.service for each in self._scopes if each.service is not None}.values())

    def workspaces(self) -> list[Workspace]:
        """Each once."""
        return list({id(each.workspace): each.workspace for each in self._scopes}.values())

    def status(self, front: str) -> WindowStatus:
        """`front` is the path of the file that a person is at."""
        folders = {each.folder: each.status() for each in self._scopes if each.folder}
        return WindowStatus(self.of(front).status(), folders)

    async def configure(
        self, folders: Sequence[str], trusted: bool, layers: Layers, own: Mapping[str, Layers]
    ) -> tuple[bool, list[str]]:
        """Take the folders and their settings: for each, its project file's, then `layers`, then its `own` ones. What
        is asked as before keeps its service. Gives whether another service or another set of folders is used now, and
        what was wrong with the settings.
        """
        before, self.folders = self._scopes, tuple(folders)
        made, problems = await asyncio.to_thread(self._read, trusted, layers, own)
        changed = [(each.folder, each.asked) for each in before] != [(each.folder, each.asked) for each in made]
        earlier, self._scopes = self.services(), made
        for number, scope in enumerate(made):
            alike = next((each for each in made[:number] if each.asked == scope.asked), None)
            if alike is not None:
                scope.service, scope.workspace, scope.found = alike.service, alike.workspace, alike.found
            elif trusted and scope.found is None:
                self._begin(scope)
        kept = self.services()
        await asyncio.gather(*(service.stop() for service in earlier if service not in kept))
        return changed, problems

    def _read(self, trusted: bool, layers: Layers, own: Mapping[str, Layers]) -> tuple[list[FolderScope], list[str]]:
        """A scope for each folder, with the service and the workspace of an earlier one that asks the same."""
        made: list[FolderScope] = []
        problems: list[str] = []
        for folder in self.folders or ("",):
            project, found = project_settings(folder) if folder else ({}, ())
            settings, wrong = parse(project, *layers, *own.get(folder, ()))
            problems += [*found, *wrong]
            around = _around(folder, self.folders)
            asked = _Asked(options(settings, (), None), _first(settings.interpreter, around), trusted)
            scope = FolderScope(folder, settings, Workspace(around, self._overlays), asked)
            earlier = next((each for each in self._scopes if each.asked == asked), None)
            if earlier is not None:
                scope.service = earlier.service
                if earlier.workspace.folders == scope.workspace.folders:
                    scope.workspace, scope.found = earlier.workspace, earlier.found
            made.append(scope)
        return made, problems

    def _begin(self, scope: FolderScope) -> None:
        """Have a service look for its interpreter: a new one, or the one that the folders have asked before."""
        around = _around(scope.folder, self.folders)
        if scope.service is None:
            cache = Path(platformdirs.user_cache_dir("ts-shape-server")) / "reports"
            scope.service = ProbeService(options(scope.settings, around, cache), self._on_status)
        else:
            scope.service.options = replace(scope.service.options, folders=around)
        scope.found = self._look_for(scope.service, scope.workspace)

    def _look_for(self, service: ProbeService, workspace: Workspace) -> asyncio.Task[None]:
        return self._keep(asyncio.ensure_future(self._find(service, workspace)))

    async def _find(self, service: ProbeService, workspace: Workspace) -> None:
        """What the store has needs to know the interpreter, and not to wait until that has loaded torch. Of several
        interpreters those load it at once whose folders have a file open.
        """
        found = await service.find()
        if found is not None:
            if len(self.services()) == 1 or any(self.of(path).service is service for path in self._overlays()):
                self._keep(asyncio.ensure_future(service.start()))
            await asyncio.to_thread(workspace.use_environment, found.path)
        self._on_status()

    async def restart(self) -> str:
        """End all agents and look for the interpreters anew; what is wrong with one, empty where nothing is."""
        services = self.services()
        await asyncio.gather(*(service.restart() for service in services))
        for service in services:
            alike = [scope for scope in self._scopes if scope.service is service]
            found = self._look_for(service, alike[0].workspace)
            for scope in alike:
                scope.found = found
        problems = [service.problem.message for service in services if service.problem is not None]
        return next(iter(problems), "")

    async def stop(self) -> None:
        """End every process."""
        services = self.services()
        for scope in self._scopes:
            scope.service = None
        await asyncio.gather(*(service.stop() for service in services))


def _first(setting: str | None, around: Sequence[str]) -> str:
    """The interpreter that is tried first for the first of these folders."""
    return next(candidates(setting, around, os.environ)).path


def _around(folder: str, folders: Sequence[str]) -> tuple[str, ...]:
    """The folders of a window as one of them sees them: itself first, since an environment or a file of its own goes
    before that of another.
    """
    return (folder, *(other for other in folders if other != folder)) if folder else ()
