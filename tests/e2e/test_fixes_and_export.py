"""Fixes that were tried before they are offered, and exports that load."""

from __future__ import annotations

import asyncio
import collections
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from editor import Editor, editor
from lsprotocol import types

from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range, TextEdit

START = Path(__file__).parents[1] / "workspaces" / "start"
UNANNOTATED = """import torch
from torch import nn


class Summed(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, xs):
        total = torch.zeros(1, 4)
        for x in xs:
            total = total + x
        return self.fc(total)


def main():
    model = Summed()
    return model([torch.rand(3, 4), torch.rand(3, 4)])
"""


def applied(text: str, action: types.CodeAction) -> str:
    """The text with the action's edit made, as an editor that counts in UTF-16 makes it."""
    assert action.edit is not None
    source = SourceText(text)
    edits: list[TextEdit] = []
    for change in action.edit.document_changes or []:
        assert isinstance(change, types.TextDocumentEdit)
        for edit in change.edits:
            assert isinstance(edit, types.TextEdit)
            start = source.from_client(edit.range.start.line, edit.range.start.character, "utf-16")
            end = source.from_client(edit.range.end.line, edit.range.end.character, "utf-16")
            edits.append(TextEdit(Range(*start, *end), edit.new_text))
    return source.apply(edits)


async def offered(session: Editor, uri: str, line: int) -> list[types.CodeAction]:
    """The actions in a line once the trials of fixes are done."""
    for _ in range(400):
        found = await session.actions(uri, line)
        if any(item.kind == types.CodeActionKind.QuickFix for item in found):
            return found
        await asyncio.sleep(0.1)
    return []


async def test_a_fix_is_offered_applied_and_found_clean(tmp_path: Path) -> None:
    async with editor(tmp_path, tmp_path / "cache") as session:
        (tmp_path / "summed.py").write_text(UNANNOTATED, encoding="utf-8")
        uri = session.open("summed.py")
        await session.until(lambda: "unannotated-input" in session.codes(uri))
        line = next(item.range.start.line for item in session.diagnostics(uri) if item.code == "unannotated-input")
        actions = await offered(session, uri, line)
        fix = next(item for item in actions if item.is_preferred)
        assert fix.title == "Annotate `xs` as List[Tensor]"
        assert fix.diagnostics
        assert any(item.kind == "source.fixAll.tsShape" for item in actions)
        only = await session.actions(uri, 0, ["source.fixAll"])
        assert [item.kind for item in only] == ["source.fixAll.tsShape"]
        text = applied(UNANNOTATED, fix)
        assert "xs: List[" in text or "xs: list[" in text
        session.replace(uri, text, 2)
        await session.hover_until(uri, *place(text, "Summed"), "script ✓")
        await session.until(lambda: session.codes(uri) == [])
        assert await session.actions(uri, line, ["quickfix", "source"]) == []


TWO = """from torch import nn


def scaled(x, times=2):
    return x * times


class First(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])

    def forward(self, x):
        for i in range(len(self.layers)):
            x = self.layers[i](x)  # each
        return x


class Second(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        return scaled(self.fc(x))
"""
REPAIRED = TWO.replace("times=2", "times: int = 2").replace(
    "for i in range(len(self.layers)):\n            x = self.layers[i](x)",
    "for layer in self.layers:\n            x = layer(x)",
)


async def test_single_fixes_stand_at_their_refusals_and_fix_all_repairs_every_class(tmp_path: Path) -> None:
    async with editor(tmp_path, tmp_path / "cache") as session:
        (tmp_path / "two.py").write_text(TWO, encoding="utf-8")
        uri = session.open("two.py")
        line, _ = place(TWO, "x = self.layers[i](x)")
        single = next(item for item in await offered(session, uri, line) if item.kind == "quickfix")
        assert single.title == "Loop over `self.layers`"
        assert [item.code for item in single.diagnostics or []] == ["script-error"]
        assert applied(TWO, single) == REPAIRED.replace("times: int = 2", "times=2")
        every: list[types.CodeAction] = []
        for _ in range(400):
            every = await session.actions(uri, 0, ["source.fixAll.tsShape"])
            if every and applied(TWO, every[0]) == REPAIRED:
                break
            await asyncio.sleep(0.1)
        assert applied(TWO, every[0]) == REPAIRED
        session.replace(uri, REPAIRED, 2)
        await session.until(lambda: session.codes(uri) == [])
        for name in ("First", "Second"):
            await session.hover_until(uri, *place(REPAIRED, f"{name}(nn.Module)"), "script ✓")


