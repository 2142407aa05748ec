"""What is told of saved files whose paths stand in the source: each is inspected once, and anew when it has changed.

A hover never waits for longer than the settings say; an inspection that takes longer goes on, for the next hover.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ts_shape_server.features import hover
from ts_shape_server.probing.requests import Inspection
from ts_shape_server.probing.service import ProbeService

if TYPE_CHECKING:
    from ts_shape_server.lsp.session import EditorSession

MOST = 32
"""Inspections that are remembered."""
State = tuple[str, int, int]
"""A path, the size of its file in bytes, and when that was changed, in nanoseconds."""


class SavedFiles:
    """Inspections by the state of the file, those under way among them."""

    def __init__(self) -> None:
        self._asked: dict[State, asyncio.Task[Inspection]] = {}

    async def told(self, session: EditorSession, source: str, name: str, wait: float) -> str | None:
        """Markdown for the file that `name` means in `source`; None while nothing may be run, or there is no name."""
        service = session.scope(source).service
        if service is None or not session.trusted or not name:
            return None
        path = place(name, source, session.scopes.folders)
        if path is None:
            return hover.no_saved_file(name)
        task = self._task(session, service, path)
        done, _ = await asyncio.wait({task}, timeout=max(wait, 0.2))
        if not done:
            return hover.reading_saved_file(name)
        if task.cancelled() or task.exception() is not None:
            return None
        return hover.saved_file(task.result())

    def _task(self, session: EditorSession, service: ProbeService, path: Path) -> asyncio.Task[Inspection]:
        status = path.stat()
        state = (str(path), status.st_size, status.st_mtime_ns)
        known = self._asked.get(state)
        if known is None or (known.done() and (known.cancelled() or known.exception() is not None)):
            known = self._asked[state] = session.keep(asyncio.ensure_future(service.inspect(path)))
            for old in list(self._asked)[:-MOST]:
                self._asked.pop(old)
        return known


def place(name: str, source: str, folders: Sequence[str]) -> Path | None:
    """What a path in the text of `source` means: as it stands, beside that file, or below a folder; files first."""
    candidates = [base / name for base in (Path(source).parent, *map(Path, folders))]
    try:
        files = (path for path in candidates if path.is_file())
        return next(files, None) or next((path for path in candidates if path.exists()), None)
    except (OSError, ValueError):
        return None
