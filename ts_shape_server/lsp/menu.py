"""The menu of code actions: fixes for the findings in a range, and what else may be offered there, all of it tried.

Fixes are there before the menu opens, and for those that are being tried it waits a moment where a person opens it.
Other offers are tried then, for a short time; what is not proven by then is in the next menu.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from lsprotocol import types

from ts_shape_server.contract.places import Range, TextEdit
from ts_shape_server.features import actions
from ts_shape_server.features.offers import Offer, offers
from ts_shape_server.lsp.documents import Document
from ts_shape_server.lsp.server import Server

FIX_ALL = "source.fixAll.tsShape"
REWRITE = types.CodeActionKind.RefactorRewrite
KINDS: list[types.CodeActionKind | str] = [
    types.CodeActionKind.QuickFix,
    types.CodeActionKind.SourceFixAll,
    FIX_ALL,
    REWRITE,
]
_PROOF_SECONDS = 5.0
"""So long an open menu waits for trials."""
_FIX_SECONDS = 8.0
"""So long it waits for fixes of what is underlined there, whose trials are under way."""


async def code_actions(server: Server, document: Document, params: types.CodeActionParams) -> list[types.CodeAction]:
    """Verified fixes for the diagnostics in the range, the one that fixes all of the file, and proven offers."""
    only = params.context.only
    at = server.converter().lines(document.source, params.range)
    automatic = params.context.trigger_kind == types.CodeActionTriggerKind.Automatic
    found: list[types.CodeAction] = []
    if _asked_for(only, "quickfix"):
        if not automatic:
            await tried(server, document, at)
        found += _fixes(server, document, at)
    whole = document.fix_all
    if whole is not None and _asked_for(only, FIX_ALL):
        edit = _edit(server, document, actions.edits_for(whole, document.text))
        if edit is not None:
            found.append(types.CodeAction(whole.title, kind=FIX_ALL, edit=edit))
    if _asked_for(only, REWRITE.value):
        found += await _offers(server, document, at, 0 if automatic else _PROOF_SECONDS)
    return found


async def tried(server: Server, document: Document, at: Range) -> None:
    """Wait until the fixes for the findings in the range were tried, as long as that is under way and not too long."""
    deadline = time.monotonic() + _FIX_SECONDS
    while document.working and (left := deadline - time.monotonic()) > 0:
        there = {item.class_name for item in server.session.findings(document.path) if _meets(item.range, at)}
        if all(document.was_tried(name) for name in there if document.known(name).current is not None):
            return
        await document.news(left)


def _fixes(server: Server, document: Document, at: Range) -> list[types.CodeAction]:
    """One action for each fix, with every diagnostic that it resolves."""
    found: dict[tuple[str, str], types.CodeAction] = {}
    for finding in server.session.findings(document.path):
        if not _meets(finding.range, at):
            continue
        diagnostic = server.converter().diagnostic(finding)
        for fix in actions.ordered(document.fixes_of(finding.class_name)):
            if not actions.helps(fix, finding):
                continue
            known = found.get(fix.identity)
            if known is not None:
                known.diagnostics = [*(known.diagnostics or []), diagnostic]
                continue
            edit = _edit(server, document, actions.edits_for(fix, document.text))
            if edit is not None:
                found[fix.identity] = _quick_fix(fix, edit, diagnostic)
    return list(found.values())


def _quick_fix(fix: actions.Fix, edit: types.WorkspaceEdit, about: types.Diagnostic) -> types.CodeAction:
    return types.CodeAction(
        fix.title,
        kind=types.CodeActionKind.QuickFix,
        diagnostics=[about],
        is_preferred=fix.preferred,
        edit=edit,
        data=fix.class_name,
    )


async def _offers(server: Server, document: Document, at: Range, seconds: float) -> list[types.CodeAction]:
    """What the place allows, as far as it is proven within so many seconds."""
    snapshot, text = document.current, document.text
    if snapshot is None:
        return []
    reports = {name: item.current for name, item in document.all_known().items() if item.current is not None}
    possible = offers(snapshot.source, snapshot.classes, snapshot.modules, reports, at)
    proven = await server.session.proven(document, possible, seconds)
    if document.text != text:
        return []
    return [_rewrite(server, document, offer) for offer in proven]


def _rewrite(server: Server, document: Document, offer: Offer) -> types.CodeAction:
    edit = _edit(server, document, offer.rewrite.edits)
    return types.CodeAction(offer.title, kind=REWRITE, is_preferred=offer.preferred or None, edit=edit)


def _edit(server: Server, document: Document, edits: Sequence[TextEdit] | None) -> types.WorkspaceEdit | None:
    if not edits:
        return None
    converted = server.converter().edits(document.source, edits)
    if server.can("workspace", "workspace_edit", "document_changes"):
        identifier = types.OptionalVersionedTextDocumentIdentifier(document.uri, document.version)
        return types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(identifier, list(converted))])
    return types.WorkspaceEdit(changes={document.uri: converted})


def _asked_for(only: Any, kind: str) -> bool:
    """Whether a client that asks for `only` these kinds wants this one; a kind stands for all below it."""
    if not only:
        return True
    names = [str(getattr(item, "value", item)) for item in only]
    return any(not name or kind == name or kind.startswith(f"{name}.") for name in names)


def _meets(first: Any, second: Any) -> bool:
    """Whether two ranges touch; lines alone decide, so that the bulb shows on the whole line."""
    return bool(first.line <= second.end_line and second.line <= first.end_line)