def place(text: str, words: str) -> tuple[int, int]:
    number = next(number for number, line in enumerate(text.split("\n")) if words in line)
    return number, text.split("\n")[number].index(words)


async def test_an_export_is_made_verified_and_loads(tmp_path: Path) -> None:
    async with editor(START, tmp_path / "cache") as session:
        uri = session.open("simple_cnn.py")
        argument: dict[str, Any] = {"uri": uri, "class": "SimpleCNN", "output": str(tmp_path / "net.pt")}
        answer = await session.command("tsShape.exportTorchScript", argument)
        assert answer["ok"], answer
        assert answer["path"] == str(tmp_path / "net.pt")
        kinds = [item.value["kind"] if isinstance(item.value, dict) else item.value.kind for item in session.progress]
        assert kinds[0] == "begin"
        assert kinds[-1] == "end"
        code = "import sys, torch; print(tuple(torch.jit.load(sys.argv[1])(torch.rand(5, 3, 28, 28)).shape))"
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, answer["path"]], capture_output=True, text=True, check=True
        )
        assert run.stdout.strip() == "(5, 10)"
        again = await session.command("tsShape.exportTorchScript", argument)
        assert (again["ok"], again["exists"]) == (False, True)
        forced = await session.command("tsShape.exportTorchScript", {**argument, "force": True})
        assert forced["ok"], forced


NETS = """import torch
from torch import nn


class Plain(nn.Module):
    def __init__(self, width=5):
        super().__init__()
        self.fc = nn.Linear(3, width)

    def forward(self, x):
        return self.fc(x)


class Branch(nn.Module):
    def __init__(self):
        super().__init__()
        self.sign = lambda value: -value

    def forward(self, x):
        return x if x.sum() > 0 else self.sign(x)


class Unbuilt(nn.Module):
    def __init__(self):
        super().__init__()
        raise RuntimeError("the weights are elsewhere")

    def forward(self, x):
        return x
"""
SCRIPT, PROGRAM = "tsShape.exportTorchScript", "tsShape.exportProgram"
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (SCRIPT, {"class": "Plain", "output": "folder"}, "is a folder"),
    (PROGRAM, {"class": "Plain", "output": "folder"}, "is a folder"),
    (SCRIPT, {"class": "Plain", "output": "none/net.pt"}, "does not exist: make it first"),
    (SCRIPT, {"class": "Plain", "output": "old.pt"}, "exists: choose another name"),
    (PROGRAM, {"class": "Plain", "output": "old.pt"}, "exists: choose another name"),
    (SCRIPT, {"class": "Plain", "output": "net.pt", "checkpoint": "none.pth"}, "none.pth does not exist"),
    (SCRIPT, {"class": "Plain", "output": "net.pt", "checkpoint": "old.pt"}, "is no file that torch writes"),
    (PROGRAM, {"class": "Plain", "output": "net.pt2", "checkpoint": "wide.pth"}, "here, and 1 more differs"),
    (SCRIPT, {"class": "Plain", "output": "net.pt", "dtype": "int8"}, 'not "int8"'),
    (SCRIPT, {"class": "Plain", "output": "net.pt", "method": "onnx"}, 'not "onnx"'),
    (SCRIPT, {"class": "Branch", "output": "net.pt"}, "does not trace faithfully: tracing keeps the branch"),
    (PROGRAM, {"class": "Branch", "output": "net.pt2"}, "`torch.export` refuses it"),
    (SCRIPT, {"class": "Unbuilt", "output": "net.pt"}, "the weights are elsewhere"),
    (SCRIPT, {"class": "Plain", "output": "linked/net.pt"}, "a link leads from there to"),
    (SCRIPT, {"class": "Plain", "output": "linked/net.pt", "force": True}, "a link leads from there to"),
    (SCRIPT, {"class": "Plain", "output": "net\0.pt"}, "No file can have this path"),
    (SCRIPT, {"class": "Plain", "output": "n" * 5000 + ".pt"}, "No file can have this path"),
    (SCRIPT, {"class": "Plain", "output": "n" * 500 + ".pt"}, "File name too long"),
    (SCRIPT, {"class": "Plain", "output": "net.pt", "checkpoint": "c" * 500}, "does not exist"),
    ("tsShape.inspectArchive", {"path": "net\0.pt"}, "No file can have this path"),
    ("tsShape.inspectArchive", {"path": "/" + "n" * 500}, "There is no file"),
    (SCRIPT, {"class": "Missing", "output": "net.pt"}, "There is no nn.Module Missing"),
]


