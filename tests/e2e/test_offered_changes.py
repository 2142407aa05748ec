"""Changes that a menu offers were run before: sizes that are made to agree."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from editor import Editor, editor
from lsprotocol import types
from test_fixes_and_export import applied, place

pytestmark = pytest.mark.timeout(300)
WRONG = """import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = self.pool(self.conv(x))
        return self.fc(x)


class Called(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(12, 4)

    def forward(self, x):
        return self.fc(x)


if __name__ == "__main__":
    print(Called()(torch.rand(2, 9)))
"""


async def actions_until(
    session: Editor, uri: str, line: int, enough: Callable[[list[types.CodeAction]], object]
) -> dict[str, types.CodeAction]:
    """The actions in a line by title, once `enough` of them is true."""
    found: list[types.CodeAction] = []
    for _ in range(400):
        found = await session.actions(uri, line)
        if enough(found):
            break
        await asyncio.sleep(0.1)
    return {item.title: item for item in found}


async def test_sizes_that_disagree_are_made_to_agree(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(WRONG, encoding="utf-8")
    async with editor(tmp_path, tmp_path / "cache") as session:
        uri = session.open("net.py")
        await session.until(lambda: {"shape-mismatch", "call-mismatch"} <= set(session.codes(uri)))
        line, _ = place(WRONG, "return self.fc(x)")
        found = await actions_until(session, uri, line, lambda actions: len(actions) > 1)
        assert list(found) == ["Flatten what goes into `fc`", "Set `in_features=1` in `fc`"]
        assert [item.is_preferred for item in found.values()] == [True, False]
        call, _ = place(WRONG, "print(Called")
        others = await actions_until(session, uri, call, bool)
        assert list(others) == ["Set `in_features=9` in `fc`"]
        text = applied(applied(WRONG, others["Set `in_features=9` in `fc`"]), found["Flatten what goes into `fc`"])
        assert "self.fc(torch.flatten(x, 1))" in text
        session.replace(uri, text, 2)
        await session.until(lambda: session.codes(uri) == [])
