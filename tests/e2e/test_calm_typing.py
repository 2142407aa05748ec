"""While a line is typed, nothing that is drawn vanishes, and nothing stands on another line than before."""

from __future__ import annotations

from pathlib import Path

from editor import Editor, capabilities, editor
from lsprotocol import types

TEXT = """import torch
from torch import nn


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)

    def forward(self, x):
        y = self.conv(x)
        z = y.flatten(1)
        return z


class Keyed(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 4)

    def forward(self, x):
        found = {}
        found[1] = self.fc(x)
        for name, value in vars(self).items():
            pass
        last = found[1] * 2
        return last
"""
TYPED = "        y = torch.relu(y)\n"
WHOLE = types.Range(types.Position(0, 0), types.Position(999, 0))


class Typing:
    """A text in the editor, and what the server draws in it."""

    def __init__(self, session: Editor, uri: str, text: str) -> None:
        self.session, self.uri, self.text, self.version = session, uri, text, 1

    def insert(self, line: int, column: int, words: str) -> None:
        lines = self.text.split("\n")
        lines[line] = lines[line][:column] + words + lines[line][column:]
        self.text, self.version = "\n".join(lines), self.version + 1
        place = types.Position(line, column)
        change = types.TextDocumentContentChangePartial(types.Range(place, place), words)
        identifier = types.VersionedTextDocumentIdentifier(self.version, self.uri)
        self.session.client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [change]))

    async def drawn(self) -> dict[str, list[tuple[str, str]]]:
        """Of each kind: what is said, with the text of the line that it stands at."""
        lines = self.text.split("\n")
        document = types.TextDocumentIdentifier(self.uri)
        client = self.session.client
        hints = await client.text_document_inlay_hint_async(types.InlayHintParams(document, WHOLE)) or []
        lenses = await client.text_document_code_lens_async(types.CodeLensParams(document)) or []
        pulled = await client.text_document_diagnostic_async(types.DocumentDiagnosticParams(document))
        assert isinstance(pulled, types.RelatedFullDocumentDiagnosticReport)
        return {
            "hints": [(str(item.label), lines[item.position.line]) for item in hints],
            "lenses": [(item.command.title, lines[item.range.start.line]) for item in lenses if item.command],
            "findings": [(str(item.code), lines[item.range.start.line]) for item in pulled.items],
        }


async def settled(typing: Typing, cls: str, words: str) -> None:
    line = next(number for number, text in enumerate(typing.text.split("\n")) if f"class {cls}" in text)
    await typing.session.hover_until(typing.uri, line, 7, words)
    await typing.session.until(lambda: typing.session.statuses[-1].running == 0)


async def test_nothing_vanishes_or_moves_to_another_line_while_a_line_is_typed(tmp_path: Path) -> None:
    text_document = types.TextDocumentClientCapabilities(
        diagnostic=types.DiagnosticClientCapabilities(), synchronization=None
    )
    refreshing = types.DiagnosticWorkspaceClientCapabilities(refresh_support=True)

    able = capabilities(text_document=text_document)
    assert able.workspace is not None
    able.workspace.diagnostics = refreshing
    (tmp_path / "work").mkdir()
    async with editor(tmp_path / "work", tmp_path / "cache", client_capabilities=able) as session:
        uri = session.open("typed.py", TEXT)
        typing = Typing(session, uri, TEXT)
        await settled(typing, "Scaled", "script ✓")
        await settled(typing, "Keyed", "script ✗")
        before = await typing.drawn()
        assert len(before["hints"]) >= 4 and len(before["lenses"]) == 5 and before["findings"]
        place = TEXT.split("\n").index("        z = y.flatten(1)")
        for number, sign in enumerate(TYPED):
            typing.insert(place, number, sign)
            now = await typing.drawn()
            assert now["lenses"] == before["lenses"]
            assert not [item for item in before["findings"] if item not in now["findings"]]
            lines = typing.text.split("\n")
            for label, line in before["hints"]:
                # The line that is typed in front of another one moves that along, up to the last sign.
                stands = [item for item in now["hints"] if item[0] == label and item[1].endswith(line.strip())]
                assert stands, f"{label} beside {line.strip()} is gone after {lines[place]!r}"
        await settled(typing, "Scaled", "script ✓")
        assert (": (B, 16, H, W)", TYPED.rstrip("\n")) not in before["hints"]


async def test_a_class_that_was_not_edited_is_told_as_fresh_at_once(tmp_path: Path) -> None:
    """The probe after an edit waits as long as it may: an answer that is not of it would call itself an earlier one.
    What an answer about the edited class says is for the tests of `Document`: here a slow machine may have probed it.
    """
    (tmp_path / "work").mkdir()
    settings = {"debounceMs": 60000}
    async with editor(tmp_path / "work", tmp_path / "cache", settings=settings) as session:
        uri = session.open("typed.py", TEXT)
        typing = Typing(session, uri, TEXT)
        await settled(typing, "Scaled", "script ✓")
        await settled(typing, "Keyed", "script ✗")
        typing.insert(8, 0, "\n")
        typing.insert(TEXT.split("\n").index("        z = y.flatten(1)") + 1, 25, ".neg()")
        keyed = TEXT.split("\n").index("class Keyed(nn.Module):") + 1
        assert "earlier version" not in await session.hover(uri, keyed, 7)
        assert "last: Tensor (B, 4) float32" in await session.hover(uri, keyed + 11, 15)


async def test_a_syntax_error_takes_no_hover_away(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    async with editor(tmp_path / "work", tmp_path / "cache") as session:
        uri = session.open("typed.py", TEXT)
        typing = Typing(session, uri, TEXT)
        await settled(typing, "Scaled", "script ✓")
        place = TEXT.split("\n").index("        z = y.flatten(1)")
        typing.insert(place - 2, 4, "(")
        typing.insert(place, 0, "        y = (\n")
        assert "y: Tensor (B, 16, H, W) float32" in await session.hover(uri, place - 1, 8)
        assert "Scaled(x: Tensor (B, 3, H, W) float32)" in await session.hover(uri, 4, 7)
