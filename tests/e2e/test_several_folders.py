"""Several folders in one window: each is probed with its own interpreter and shown by its own settings."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from editor import Editor, editor
from environments import made
from lsprotocol import types

NET = """import installed_here
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(installed_here.WIDTH, 3)

    def forward(self, x):
        y = self.fc(x)
        return y
"""
CLASS = 4


def folder(parent: Path, name: str, width: int = 0) -> Path:
    """A folder with a module; with a width, also with an environment, whose package says so."""
    found = parent / name
    found.mkdir(parents=True)
    (found / "net.py").write_text(NET)
    if width:
        made(found / ".venv", installed_here=f"WIDTH = {width}\n")
    return found


def of(session: Editor, where: Path) -> Any:
    """What the last status says of a folder."""
    folders = session.statuses[-1].folders if session.statuses else []
    return next((each for each in folders if each.path == str(where)), None)


def agents(session: Editor, folder: Path) -> set[int]:
    """The processes that the server itself has started with an interpreter of a folder."""
    found = set()
    for pid in session.children():
        with contextlib.suppress(OSError):
            own = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]) == session.pid
            if own and str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(pid)
    return found


async def hints(session: Editor, uri: str) -> list[str]:
    whole = types.Range(types.Position(0, 0), types.Position(99, 0))
    params = types.InlayHintParams(types.TextDocumentIdentifier(uri), whole)
    return [str(item.label) for item in await session.client.text_document_inlay_hint_async(params) or []]


async def test_each_folder_has_its_interpreter_and_its_settings(tmp_path: Path) -> None:
    first, second = folder(tmp_path, "first", 7), folder(tmp_path, "second", 11)
    settings = {first: {}, second: {"inlayHints": "off"}}
    async with editor(first, tmp_path / "cache", of_folders=settings) as session:
        here = session.open("net.py")
        there = session.open("../second/net.py", NET)
        assert "(B, 7)" in await session.hover_until(here, CLASS, 7, "script ✓")
        assert "(B, 11)" in await session.hover_until(there, CLASS, 7, "script ✓")
        assert await hints(session, here) and not await hints(session, there)
        assert of(session, first).interpreter == str(first / ".venv/bin/python")
        assert of(session, second).interpreter == str(second / ".venv/bin/python")
        await session.hover(here, CLASS, 7)
        await session.until(lambda: session.statuses[-1].interpreter == str(first / ".venv/bin/python"))
        await session.hover(there, CLASS, 7)
        await session.until(lambda: session.statuses[-1].interpreter == str(second / ".venv/bin/python"))


async def test_a_folder_that_is_added_gets_its_interpreter_and_one_that_is_removed_loses_it(tmp_path: Path) -> None:
    first, second = folder(tmp_path, "first", 7), folder(tmp_path, "second", 11)
    async with editor(first, tmp_path / "cache", of_folders={first: {}}) as session:
        here = session.open("net.py")
        await session.hover_until(here, CLASS, 7, "script ✓")
        before = agents(session, first)
        assert before
        added = types.WorkspaceFolder(second.as_uri(), second.name)
        session.of_folders[second.as_uri()] = {}
        change = types.DidChangeWorkspaceFoldersParams(types.WorkspaceFoldersChangeEvent([added], []))
        session.client.workspace_did_change_workspace_folders(change)
        await session.until(lambda: of(session, second) and of(session, second).interpreter)
        there = session.open("../second/net.py", NET)
        assert "(B, 11)" in await session.hover_until(there, CLASS, 7, "script ✓")
        assert agents(session, second)
        change = types.DidChangeWorkspaceFoldersParams(types.WorkspaceFoldersChangeEvent([], [added]))
        session.client.workspace_did_change_workspace_folders(change)
        await session.until(lambda: of(session, second) is None)
        await session.until(lambda: not agents(session, second))
        assert "(B, 7)" in await session.hover_until(here, CLASS, 7, "script ✓")
        # The first folder is asked as before: its agent has not been started anew.
        assert before <= agents(session, first)
