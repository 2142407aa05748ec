"""An untrusted workspace: whatever the client asks, nothing of the workspace is run, no interpreter of it is started.

Everything in the workspace that could be run leaves a mark when it is.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from editor import Editor, editor
from lsprotocol import types

MODEL = """
{mark}
import torch
from torch import nn
from parts import Base


class Net(Base):
    def __init__(self, width=4):
        super().__init__()
        self.fc = nn.Linear(width, 2)

    def forward(self, x):
        return self.fc(x)


def main():
    print(Net()(torch.ones(1, 4)))
"""


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A workspace in which all that can be run leaves a file beside it: modules, an environment, a project file."""
    folder = tmp_path / "trap"
    marks = tmp_path / "marks"
    marks.mkdir()

    def mark(name: str) -> str:
        return f"open({str(marks / name)!r}, 'w').close()"

    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).parent}\n")
    python = folder / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\ntouch {marks / "interpreter"}\nexec {sys.executable} "$@"\n')
    python.chmod(0o700)
    (folder / ".venv" / "bin" / "python3").symlink_to("python")
    (folder / "net.py").write_text(MODEL.format(mark=mark("model")))
    (folder / "parts.py").write_text(f"{mark('import')}\nfrom torch import nn\nclass Base(nn.Module): ...\n")
    for name in ("sitecustomize", "usercustomize", "conftest", "setup"):
        (folder / f"{name}.py").write_text(mark(name))
    (folder / "pyproject.toml").write_text('[tool.ts-shape]\ninterpreter = ".venv/bin/python"\nsandbox = "off"\n')
    return folder


def marks(folder: Path) -> set[str]:
    return {path.name for path in (folder.parent / "marks").iterdir()}


async def hover(session: Editor, uri: str) -> Any:
    return await session.hover(uri, 7, 7)


async def hover_over_an_import(session: Editor, uri: str) -> Any:
    return await session.hover(uri, 4, 20)


async def export(session: Editor, uri: str) -> Any:
    answer = await session.command("tsShape.exportTorchScript", {"uri": uri, "class": "Net", "force": True})
    assert answer["ok"] is False
    assert "not trusted" in answer["message"]


async def check_workspace(session: Editor, uri: str) -> Any:
    answer = await session.command("tsShape.checkWorkspace")
    assert answer["ok"] is False
    assert "not trusted" in answer["message"]


async def restart(session: Editor, uri: str) -> Any:
    answer = await session.command("tsShape.restartAgent")
    assert answer["ok"] is False
    assert "not trusted" in answer["message"]


async def show_report(session: Editor, uri: str) -> Any:
    return await session.command("tsShape.showReport", {"uri": uri, "class": "Net"})


async def hints_lenses_and_fixes(session: Editor, uri: str) -> Any:
    document = types.TextDocumentIdentifier(uri)
    span = types.Range(types.Position(0, 0), types.Position(20, 0))
    await session.client.text_document_inlay_hint_async(types.InlayHintParams(document, span))
    await session.client.text_document_code_lens_async(types.CodeLensParams(document))
    await session.actions(uri, 7)


async def edit(session: Editor, uri: str) -> Any:
    session.replace(uri, MODEL.format(mark="open('edited', 'w')"), 2)
    await hover(session, uri)


async def another_configuration(session: Editor, uri: str) -> Any:
    session.configuration = {"interpreter": ".venv/bin/python", "sandbox": "off", "trusted": True}
    session.client.workspace_did_change_configuration(types.DidChangeConfigurationParams({"trusted": True}))
    await hover(session, uri)


PATHS: dict[str, Callable[[Editor, str], Awaitable[Any]]] = {
    path.__name__: path
    for path in (
        hover,
        hover_over_an_import,
        export,
        check_workspace,
        restart,
        show_report,
        hints_lenses_and_fixes,
        edit,
        another_configuration,
    )
}


@pytest.mark.parametrize("trusted", [None, False, "true", 1], ids=["not said", "false", "a text", "a number"])
async def test_nothing_but_true_is_trust(trap: Path, tmp_path: Path, trusted: Any) -> None:
    """All ways to have something run, one after the other, in one session."""
    async with editor(trap, tmp_path / "cache", trusted=trusted) as session:
        uri = session.open("net.py")
        for name, path in PATHS.items():
            await path(session, uri)
            assert session.children() == set(), name
        await asyncio.sleep(0.3)
        assert session.children() == set()
        assert all(getattr(status, "interpreter", None) is None for status in session.statuses)
    assert marks(trap) == set()
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").rglob("*.json"))


@pytest.mark.parametrize("setting", ["interpreter", "env", "extraPaths", "sandbox"])
async def test_a_restricted_setting_of_the_client_starts_nothing(trap: Path, tmp_path: Path, setting: str) -> None:
    value = {
        "interpreter": str(trap / ".venv" / "bin" / "python"),
        "env": {"PYTHONPATH": str(trap)},
        "extraPaths": [str(trap)],
        "sandbox": "off",
    }[setting]
    async with editor(trap, tmp_path / "cache", trusted=None, settings={setting: value}) as session:
        uri = session.open("net.py")
        await hover(session, uri)
        assert session.children() == set()
    assert marks(trap) == set()


async def test_the_same_workspace_runs_once_it_is_trusted(trap: Path, tmp_path: Path) -> None:
    """What the tests above rest on: the traps work. The model itself may not leave its mark: the sandbox sees to it."""
    async with editor(trap, tmp_path / "cache", trusted=True) as session:
        uri = session.open("net.py")
        await session.hover_until(uri, 7, 7, "Tensor")
        assert session.children()
        told = next(item for item in reversed(session.statuses) if getattr(item, "interpreter", None))
        assert told.interpreter
    assert "interpreter" in marks(trap)
