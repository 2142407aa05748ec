"""What a person is told who chose an entry of a menu: its edit, or a sentence that is true of why there is none."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lsprotocol import types

from ts_shape_server.analysis.rewrites import Rewrite
from ts_shape_server.contract.places import Location, Range, TextEdit
from ts_shape_server.contract.report import Disagreement, Failure, Report, TorchScript, without_report
from ts_shape_server.features.actions import Fix
from ts_shape_server.features.diagnostics import Finding
from ts_shape_server.features.offers import Offer
from ts_shape_server.lsp import menu
from ts_shape_server.lsp.documents import Document
from ts_shape_server.lsp.session import EditorSession
from ts_shape_server.lsp.trials import RewriteTrials
from ts_shape_server.probing.requests import Trial
from ts_shape_server.settings import Settings
from ts_shape_server.workspace import Workspace

PATH = "/somewhere/net.py"
TEXT = "from torch import nn\n\n\nclass Net(nn.Module):\n    def forward(self, x):\n        return x\n"
REWRITE = Rewrite("note", "Say what it is", (TextEdit(Range(4, 0, 4, 0), "# a net\n"),))
OFFER = Offer("Net", REWRITE, "annotated")
HOLDS_NOT = "does not hold"


class Editor:
    """A server with one document, of which the test says how a trial ends; `said` is what a person is told."""

    def __init__(self, verdict: bool | None = True, text: str = TEXT) -> None:
        self.said: list[str] = []
        self.verdict = verdict
        workspace = Workspace(())
        self.document = Document(PATH, Path(PATH).as_uri(), text, workspace.quick, 1)
        self.document.take_snapshot(workspace.quick(PATH, text), Settings())
        self.document.take(Report(PATH, "Net", 4, "ok", stage="final"), self.document.edition, Settings())
        self.session: Any = EditorSession(lambda paths: None, lambda status: None, lambda words: None)
        self.session.scope().service = object()
        self.session.files.documents[PATH] = self.document
        self.session.proven = self.proven
        self.buffers = SimpleNamespace(path=lambda uri: PATH, uris=lambda path: [])

    async def proven(self, document: Document, possible: list[Offer], seconds: float) -> list[Offer]:
        async def tried() -> bool | None:
            return self.verdict

        task = document.trying[REWRITE] = asyncio.ensure_future(tried())
        await asyncio.wait({task})
        return [offer for offer in possible if document.is_kept(offer.rewrite)]

    def window_show_message(self, params: types.ShowMessageParams) -> None:
        self.said.append(params.message)

    def converter(self) -> Any:
        convert = SimpleNamespace(edits=lambda source, edits: [repr(edit) for edit in edits])
        return SimpleNamespace(of=lambda path, line: (self.document.uri, convert), diagnostic=lambda finding: finding)

    def can(self, *names: str) -> bool:
        return False

    def offered(self) -> types.CodeAction:
        """An entry of a menu of the text as it is, whose trial is still to come."""
        change = menu._change_of(OFFER)
        self.document.pending[("Net", change)] = OFFER
        return menu._pending(self.document, OFFER)

    async def chosen(self, action: types.CodeAction) -> types.CodeAction:
        server: Any = self
        return await menu.resolve(server, action)


async def test_what_is_proven_has_its_edit() -> None:
    editor = Editor()
    assert (await editor.chosen(editor.offered())).edit is not None
    assert editor.said == []


async def test_what_was_refuted_is_told_as_that() -> None:
    editor = Editor(verdict=False)
    assert (await editor.chosen(editor.offered())).edit is None
    assert [HOLDS_NOT in said for said in editor.said] == [True]


@pytest.mark.parametrize("again", [False, True], ids=["the menu is closed", "another menu has the same entry"])
async def test_the_edits_of_one_text_are_not_made_in_another(again: bool) -> None:
    editor = Editor()
    action = editor.offered()
    editor.document.change("# one line more\n" + TEXT, 2, ())
    if again:
        editor.offered()
    assert (await editor.chosen(action)).edit is None
    assert ["has changed since" in said for said in editor.said] == [True]


@pytest.mark.parametrize("why", ["nobody could try it", "no agent", "no trust"])
async def test_what_was_not_tried_is_not_told_as_refuted(why: str) -> None:
    editor = Editor(verdict=None)
    if why == "no agent":
        editor.document.obstacle = "No interpreter has torch."
    if why == "no trust":
        editor.session.scope().service = None
    assert (await editor.chosen(editor.offered())).edit is None
    (said,) = editor.said
    assert HOLDS_NOT not in said
    assert editor.document.obstacle in said
    assert ("not trusted" in said) == (why == "no trust")


async def test_a_repair_that_was_not_looked_for_is_not_told_as_not_found() -> None:
    editor = Editor()
    server: Any = editor
    data = {"uri": editor.document.uri, "class": "Net", "repair": True}
    await editor.chosen(types.CodeAction("Repair Net for TorchScript", data=data))
    report = editor.document.known("Net").current
    assert report is not None
    editor.document.fixes["Net"] = (report, [])
    await editor.chosen(types.CodeAction("Repair Net for TorchScript", data=data))
    assert ["was found" in said for said in editor.said] == [False, True]
    assert (await menu.repair(server, editor.document, "Net")).edit is None


NARROW = TEXT.replace(
    "    def forward", "    def __init__(self):\n        self.fc = nn.Linear(3, 2)\n\n    def forward"
)
CALL = Range(9, 0, 9, 5)


@pytest.mark.parametrize("proven", [True, False])
async def test_sizes_that_disagree_are_in_the_menu_while_changes_are_tried(proven: bool) -> None:
    editor = Editor(text=NARROW)
    server: Any = editor
    refused = Failure(
        "call-mismatch", "", Location(PATH, CALL), sizes=Disagreement(3, 5, "fc"), kind="shape-denied"
    )  # fmt: skip
    report = Report(PATH, "Net", 4, "ok", stage="final", mismatches=(refused,))
    found = Finding(PATH, CALL, "call-mismatch", "error", "", "Net", kind="shape-denied")
    editor.document.take(report, editor.document.edition, Settings())
    editor.session.findings = lambda path: [found]
    assert menu._being_tried(server, editor.document, CALL) == []
    editor.document.task = asyncio.ensure_future(asyncio.sleep(60))
    (action,) = menu._being_tried(server, editor.document, CALL)
    assert "`fc`" in action.title and action.edit is None
    assert menu._being_tried(server, editor.document, Range(1, 0, 1, 0)) == []
    chosen = asyncio.ensure_future(editor.chosen(action))
    await asyncio.sleep(0)
    edits = (TextEdit(Range(6, 28, 6, 29), "5"),)
    fix = Fix("Net", "Set", NARROW, edits, True, frozenset({refused.identity}))
    editor.document.fixes["Net"] = (report, [fix] if proven else [])
    editor.document.wake()
    assert ((await chosen).edit is not None) == proven
    assert bool(editor.said) == (not proven)
    assert menu._being_tried(server, editor.document, CALL) == []
    editor.document.task.cancel()


async def verdict(offer: Offer, trial: Trial | None = None, after: Report | None = None) -> bool | None:
    """What the trial of an offer comes to with these answers of the agent."""

    async def beside(report: Report, changed: str) -> Trial | None:
        return trial

    async def alone(name: str, changed: str) -> Report | None:
        return after

    nothing: Any = None
    snapshot: Any = SimpleNamespace(source=SimpleNamespace(text=TEXT))
    trials: Any = RewriteTrials(nothing, nothing, snapshot, nothing)
    trials.beside, trials.alone = beside, alone
    found: bool | None = await trials.keeps(offer, Report(PATH, "Net", 4, "ok", stage="final"))
    return found


async def test_without_an_agent_a_trial_tells_nothing() -> None:
    gone = Trial(False, "No interpreter has torch.", TorchScript(), compared=False)
    other = Trial(False, "It computes something else.", TorchScript())
    assert await verdict(OFFER, trial=gone) is None
    assert await verdict(OFFER, trial=other) is False
    reread = Offer("Net", REWRITE, "read again")
    reason = Failure("no-torch", "No interpreter has torch.")
    assert await verdict(reread, after=without_report(PATH, "Net", 4, "unresolved", reason)) is None
    assert await verdict(reread, after=None) is False
    assert await verdict(reread, after=Report(PATH, "Net", 4, "ok", stage="final")) is True


async def test_what_could_not_be_tried_is_tried_again() -> None:
    editor = Editor(verdict=None)
    assert await editor.proven(editor.document, [OFFER], 1) == []
    assert editor.document.is_to_be_tried(REWRITE) and not editor.document.is_refuted(REWRITE)
    editor.verdict = False
    assert await editor.proven(editor.document, [OFFER], 1) == []
    assert not editor.document.is_to_be_tried(REWRITE) and editor.document.is_refuted(REWRITE)
