"""Notebooks and buffers without a name: hovers, hints, findings and fixes land where the code is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from editor import Editor, editor
from lsprotocol import types

IMPORTS = "%matplotlib inline\nimport torch\nfrom torch import nn"
NET = """class Indexed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])

    def forward(self, x):
        for i in range(len(self.layers)):
            x = self.layers[i](x)
        return x"""
WHOLE = types.Range(types.Position(0, 0), types.Position(99, 0))


class Book:
    """A notebook that the editor has open, with a cell of each text."""

    def __init__(self, session: Editor, texts: list[str]) -> None:
        self.session = session
        self.uri = session.uri("book.ipynb")
        self.cells = [f"vscode-notebook-cell:{self.uri.removeprefix('file:')}#{number}" for number in range(len(texts))]
        code = types.NotebookCellKind.Code
        book = types.NotebookDocument(
            self.uri, "jupyter-notebook", 1, [types.NotebookCell(code, uri) for uri in self.cells]
        )
        items = [
            types.TextDocumentItem(uri, types.LanguageKind.Python, 1, text)
            for uri, text in zip(self.cells, texts, strict=True)
        ]
        session.client.notebook_document_did_open(types.DidOpenNotebookDocumentParams(book, items))

    def rewrite(self, number: int, text: str, version: int) -> None:
        whole = types.TextDocumentContentChangeWholeDocument(text)
        identifier = types.VersionedTextDocumentIdentifier(version, self.cells[number])
        changed = types.NotebookDocumentCellContentChanges(identifier, [whole])
        change = types.NotebookDocumentChangeEvent(cells=types.NotebookDocumentCellChanges(text_content=[changed]))
        book = types.VersionedNotebookDocumentIdentifier(version, self.uri)
        self.session.client.notebook_document_did_change(types.DidChangeNotebookDocumentParams(book, change))


async def asked(session: Editor, uri: str) -> tuple[list[Any], list[Any]]:
    """The hints and the lenses of a cell."""
    identifier = types.TextDocumentIdentifier(uri)
    hints = await session.client.text_document_inlay_hint_async(types.InlayHintParams(identifier, WHOLE))
    lenses = await session.client.text_document_code_lens_async(types.CodeLensParams(identifier))
    return list(hints or []), list(lenses or [])


def led(page: str) -> set[tuple[str | None, int]]:
    """Where the lines on the page of a report lead."""
    data = re.search(r'<script type="application/json" id="reports">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    (report,) = json.loads(data[1])
    items = [report, *report["layers"], *report["flow"]["nodes"], *report["script"]["failures"]]
    return {(item["uri"], item["line"]) for item in items if item["line"] is not None}


async def test_the_cells_of_a_notebook_are_told_as_one_module(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    async with editor(tmp_path / "work", tmp_path / "cache") as session:
        book = Book(session, [IMPORTS, NET])
        first, second = book.cells
        said = await session.hover_until(second, 0, 8, "script ✗")
        assert "Indexed(x: Tensor (B, 3) float32)" in said
        assert await session.hover(first, 2, 19) is not None
        hints, lenses = await asked(session, second)
        assert [(item.position.line, item.label) for item in hints] == [(5, ": (B, 3)")]
        assert {item.range.start.line for item in lenses} == {0}
        assert await asked(session, first) == ([], [])
        await session.until(lambda: "script-error" in session.codes(second))
        assert session.codes(first) == []
        assert [item.range.start.line for item in session.diagnostics(second)] == [7]
        fix: types.CodeAction | None = None
        while fix is None:
            found = await session.actions(second, 7)
            fix = next((item for item in found if item.kind == types.CodeActionKind.QuickFix), None)
        assert fix.edit is not None
        for change in fix.edit.document_changes or []:
            assert isinstance(change, types.TextDocumentEdit)
            assert change.text_document.uri == second
            assert {edit.range.start.line for edit in change.edits} <= {6, 7, 8}
        answer = await session.command("tsShape.showReport", {"uri": second, "class": "Indexed"})
        assert led(answer["html"]) == {(second, line) for line in (1, 6, 8, 9)}
        book.rewrite(0, IMPORTS + "\n\nWIDTH = 5", 2)
        book.rewrite(1, NET.replace("3, 3", "WIDTH, WIDTH"), 3)
        await session.hover_until(second, 0, 8, "Indexed(x: Tensor (B, 5) float32)")


async def test_a_buffer_without_a_name_is_told_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    async with editor(tmp_path / "work", tmp_path / "cache") as session:
        uri = "untitled:Untitled-1"
        item = types.TextDocumentItem(uri, types.LanguageKind.Python, 1, f"import torch\nfrom torch import nn\n{NET}\n")
        session.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        assert "Indexed(x: Tensor (B, 3) float32)" in await session.hover_until(uri, 2, 8, "script ✗")
        await session.until(lambda: "script-error" in session.codes(uri))
        answer = await session.command("tsShape.showReport", {"uri": uri, "class": "Indexed"})
        assert {place[0] for place in led(answer["html"])} == {uri}
