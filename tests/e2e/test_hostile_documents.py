"""Documents made to do harm, sent to the real server: it answers every request in time, stays small, and goes on."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import fuzzing
import pytest
from editor import Editor, capabilities, editor
from lsprotocol import types

SECONDS = 30.0
"""For all requests about one document: generous, since this is about hangs."""
MEBIBYTES = 600
GOOD = """from torch import nn


class Good(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(x)
"""
FAR = 2**31 - 1
NAMES = (
    "ten megabytes of lines",
    "ten megabytes in one line",
    "NULs",
    "a NUL in a class",
    "lone surrogates",
    "a surrogate as a name",
    "mixed line ends",
    "other line ends",
    "byte order marks",
    "deep parentheses",
    "deep indentation",
    "deep signs",
    "a long chain of calls",
    "letters of all kinds",
    "a long name",
    "classes in a circle",
)


def resident(pid: int) -> int:
    """MiB that a process had in memory at most."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) >> 10
    raise AssertionError("the server is gone")


async def ask_everything(session: Editor, uri: str) -> None:
    """Every request that an editor makes by itself, at places that are there and such that are not."""
    document = types.TextDocumentIdentifier(uri)
    client: Any = session.client
    whole = types.Range(types.Position(0, 0), types.Position(FAR, FAR))
    for line, character in ((0, 0), (1, 8), (3, 10**6), (FAR, FAR)):
        await session.hover(uri, line, character)
    await client.text_document_code_lens_async(types.CodeLensParams(document))
    await client.text_document_inlay_hint_async(types.InlayHintParams(document, whole))
    await client.text_document_code_action_async(types.CodeActionParams(document, whole, types.CodeActionContext([])))


async def test_hostile_documents_are_answered_and_the_next_one_is_served(tmp_path: Path) -> None:
    async with editor(tmp_path, tmp_path / "cache", settings={"hover": {"waitMs": 50}}) as session:
        for number, name in enumerate(NAMES):
            uri = session.open(f"hostile_{number}.py", fuzzing.HOSTILE[name]())
            began = time.monotonic()
            await asyncio.wait_for(ask_everything(session, uri), SECONDS)
            assert time.monotonic() - began < SECONDS, name
            session.client.text_document_did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri)))
        uri = session.open("good.py", GOOD)
        await session.hover_until(uri, 3, 7, "Good(x: Tensor (B, 4) float32)")
        assert resident(session.pid) < MEBIBYTES


async def test_a_workspace_of_devices_and_pipes_is_no_trap(tmp_path: Path) -> None:
    """What an archive or a repository can hold where the server looks by itself: it is not trusted, and still read."""
    work = tmp_path / "work"
    (work / "bin").mkdir(parents=True)
    (work / "buildout.cfg").touch()
    for name in ("pyproject.toml", "caller.py", "zeros.pyi", "bin/run"):
        (work / name).symlink_to("/dev/zero")
    for name in ("pipe.py", "pipe.pyi", "base.pyi", "bin/pipe"):
        os.mkfifo(work / name)
    (work / "base.py").write_text("def made(): return object\nBase = made()\n")
    source = "import zeros, pipe\nfrom base import Base\n" + GOOD + "\n\nclass Other(Base):\n    pass\n"
    async with editor(work, tmp_path / "cache", trusted=None) as session:
        uri = session.open("net.py", source)
        for line, character in ((0, 9), (1, 20), (5, 7), (14, 13)):
            assert await asyncio.wait_for(session.hover(uri, line, character), SECONDS) is not None or line < 5
        await asyncio.wait_for(ask_everything(session, uri), SECONDS)
        assert resident(session.pid) < MEBIBYTES


@pytest.mark.parametrize("encoding", list(types.PositionEncodingKind))
async def test_changes_at_places_that_are_not_there_do_not_lose_the_document(
    tmp_path: Path, encoding: types.PositionEncodingKind
) -> None:
    changes = (
        ((0, 0, 0, 0), "\n"),
        ((FAR, FAR, FAR, FAR), "# 🏳️‍🌈\n"),
        ((5, 10**6, 2, 0), ""),
        ((0, 3, 0, 1), "x"),
        ((1, 1, FAR, 0), "\r\n\ud800"),
    )
    spoken = capabilities(general=types.GeneralClientCapabilities(position_encodings=[encoding]))
    async with editor(tmp_path, tmp_path / "cache", client_capabilities=spoken) as session:
        uri = session.open("good.py", GOOD)
        for version, (place, text) in enumerate(changes, 2):
            start, end = types.Position(*place[:2]), types.Position(*place[2:])
            change = types.TextDocumentContentChangePartial(types.Range(start, end), text)
            document = types.VersionedTextDocumentIdentifier(version, uri)
            session.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))
            await asyncio.wait_for(ask_everything(session, uri), SECONDS)
        session.replace(uri, GOOD, 99)
        await session.hover_until(uri, 3, 7, "Good(x: Tensor (B, 4) float32)")
