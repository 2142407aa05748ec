"""Changes that a menu offers were run before: sizes that are made to agree, annotations, shapes written down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from editor import Editor, editor
from lsprotocol import types
from test_fixes_and_export import applied, place

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


PLAIN = """import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(12, 4)

    def forward(self, x, scale=2.0):
        return self.fc(x) * scale
"""


async def test_annotations_and_shapes_are_offered_once_they_are_proven(tmp_path: Path) -> None:
    async with editor(tmp_path, tmp_path / "cache") as session:
        (tmp_path / "net.py").write_text(PLAIN, encoding="utf-8")
        uri = session.open("net.py")
        await session.until(lambda: "unannotated-input" in session.codes(uri))
        line, column = place(PLAIN, "x, scale")
        all_of = "Annotate all parameters and the result of `forward`"
        found = await actions_until(session, uri, line, lambda actions: len(rewrites(actions)) >= 4)
        assert set(rewrites(found.values())) == {
            all_of,
            "Write the shapes into the docstring of `forward`",
            "Write the shapes as comments in `forward`",
            "Pin the input: `x=(B, 12)`",
        }
        text = applied(PLAIN, found[all_of])
        assert "def forward(self, x: torch.Tensor, scale: float = 2.0) -> torch.Tensor:" in text
        at = types.Range(types.Position(line, column), types.Position(line, column))
        context = types.CodeActionContext([], [types.CodeActionKind.Refactor], types.CodeActionTriggerKind.Invoked)
        params = types.CodeActionParams(types.TextDocumentIdentifier(uri), at, context)
        here = await session.client.text_document_code_action_async(params)
        assert "Annotate `x` as Tensor" in rewrites(here or [])
        session.replace(uri, text, 2)
        await session.hover_until(uri, *place(text, "Net"), "script ✓")
        found = await actions_until(session, uri, line, lambda actions: len(rewrites(actions)) >= 3)
        assert all_of not in found


HELPERS = """import torch
from torch import nn


def scaled(x, times=2):
    return x * times


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(12, 4)

    def forward(self, x):
        return scaled(self.fc(x), 3)


class Other(nn.Module):
    def forward(self, x):
        return scaled(torch.relu(x), 4)
"""


async def test_a_function_beside_the_classes_is_annotated_from_the_runs_that_call_it(tmp_path: Path) -> None:
    async with editor(tmp_path, tmp_path / "cache") as session:
        (tmp_path / "net.py").write_text(HELPERS, encoding="utf-8")
        uri = session.open("net.py")
        line, _ = place(HELPERS, "x, times")
        all_of = "Annotate all parameters and the result of `scaled`"
        found = await actions_until(session, uri, line, lambda actions: all_of in rewrites(actions))
        text = applied(HELPERS, found[all_of])
        assert "def scaled(x: torch.Tensor, times: int = 2) -> torch.Tensor:" in text


def rewrites(actions: Iterable[object]) -> list[str]:
    """The titles of those that are no fixes."""
    return [
        item.title
        for item in actions
        if isinstance(item, types.CodeAction) and item.kind == types.CodeActionKind.RefactorRewrite
    ]


async def test_a_light_bulb_starts_no_trials(tmp_path: Path) -> None:
    async with editor(tmp_path, tmp_path / "cache") as session:
        (tmp_path / "net.py").write_text(PLAIN, encoding="utf-8")
        uri = session.open("net.py")
        await session.until(lambda: "unannotated-input" in session.codes(uri))
        line, _ = place(PLAIN, "x, scale")
        at = types.Range(types.Position(line, 4), types.Position(line, 4))
        context = types.CodeActionContext([], None, types.CodeActionTriggerKind.Automatic)
        params = types.CodeActionParams(types.TextDocumentIdentifier(uri), at, context)
        for _ in range(20):
            found = await session.client.text_document_code_action_async(params)
            assert rewrites(found or []) == []
            await asyncio.sleep(0.05)