async def test_an_export_that_cannot_be_is_told_in_a_sentence_and_leaves_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    (folder / "folder").mkdir(parents=True)
    (folder / "nets.py").write_text(NETS, encoding="utf-8")
    (folder / "old.pt").write_text("old", encoding="utf-8")
    torch.save(torch.nn.Sequential(collections.OrderedDict(fc=torch.nn.Linear(3, 7))).state_dict(), folder / "wide.pth")
    (tmp_path / "elsewhere").mkdir()
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    before = sorted(folder.rglob("*"))
    async with editor(folder, tmp_path / "cache") as session:
        uri = session.open("nets.py")
        for command, argument, words in REFUSED:
            answer = await session.command(command, {"uri": uri, **argument})
            assert not answer["ok"], (argument, answer)
            assert command == "tsShape.inspectArchive" or answer.get("path") is None
            assert words in answer["message"], answer["message"]
            assert "\n" not in answer["message"]
            assert sorted(folder.rglob("*")) == before
    assert (folder / "old.pt").read_text(encoding="utf-8") == "old"
    assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_a_program_is_exported_with_a_checkpoint_and_a_dtype(tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "nets.py").write_text(NETS, encoding="utf-8")
    weights = {"module.fc.weight": torch.ones(5, 3), "module.fc.bias": torch.ones(5)}
    torch.save({"state_dict": weights}, folder / "weights.pth")
    async with editor(folder, tmp_path / "cache") as session:
        uri = session.open("nets.py")
        argument = {"uri": uri, "class": "Plain", "checkpoint": "weights.pth", "dtype": "float64"}
        answer = await session.command(PROGRAM, argument)
        assert answer["ok"], answer
        assert (answer["method"], answer["path"]) == ("program", str(folder / "Plain.pt2"))
        assert "under `state_dict` with `module.` before each name" in answer["notes"][0]
    module = torch.export.load(folder / "Plain.pt2").module()
    assert module(torch.ones(6, 3, dtype=torch.float64)).tolist() == [[4.0] * 5] * 6


async def test_a_command_with_a_bad_argument_answers_in_words(tmp_path: Path) -> None:
    async with editor(START, tmp_path / "cache") as session:
        for argument in ([], [{}], [{"uri": "file:///nowhere.py", "class": "A"}], ["text"]):
            answer = await session.command("tsShape.exportTorchScript", *argument)
            assert answer["ok"] is False
            assert answer["message"].endswith(".")


async def test_a_report_is_a_page_and_the_workspace_can_be_checked(tmp_path: Path) -> None:
    async with editor(START, tmp_path / "cache") as session:
        uri = session.open("my_model.py")
        await session.hover_until(uri, 4, 7, "script ✓")
        answer = await session.command("tsShape.showReport", {"uri": uri, "class": "MyModel"})
        assert "## Layers" in answer["markdown"]
        answer = await session.command("tsShape.checkWorkspace")
        assert (answer["ok"], answer["classes"], answer["errors"]) == (True, 3, 0)
        answer = await session.command("tsShape.restartAgent")
        assert answer["ok"], answer
        await session.hover_until(uri, 4, 7, "MyModel(x: Tensor (B, 10) float32)")
