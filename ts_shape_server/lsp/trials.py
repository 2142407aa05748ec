"""Tries changes of one file in the sandbox: what a menu offers has been run before it is shown.

A change is tried in two ways: beside the original, where it must compute the same, or as a file of its own, whose
report must say what the change promises. It knows neither the protocol nor where the changes come from.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace

from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import TextEdit
from ts_shape_server.contract.report import Failure, Report
from ts_shape_server.features import actions
from ts_shape_server.features.offers import Offer, annotated, told
from ts_shape_server.probing.service import FileRequest, ProbeService, Trial
from ts_shape_server.repair import combined, harmless, reached, repair, scripts
from ts_shape_server.workspace import Snapshot, Workspace

log = logging.getLogger(__name__)

_REPAIR_SECONDS = 60.0
"""So long is a repair of a class looked for, with the agent kept from nothing that a change of the text asks."""
_NO_AGENT = frozenset(
    {"no-interpreter", "no-torch", "old-torch", "old-python", "no-start", "died", "wrong-protocol", "sandbox"}
)


def is_of_agent(report: Report) -> bool:
    """Whether a report speaks of the agent and not of its class."""
    return report.status == "unresolved" and report.reason is not None and report.reason.code in _NO_AGENT


def _holding_every_call(request: FileRequest) -> FileRequest:
    """The request with each call of the workspace held against its class as if it were certain."""
    classes = []
    for item in request.classes:
        every = tuple(replace(call, certain="values") for call in item.asked.evidence)
        classes.append(replace(item, asked=replace(item.asked, evidence=every)))
    return replace(request, classes=tuple(classes))


class RewriteTrials:
    """Of one file at one moment."""

    def __init__(self, service: ProbeService, workspace: Workspace, snapshot: Snapshot, request: FileRequest) -> None:
        self._service, self._workspace, self._snapshot, self._request = service, workspace, snapshot, request

    @property
    def text(self) -> str:
        return self._snapshot.source.text

    async def beside(self, report: Report, changed: str) -> Trial:
        """The changed file beside the original, on the same inputs and weights."""
        return await self._service.trial(self._request, report.name, report, changed)

    async def alone(self, name: str, changed: str, every_call: bool = False) -> Report | None:
        """The report of a class of the changed file; None where it is no module there. With `every_call` it tells also
        of calls that may never be reached, or not as they stand, which is no reason to call them wrong.
        """
        snapshot = await asyncio.to_thread(self._workspace.snapshot, self._snapshot.path, changed)
        if snapshot.classes.syntax_error is not None or snapshot.module(name) is None:
            return None
        request = await asyncio.to_thread(self._workspace.request, snapshot, [name])
        if every_call:
            request = _holding_every_call(request)
        reports = await self._service.reports(request, lambda report: None)
        return reports[0] if reports else None

    async def fixes(self, report: Report, known: Sequence[Report]) -> list[actions.Fix]:
        """What mends a class: sizes that disagree, else what TorchScript refuses. `known` are the file's reports."""
        misfits = actions.misfits(report)
        if misfits or report.status != "ok":
            return [fix for failure in misfits for fix in await self._fitting(report, failure, known)]
        if scripts(report.torchscript):
            return []
        return await self._repairs(report, known)

    async def _fitting(self, report: Report, failure: Failure, known: Sequence[Report]) -> list[actions.Fix]:
        fixes = []
        for candidate in actions.fitting(report, self.text, failure):
            changed = SourceText(self.text).apply(candidate.rewrite.edits)
            after = await self.alone(report.name, changed)
            fix = None if after is None else actions.fits(candidate, report, self.text, failure, after)
            if fix is not None and not await self._is_accepted(changed, report, failure, known):
                fix = None
            log.debug("%s: %s", candidate.title, "verified" if fix is not None else "does not help")
            if fix is not None:
                fixes.append(fix)
        return actions.with_preferred(fixes)

    async def _is_accepted(self, changed: str, report: Report, failure: Failure, known: Sequence[Report]) -> bool:
        """Whether no call that a class takes as it is fails with the change: a call of the class itself, certain or
        not, or one of the file's classes that hold it. A class that takes nothing has nothing to lose.
        """
        if report.status != "ok":
            return True
        after = await self.alone(report.name, changed, every_call=True)
        if after is None or after.status != "ok":
            return False
        if actions.refuses_more(report, after, failure):
            before = await self.alone(report.name, self.text, every_call=True)
            if before is None or actions.refuses_more(before, after, failure):
                return False
        holders = {item.name: item for item in known if item.status == "ok"}
        for name in reached(self.text, changed, report.name):
            if name in holders:
                held = await self.alone(name, changed)
                if held is None or held.status != "ok" or actions.refuses_more(holders[name], held):
                    return False
        return True

    async def _repairs(self, report: Report, known: Sequence[Report]) -> list[actions.Fix]:
        """The repair of the whole class, and each rewrite that helps alone, if no other class is the worse for it."""

        def attempt(changed: str) -> Awaitable[Trial]:
            return self.beside(report, changed)

        done = await repair(report, self.text, attempt, _REPAIR_SECONDS)
        fixes = []
        for made in (done.compiled, done) if done.compiled is not None else (done,):
            fix = actions.repaired(made, report, self.text)
            if fix is not None and await self._harmless(made.text, report, known, made.interface):
                fixes.append(fix)
        proven = {SourceText(self.text).apply(fix.edits) for fix in fixes}
        for candidate in actions.candidates(report, self.text):
            if SourceText(self.text).apply(candidate.rewrite.edits) in proven:
                continue
            rewrite, changed = candidate.rewrite, SourceText(self.text).apply(candidate.rewrite.edits)
            trial = await attempt(changed)
            log.debug("%s: %s", candidate.title, "verified" if trial.ok else trial.reason)
            if trial.ok and await self._harmless(changed, report, known, rewrite.interface):
                fixes.append(actions.verified(candidate, report, self.text, trial.torchscript))
        return fixes

    async def _harmless(self, changed: str, report: Report, known: Sequence[Report], interface: bool) -> bool:
        return await harmless(self.text, changed, report, known, self.beside, interface)

    async def keeps(self, offer: Offer, report: Report, also: Sequence[Report] = ()) -> bool | None:
        """Whether a change does what it promises, for the class and for those that it reaches `also`; None where that
        could not be tried.
        """
        changed = SourceText(self.text).apply(offer.rewrite.edits)
        if offer.promise == "annotated":
            kept = await self._annotates(offer, (report, *also), changed)
        else:
            kept = await self._tells(offer, report, changed)
        log.debug("%s: %s", offer.title, "not tried" if kept is None else "proven" if kept else "not so")
        return kept

    async def _annotates(self, offer: Offer, reports: Sequence[Report], changed: str) -> bool | None:
        untried = False
        for item in reports:
            trial = await self.beside(item, changed)
            if not trial.compared and trial.torchscript.script.ok is None:
                untried = True
            elif not annotated(offer, item, trial.torchscript):
                return False
        return None if untried else True

    async def _tells(self, offer: Offer, report: Report, changed: str) -> bool | None:
        after = await self.alone(offer.class_name, changed)
        if after is not None and is_of_agent(after):
            return None
        return after is not None and told(offer, report, after)

    async def together(
        self, reports: Mapping[str, Report], fixes: Mapping[str, Sequence[actions.Fix]]
    ) -> tuple[TextEdit, ...]:
        """The repairs for TorchScript of all classes in one text that every one of them agrees to."""
        parts = []
        for name, report in reports.items():
            if report.status != "ok" or actions.misfits(report):
                continue
            # A fix that was tried before an edit elsewhere in the file stands where its lines are now.
            moved = [actions.edits_for(fix, self.text) for fix in fixes[name] if fix.preferred]
            parts += [(report, edits) for edits in moved if edits]
        return await combined(self.text, parts, list(reports.values()), self.beside)
