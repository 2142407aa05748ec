"""The menu of code actions: fixes for the findings in a range, and what else may be offered there, all of it tried.

A client that can ask for the edit of an action later gets the menu at once: what is still being tried has its title,
and its edit once it is proven, or a sentence why there is none. For any other client the menu waits a moment.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsprotocol import types

from ts_shape_server.contract.places import Range, TextEdit
from ts_shape_server.contract.report import Report
from ts_shape_server.features import actions
from ts_shape_server.features.diagnostics import Finding
from ts_shape_server.features.offers import Offer, offers
from ts_shape_server.lsp.documents import Document
from ts_shape_server.lsp.scopes import UNTRUSTED
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
"""So long it waits for fixes of what is underlined there, whose trials are under way, and so long does saving."""
_RESOLVE_SECONDS = 90.0
"""So long an action that was chosen waits for its proof."""


async def code_actions(server: Server, document: Document, params: types.CodeActionParams) -> list[types.CodeAction]:
    """Verified fixes for the diagnostics in the range, the one that fixes all of the file, and proven offers."""
    only = params.context.only
    at = server.converter(params.text_document.uri).lines(document.source, params.range)
    automatic = params.context.trigger_kind == types.CodeActionTriggerKind.Automatic
    later = _resolves(server)
    found: list[types.CodeAction] = []
    if _asked_for(only, "quickfix"):
        if not automatic and not later:
            await tried(server, document, at)
        found += _fixes(server, document, at)
        if later:
            found += _being_tried(server, document, at)
    if _asked_for(only, FIX_ALL):
        if only and not _asked_for(only, "quickfix") and document.whole_fix() is None:
            # What is asked for alone is asked for by saving the file, often right after an edit.
            await all_tried(document)
        whole = document.whole_fix()
        edit = None if whole is None else _edit(server, document, actions.edits_for(whole, document.text))
        if whole is not None and edit is not None:
            found.append(types.CodeAction(whole.title, kind=FIX_ALL, edit=edit))
    if _asked_for(only, REWRITE.value):
        found += await _offers(server, document, at, later, 0 if automatic else _PROOF_SECONDS)
    return _once(found)


def _resolves(server: Server) -> bool:
    """Whether the client asks for the edit of an action when it is chosen."""
    action = getattr(getattr(server.client_capabilities, "text_document", None), "code_action", None)
    lazy = getattr(action, "resolve_support", None)
    return bool(getattr(action, "data_support", None)) and "edit" in (getattr(lazy, "properties", None) or ())


def _once(found: list[types.CodeAction]) -> list[types.CodeAction]:
    """The actions without those that make a change which an earlier one makes."""
    kept: dict[object, types.CodeAction] = {}
    for item in found:
        kind = str(getattr(item.kind, "value", item.kind))
        change: object = id(item) if item.edit is None or kind == FIX_ALL else repr(item.edit)
        kept.setdefault(change, item)
    return list(kept.values())


async def all_tried(document: Document) -> None:
    """Wait until the fixes of every class were tried, as long as that is under way and not too long."""
    deadline = time.monotonic() + _FIX_SECONDS
    while document.busy and (left := deadline - time.monotonic()) > 0:
        await document.news(left)


def _being_tried(server: Server, document: Document, at: Range) -> list[types.CodeAction]:
    """For each class that is underlined there and whose fixes are still being tried: its repair, or the change that
    makes two sizes agree where some may be made.
    """
    if not document.busy:
        return []
    underlined = [item for item in server.session.findings(document.path) if _meets(item.range, at)]
    names = {item.class_name for item in underlined}
    names |= {item.name for item in document.places() if _meets(item.name_range, at)}
    found = []
    for name in sorted(names):
        report = document.known(name).current
        if report is None or document.was_tried(name):
            continue
        found += _sizes_being_tried(server, document, report, [item for item in underlined if item.class_name == name])
        if report.torchscript.script.ok is not False or actions.misfits(report):
            continue
        title = f"Repair {name.rsplit('.', 1)[-1]} for TorchScript"
        data = {"uri": document.uri, "class": name, "repair": True}
        found.append(types.CodeAction(title, kind=types.CodeActionKind.QuickFix, data=data))
    return found


def _sizes_being_tried(
    server: Server, document: Document, report: Report, underlined: Sequence[Finding]
) -> list[types.CodeAction]:
    """An entry for each finding of sizes that disagree, where a change of the class may mend it."""
    found = []
    for failure in actions.misfits(report):
        about = next((item for item in underlined if item.identity == failure.identity), None)
        if about is None or not actions.fitting(report, document.text, failure):
            continue
        layer = failure.sizes.layer if failure.sizes is not None else ""
        title = f"Make the sizes agree in `{layer or report.name.rsplit('.', 1)[-1]}`"
        data = {"uri": document.uri, "class": report.name, "sizes": _digest(failure.identity)}
        diagnostics = [server.converter().diagnostic(about)]
        found.append(types.CodeAction(title, kind=types.CodeActionKind.QuickFix, diagnostics=diagnostics, data=data))
    return found


async def resolve(server: Server, action: types.CodeAction) -> types.CodeAction:
    """An action with its edit, once that is proven; without one, and a sentence said, where it does not hold."""
    data = action.data
    path = server.buffers.path(str(data.get("uri"))) if isinstance(data, dict) else None
    document = None if path is None else server.session.opened(path)
    if not isinstance(data, dict) or document is None or action.edit is not None:
        return action
    name = str(data.get("class"))
    if data.get("repair"):
        found = await repair(server, document, name)
    elif data.get("sizes"):
        found = await _made_to_agree(server, document, name, action)
    else:
        found = await _proven_later(server, document, name, action)
    action.edit = found.edit
    if found.edit is None:
        server.window_show_message(types.ShowMessageParams(types.MessageType.Info, found.why))
    return action


@dataclass(frozen=True)
class MenuChange:
    """An edit that is proven; None with a sentence on why there is none."""

    edit: types.WorkspaceEdit | None = None
    why: str = ""


async def repair(server: Server, document: Document, name: str) -> MenuChange:
    """The edit that repairs a class, once its trials are done."""
    await _tried_of(document, name)
    last, file = name.rsplit(".", 1)[-1], Path(document.path).name
    if not document.was_tried(name):
        return MenuChange(None, _untried(server, document, f"A repair of {last}", file))
    fix = actions.repair_of(document.fixes_of(name))
    edit = None if fix is None else _edit(server, document, actions.edits_for(fix, document.text))
    if fix is not None and edit is None:
        return MenuChange(None, f"{file} has changed since the repair of {last} was tried.")
    return MenuChange(edit, f"No change of {last} in {file} was found that scripts and computes the same.")


async def _tried_of(document: Document, name: str) -> None:
    """Wait until the fixes of a class were tried, as long as that is under way and not too long."""
    deadline = time.monotonic() + _RESOLVE_SECONDS
    while document.busy and not document.was_tried(name) and (left := deadline - time.monotonic()) > 0:
        await document.news(left)


async def _made_to_agree(server: Server, document: Document, name: str, action: types.CodeAction) -> MenuChange:
    """The first edit that trials proved for two sizes that disagree."""
    assert isinstance(action.data, dict)
    await _tried_of(document, name)
    last, file = name.rsplit(".", 1)[-1], Path(document.path).name
    if not document.was_tried(name):
        return MenuChange(None, _untried(server, document, f"“{action.title}”", file))
    wanted = action.data.get("sizes")
    for fix in actions.ordered(document.fixes_of(name)):
        if any(_digest(item) == wanted for item in fix.resolves):
            edit = _edit(server, document, actions.edits_for(fix, document.text))
            return MenuChange(edit, f"{file} has changed since “{fix.title}” was tried.")
    return MenuChange(None, f"No change of {last} in {file} was found with which this call and all others run.")


async def _proven_later(server: Server, document: Document, name: str, action: types.CodeAction) -> MenuChange:
    """The edit of an offer of a menu, tried by now, if the text is the one that the menu was made for."""
    assert isinstance(action.data, dict)
    edition, file = document.edition, Path(document.path).name
    changed = MenuChange(None, f"{file} has changed since “{action.title}” was offered: open the menu again.")
    offer = document.pending.get((name, str(action.data.get("change"))))
    if offer is None or action.data.get("edition") != edition:
        return changed
    deadline = time.monotonic() + _RESOLVE_SECONDS
    while document.working and (left := deadline - time.monotonic()) > 0:
        await document.news(left)
    proven = await server.session.proven(document, [offer], max(0.1, deadline - time.monotonic()))
    if document.edition != edition:
        return changed
    if proven:
        return MenuChange(_edit(server, document, offer.rewrite.edits))
    if document.is_refuted(offer.rewrite):
        return MenuChange(None, f"“{action.title}” was tried on {name} and does not hold, so {file} is left as it is.")
    return MenuChange(None, _untried(server, document, f"“{action.title}”", file))


def _untried(server: Server, document: Document, what: str, file: str) -> str:
    """Why it is not known whether a change holds."""
    if server.session.scope(document.path).service is None:
        return f"{what} was not tried, so {file} is left as it is. {UNTRUSTED}"
    if document.obstacle:
        return f"{what} was not tried, so {file} is left as it is. {document.obstacle}"
    if document.busy:
        return f"{what} is not tried yet: {file} is still being looked at. Choose it again in a moment."
    return f"{what} could not be tried to its end, so {file} is left as it is."


async def tried(server: Server, document: Document, at: Range) -> None:
    """Wait until the fixes for the findings in the range were tried, as long as that is under way and not too long."""
    deadline = time.monotonic() + _FIX_SECONDS
    while document.busy and (left := deadline - time.monotonic()) > 0:
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
    for place in document.places():
        whole = actions.repair_of(document.fixes_of(place.name)) if _meets(place.name_range, at) else None
        edit = None if whole is None else _edit(server, document, actions.edits_for(whole, document.text))
        if whole is not None and edit is not None and whole.identity not in found:
            found[whole.identity] = _quick_fix(whole, edit, None)
    return list(found.values())


def _quick_fix(fix: actions.Fix, edit: types.WorkspaceEdit, about: types.Diagnostic | None) -> types.CodeAction:
    return types.CodeAction(
        fix.title,
        kind=types.CodeActionKind.QuickFix,
        diagnostics=None if about is None else [about],
        is_preferred=fix.preferred,
        edit=edit,
        data=fix.class_name,
    )


async def _offers(server: Server, document: Document, at: Range, later: bool, seconds: float) -> list[types.CodeAction]:
    """What the place allows: as far as it is proven within so many seconds; all of it where proof can come `later`."""
    snapshot, text = document.current, document.text
    if snapshot is None:
        return []
    reports = {name: item.current for name, item in document.all_known().items() if item.current is not None}
    possible = offers(snapshot.source, snapshot.classes, snapshot.modules, reports, at)
    proven = await server.session.proven(document, possible, 0 if later else seconds)
    if document.text != text:
        return []
    if not later or not seconds:
        return [_rewrite(server, document, offer) for offer in proven]
    document.pending.update({(offer.class_name, _change_of(offer)): offer for offer in possible})
    refuted = {offer.rewrite for offer in possible if document.is_refuted(offer.rewrite)}
    return [
        _rewrite(server, document, offer) if offer in proven else _pending(document, offer)
        for offer in possible
        if offer.rewrite not in refuted
    ]


def _rewrite(server: Server, document: Document, offer: Offer) -> types.CodeAction:
    edit = _edit(server, document, offer.rewrite.edits)
    return types.CodeAction(offer.title, kind=REWRITE, is_preferred=offer.preferred or None, edit=edit)


def _pending(document: Document, offer: Offer) -> types.CodeAction:
    change, edition = _change_of(offer), document.edition
    data = {"uri": document.uri, "class": offer.class_name, "change": change, "edition": edition}
    return types.CodeAction(offer.title, kind=REWRITE, is_preferred=offer.preferred or None, data=data)


def _change_of(offer: Offer) -> str:
    return _digest((offer.rewrite.id, offer.rewrite.edits))


def _digest(item: object) -> str:
    """What stands for something in the data of an action."""
    return hashlib.sha256(repr(item).encode("utf-8", "surrogatepass")).hexdigest()


def _edit(server: Server, document: Document, edits: Sequence[TextEdit] | None) -> types.WorkspaceEdit | None:
    if not edits:
        return None
    grouped: dict[str, list[types.TextEdit]] = {}
    for edit in edits:
        uri, convert = server.converter().of(document.path, edit.range.line)
        grouped.setdefault(uri, []).extend(convert.edits(document.source, [edit]))
    if server.can("workspace", "workspace_edit", "document_changes"):
        version = None if server.buffers.uris(document.path) else document.version
        return types.WorkspaceEdit(
            document_changes=[
                types.TextDocumentEdit(types.OptionalVersionedTextDocumentIdentifier(uri, version), list(each))
                for uri, each in grouped.items()
            ]
        )
    return types.WorkspaceEdit(changes=grouped)


def _asked_for(only: Any, kind: str) -> bool:
    """Whether a client that asks for `only` these kinds wants this one; a kind stands for all below it."""
    if not only:
        return True
    names = [str(getattr(item, "value", item)) for item in only]
    return any(not name or kind == name or kind.startswith(f"{name}.") for name in names)


def _meets(first: Range, second: Range) -> bool:
    """Whether two ranges touch; lines alone decide, so that the bulb shows on the whole line."""
    return first.line <= second.end_line and second.line <= first.end_line
