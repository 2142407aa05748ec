"""A session in an editor: open, hover, diagnostics, hints, lenses, changes, the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from editor import capabilities, editor
from lsprotocol import types

START = Path(__file__).parents[1] / "workspaces" / "start"
MISMATCH = Path(__file__).parents[1] / "workspaces" / "mismatch"


def at(name: str, words: str, folder: Path = START, offset: int = 0) -> tuple[int, int]:
    """Line and character of the first place of some words in a file of the workspace."""
    for number, line in enumerate((folder / name).read_text(encoding="utf-8").split("\n")):
        if words in line:
            return number, line.index(words) + offset
    raise AssertionError(f"{name} has no {words}")


async def test_hovers_say_what_goes_in_and_out(tmp_path: Path) -> None:
    async with editor(START, tmp_path) as session:
        uri = session.open("simple_cnn.py")
        text = await session.hover_until(uri, *at("simple_cnn.py", "SimpleCNN"), "script ✓")
        assert "SimpleCNN(x: Tensor (B, 3, H, W) float32) → Tensor (B, 10)" in text
        assert "**H, W**: 28 or 29" in text
        assert "31.8 K parameters (124 KiB)" in text
        assert "forward(x: Tensor" in await session.hover(uri, *at("simple_cnn.py", "forward"))
        assert "x: Tensor (B, 3, H, W) float32" in await session.hover(uri, *at("simple_cnn.py", "x)", offset=0))
        layer = await session.hover(uri, *at("simple_cnn.py", "self.fc =", offset=6))
        assert "self.fc: Linear (B, 3136) → (B, 10)" in layer
        assert "99 % of SimpleCNN" in layer


async def test_hints_and_lenses_show_shapes(tmp_path: Path) -> None:
    async with editor(START, tmp_path) as session:
        uri = session.open("simple_cnn.py")
        await session.hover_until(uri, *at("simple_cnn.py", "SimpleCNN"), "script ✓")
        identifier = types.TextDocumentIdentifier(uri)
        lenses = await session.client.text_document_code_lens_async(types.CodeLensParams(identifier))
        titles = [item.command.title for item in lenses or [] if item.command]
        assert titles == ["(B, 3, H, W) → (B, 10) · 31.8 K · script ✓", "Export TorchScript…"]
        whole = types.Range(types.Position(0, 0), types.Position(99, 0))
        hints = await session.client.text_document_inlay_hint_async(types.InlayHintParams(identifier, whole))
        assert ": (B, 3, H, W)" in [item.label for item in hints or []]


async def test_a_layer_that_cannot_fit_is_an_error_with_where_it_comes_from(tmp_path: Path) -> None:
    async with editor(MISMATCH, tmp_path) as session:
        uri = session.open("conv_chain.py")
        await session.until(lambda: session.diagnostics(uri))
        (item,) = session.diagnostics(uri)
        assert item.code == "shape-mismatch"
        assert item.severity == types.DiagnosticSeverity.Error
        assert item.source == "ts-shape"
        assert item.code_description is not None
        assert item.range.start.line == at("conv_chain.py", "return self.conv2", MISMATCH)[0]
        assert [related.message for related in item.related_information or []]
        text = (MISMATCH / "conv_chain.py").read_text(encoding="utf-8")
        session.replace(uri, text.replace("nn.Conv2d(32", "nn.Conv2d(16"), 2)
        await session.until(lambda: not session.diagnostics(uri))
        await session.hover_until(
            uri, *at("conv_chain.py", "ConvChain", MISMATCH), "ConvChain(x: Tensor (B, 3, H, W) float32)"
        )


async def test_a_client_that_pulls_is_not_pushed_to(tmp_path: Path) -> None:
    pulls = capabilities(
        text_document=types.TextDocumentClientCapabilities(diagnostic=types.DiagnosticClientCapabilities())
    )
    async with editor(MISMATCH, tmp_path, client_capabilities=pulls) as session:
        uri = session.open("conv_chain.py")
        params = types.DocumentDiagnosticParams(types.TextDocumentIdentifier(uri))
        report = await session.client.text_document_diagnostic_async(params)
        assert isinstance(report, types.RelatedFullDocumentDiagnosticReport)
        assert [item.code for item in report.items] == ["shape-mismatch"]
        params = types.DocumentDiagnosticParams(types.TextDocumentIdentifier(uri), previous_result_id=report.result_id)
        again = await session.client.text_document_diagnostic_async(params)
        assert isinstance(again, types.RelatedUnchangedDocumentDiagnosticReport)
        assert session.diagnostics(uri) == []


async def test_an_edit_elsewhere_keeps_the_report_and_moves_its_lines(tmp_path: Path) -> None:
    async with editor(START, tmp_path) as session:
        text = (MISMATCH / "conv_chain.py").read_text(encoding="utf-8").replace("32", "16")
        uri = session.open("unsaved.py", text)
        line, character = at("conv_chain.py", "ConvChain", MISMATCH)
        await session.hover_until(uri, line, character, "script ✓")
        # The child has reported and is still ending: a change now would end the probe before its report is kept.
        await session.until(lambda: session.statuses[-1].running == 0)
        session.replace(uri, "# é\n# 𝒳\n" + text, 2)
        said = await session.hover(uri, line + 2, character)
        assert "script ✓" in said
        assert "_" not in said.splitlines()[-1]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_positions_are_counted_as_agreed(tmp_path: Path, encoding: str) -> None:
    chosen = capabilities(general=types.GeneralClientCapabilities(position_encodings=[encoding]))  # type: ignore[list-item]
    before = '"𝒳é"; '
    lines = ["from torch import nn", "class Net(nn.Module):", "    def forward(self, x):"]
    text = "\n".join([*lines, f"        {before}y = x.neg(); return y", ""])
    units = {"utf-8": len(before.encode()), "utf-16": len(before.encode("utf-16-le")) // 2, "utf-32": len(before)}
    async with editor(START, tmp_path, client_capabilities=chosen) as session:
        uri = session.open("unsaved.py", text)
        said = await session.hover_until(uri, 3, 8 + units[encoding], "y: Tensor")
        assert "float32" in said


async def test_without_trust_nothing_runs_and_the_hover_says_what_to_do(tmp_path: Path) -> None:
    async with editor(START, tmp_path, trusted=False) as session:
        uri = session.open("simple_cnn.py")
        text = await session.hover(uri, *at("simple_cnn.py", "SimpleCNN"))
        assert "forward(x)" in text
        assert "trust it in the editor" in text
        assert session.children() == set()
        answer = await session.command("tsShape.exportTorchScript", {"uri": uri, "class": "SimpleCNN"})
        assert answer["ok"] is False


async def test_a_flag_trusts_the_workspace_for_editors_that_cannot(tmp_path: Path) -> None:
    async with editor(START, tmp_path, trusted=False, flags=("--stdio", "--trust-workspace")) as session:
        uri = session.open("my_model.py")
        await session.hover_until(uri, *at("my_model.py", "MyModel"), "MyModel(x: Tensor (B, 10) float32)")
        await session.until(lambda: any(getattr(item, "torch", None) for item in session.statuses))


async def test_without_an_interpreter_the_text_still_answers(tmp_path: Path) -> None:
    async with editor(START, tmp_path, configuration={"interpreter": str(tmp_path / "nothing")}) as session:
        uri = session.open("my_model.py")
        text = await session.hover_until(uri, *at("my_model.py", "MyModel"), "nothing")
        assert "MyModel()" in text


async def test_a_bad_setting_is_said_once_and_the_default_is_used(tmp_path: Path) -> None:
    async with editor(START, tmp_path, trusted=False, configuration={"timeoutMs": "soon"}) as session:
        await session.until(lambda: session.client.messages)
        assert 'the setting "timeoutMs" takes a whole number' in session.client.messages[0].message
