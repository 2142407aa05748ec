"""Menus that open before everything in them is proven, fixes on save, and the repair at the name of a class."""

from __future__ import annotations

import asyncio
from pathlib import Path

from editor import Editor, capabilities, editor
from lsprotocol import types

from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range, TextEdit

TEXT = """from torch import nn


class Indexed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])

    def forward(self, x):
        for i in range(len(self.layers)):
            x = self.layers[i](x)
        return x
"""
REPAIRED = TEXT.replace(
    "for i in range(len(self.layers)):\n            x = self.layers[i](x)",
    "for layer in self.layers:\n            x = layer(x)",
)
CLASS = 3
FIX_ALL = "source.fixAll.tsShape"


def lazy() -> types.ClientCapabilities:
    """Those of an editor that asks for the edit of an action when a person has chosen it."""
    resolve = types.ClientCodeActionResolveOptions(properties=["edit"])
    actions = types.CodeActionClientCapabilities(data_support=True, resolve_support=resolve)
    return capabilities(text_document=types.TextDocumentClientCapabilities(code_action=actions))


def changed(text: str, edit: types.WorkspaceEdit | None) -> str:
    assert edit is not None
    source = SourceText(text)
    made = []
    for change in edit.document_changes or []:
        assert isinstance(change, types.TextDocumentEdit)
        for each in change.edits:
            assert isinstance(each, types.TextEdit)
            start = source.from_client(each.range.start.line, each.range.start.character, "utf-16")
            end = source.from_client(each.range.end.line, each.range.end.character, "utf-16")
            made.append(TextEdit(Range(*start, *end), each.new_text))
    return source.apply(made)


async def reported(session: Editor, text: str = TEXT) -> str:
    uri = session.open("indexed.py", text)
    await session.hover_until(uri, CLASS, 8, "script ✗")
    return uri


async def saved(session: Editor, uri: str, text: str) -> str:
    """The text after saving with fixes: an editor asks for them alone, here until there are some."""
    while not (found := await session.actions(uri, 0, [FIX_ALL])):
        await asyncio.sleep(0.1)
    return changed(text, found[0].edit)


async def test_what_is_chosen_gets_its_edit_once_it_is_proven(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    async with editor(tmp_path / "work", tmp_path / "cache", client_capabilities=lazy()) as session:
        uri = await reported(session)
        offered = await session.actions(uri, CLASS)
        repair = next(item for item in offered if item.title.startswith("Repair Indexed") or item.edit is not None)
        assert repair.kind == types.CodeActionKind.QuickFix
        chosen = repair if repair.edit else await session.client.code_action_resolve_async(repair)
        assert changed(TEXT, chosen.edit) == REPAIRED
        documented = next(item for item in offered if item.title.startswith("Write the shapes") and item.edit is None)
        resolved = await session.client.code_action_resolve_async(documented)
        assert "(B, 3)" in changed(TEXT, resolved.edit)


async def test_saving_fixes_after_every_kind_of_edit(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    async with editor(tmp_path / "work", tmp_path / "cache") as session:
        uri = await reported(session)
        assert await saved(session, uri, TEXT) == REPAIRED
        above = "# a comment\n" + TEXT
        session.replace(uri, above, 2)
        assert await saved(session, uri, above) == "# a comment\n" + REPAIRED
        inside = TEXT.replace("        return x", "        # nothing new\n        return x")
        session.replace(uri, inside, 3)
        assert await saved(session, uri, inside) == REPAIRED.replace(
            "        return x", "        # nothing new\n        return x"
        )
        other = TEXT.replace("return x", "return x + 1")
        session.replace(uri, other, 4)
        assert await saved(session, uri, other) == REPAIRED.replace("return x", "return x + 1")


async def test_the_repair_is_at_the_name_of_the_class_and_no_entry_is_there_twice(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    async with editor(tmp_path / "work", tmp_path / "cache") as session:
        uri = await reported(session)
        await session.until(lambda: session.statuses[-1].running == 0)
        assert await saved(session, uri, TEXT) == REPAIRED
        found = await session.actions(uri, CLASS)
        fixes = [item for item in found if item.kind == types.CodeActionKind.QuickFix]
        assert [changed(TEXT, item.edit) for item in fixes] == [REPAIRED]
        edits = [repr(item.edit) for item in found if item.kind != FIX_ALL]
        assert len(edits) == len(set(edits))


async def test_the_lens_of_a_class_that_is_refused_repairs_it(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    async with editor(tmp_path / "work", tmp_path / "cache") as session:
        made: list[types.WorkspaceEdit] = []

        def apply(params: types.ApplyWorkspaceEditParams) -> types.ApplyWorkspaceEditResult:
            made.append(params.edit)
            return types.ApplyWorkspaceEditResult(applied=True)

        session.client.protocol.fm._features.pop(types.WORKSPACE_APPLY_EDIT, None)
        session.client.feature(types.WORKSPACE_APPLY_EDIT)(apply)
        uri = await reported(session)
        document = types.TextDocumentIdentifier(uri)
        lenses = await session.client.text_document_code_lens_async(types.CodeLensParams(document)) or []
        lens = next(item.command for item in lenses if item.command and "Repair" in item.command.title)
        answer = await session.command(lens.command, *(lens.arguments or []))
        assert answer["ok"] is True
        assert "Indexed in indexed.py" in answer["message"]
        assert [changed(TEXT, edit) for edit in made] == [REPAIRED]
