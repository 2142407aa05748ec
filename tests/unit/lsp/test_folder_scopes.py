"""Which folders of a window ask the same Python, with whose settings, and what is kept when folders come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ts_shape_server.lsp import scopes
from ts_shape_server.lsp.scopes import FolderScopes


class Service:
    """One that finds nothing and starts nothing."""

    def __init__(self, options: Any, on_status: Any) -> None:
        self.options, self.stopped, self.running = options, False, 0

    async def find(self) -> None:
        return None

    async def stop(self) -> None:
        self.stopped = True

    def info(self) -> dict[str, Any]:
        return {"interpreter": self.options.folders[0], "torch": None, "problem": None, "engine": None}


class Window:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scopes = FolderScopes(dict, lambda: None, lambda task: task)

    def make(self, name: str, *, environment: bool = False) -> str:
        made = self.folder / name
        made.mkdir(exist_ok=True)
        if environment:
            (made / ".venv/bin").mkdir(parents=True)
            (made / ".venv/bin/python").touch()
        return str(made)

    async def open(self, *folders: str, own: Mapping[str, Mapping[str, Any]] | None = None) -> bool:
        layers = {folder: [layer] for folder, layer in (own or {}).items()}
        changed, problems = await self.scopes.configure(folders, True, [], layers)
        assert problems == []
        return changed

    def service(self, folder: str) -> Any:
        found = self.scopes.of(folder).service
        assert found is not None
        return found


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Window:
    monkeypatch.setattr(scopes, "ProbeService", Service)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    return Window(tmp_path)


async def test_folders_that_ask_the_same_python_share_a_service(window: Window) -> None:
    first, second = window.make("first"), window.make("second")
    await window.open(first, second, own={second: {"inlayHints": "off"}})
    assert window.service(first) is window.service(second)
    assert window.scopes.of(first).workspace is window.scopes.of(second).workspace
    assert window.scopes.of(first).settings.inlay_hints == "changed"
    assert window.scopes.of(second).settings.inlay_hints == "off"


async def test_the_environment_of_a_folder_is_its_own_and_of_one_without_the_other_s(window: Window) -> None:
    first, second, bare = (
        window.make("first", environment=True),
        window.make("second", environment=True),
        window.make("bare"),
    )
    await window.open(first, second, bare)
    assert window.service(first).options.folders[0] == first
    assert window.service(second).options.folders[0] == second
    assert window.service(first) is not window.service(second)
    assert window.service(bare) is window.service(first)


async def test_other_limits_take_another_service(window: Window) -> None:
    first, second = window.make("first"), window.make("second")
    Path(second, "pyproject.toml").write_text("[tool.ts-shape]\ntimeoutMs = 1234\n")
    await window.open(first, second)
    assert window.service(first).options.limits.wall == 20
    assert window.service(second).options.limits.wall == 1.234


async def test_a_folder_that_comes_or_goes_leaves_the_others_their_service(window: Window) -> None:
    first, second = window.make("first", environment=True), window.make("second", environment=True)
    await window.open(first)
    kept = window.service(first)
    assert await window.open(first, second)
    assert window.service(first) is kept and not kept.stopped
    assert kept.options.folders == (first, second)
    gone = window.service(second)
    assert await window.open(first)
    assert window.service(first) is kept and not kept.stopped and gone.stopped
    assert not await window.open(first, own={first: {"inlayHints": "off"}})
    assert window.scopes.of(first).settings.inlay_hints == "off"


async def test_a_path_is_in_the_innermost_folder_and_what_is_in_none_asks_the_first(window: Window) -> None:
    outer = window.make("outer")
    inner, other = window.make("outer/inner"), window.make("outer2")
    await window.open(outer, inner, other)
    of = window.scopes.of
    assert of(f"{inner}/net.py").folder == inner
    assert of(f"{outer}/net.py").folder == outer
    assert of(f"{other}/net.py").folder == other
    assert of("/elsewhere/net.py").folder == outer


async def test_the_status_is_that_of_the_folder_in_front_and_of_each(window: Window) -> None:
    first, second = window.make("first", environment=True), window.make("second", environment=True)
    await window.open(first, second)
    status = window.scopes.status(f"{second}/net.py").to_json()
    assert status["interpreter"] == second
    assert [(each["path"], each["interpreter"]) for each in status["folders"]] == [(first, first), (second, second)]
    await asyncio.sleep(0)
