"""What is told of a variable that holds an instance: the report of its class, made with the arguments of this instance.

The report that a file has of a class may be of other arguments. Where those of the instance are known, the class is
probed with them alone: what other calls of it say is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ts_shape_server.analysis.instance_calls import InstanceCall, by_parameter, same_arguments
from ts_shape_server.analysis.modules import ModuleClass
from ts_shape_server.contract.asked import CallEvidence, Pinned
from ts_shape_server.contract.report import Report
from ts_shape_server.features import hover
from ts_shape_server.features.known import Known
from ts_shape_server.lsp.documents import Document
from ts_shape_server.probing.requests import FileRequest
from ts_shape_server.probing.service import ProbeService
from ts_shape_server.workspace import Snapshot

if TYPE_CHECKING:
    from ts_shape_server.lsp.session import EditorSession

MOST = 64
"""InstanceReports whose reports are remembered."""
Asked = tuple[int, str, str, str, tuple[tuple[str, str], ...]]
"""The state of all files, path and text of the one that defines the class, the class, the arguments by parameter."""


class InstanceReports:
    """Reports of instances, those under way among them."""

    def __init__(self) -> None:
        self._asked: dict[Asked, asyncio.Task[Report | None]] = {}

    async def told(
        self, session: EditorSession, owner: Document, name: str, call: InstanceCall, wait: float
    ) -> str | None:
        """Markdown for what a call of the class `name` of a file makes; None where its arguments do not tell."""
        service, snapshot = session.scope(owner.path).service, owner.current
        declared = None if snapshot is None else snapshot.module(name)
        if service is None or snapshot is None or declared is None or declared.init is None:
            return None
        given = by_parameter(declared.init, call.arguments)
        known = owner.known(name)
        if given is None:
            return None
        if known.current is not None and same_arguments(_init(known.current), given):
            return hover.class_hover(known, declared)
        asked: Asked = (session.state, owner.path, owner.text, name, tuple(sorted(given.items())))
        task = self._asked.get(asked)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            probing = self._probe(session, service, snapshot, declared, given)
            task = self._asked[asked] = session.keep(asyncio.ensure_future(probing))
            for old in list(self._asked)[:-MOST]:
                self._asked.pop(old)
        done, _ = await asyncio.wait({task}, timeout=max(wait, 0.2))
        if not done:
            return hover.instance_hover(Known(name, None, running=True), call.text, declared)
        report = None if task.cancelled() or task.exception() is not None else task.result()
        return None if report is None else hover.instance_hover(Known(name, report, fresh=True), call.text, declared)

    async def _probe(
        self,
        session: EditorSession,
        service: ProbeService,
        snapshot: Snapshot,
        declared: ModuleClass,
        given: Mapping[str, str],
    ) -> Report | None:
        """The report of a class with these arguments; None where it was made with others after all."""
        request = await asyncio.to_thread(session.scope(snapshot.path).workspace.request, snapshot, [declared.name])
        reports = await service.reports(_with_arguments(request, declared, given), lambda report: None)
        report = next(iter(reports), None)
        if report is None or not same_arguments(_init(report), given):
            return None
        # They were pinned like those that a comment says.
        init = tuple((name, replace(item, source="")) for name, item in report.init)
        return replace(report, init=init, evidence=tuple(item for item in report.evidence if item != "pragma"))


def _with_arguments(request: FileRequest, declared: ModuleClass, given: Mapping[str, str]) -> FileRequest:
    """The question about a class with these arguments, and with what calls of an instance with the same say."""

    def is_of_same(item: CallEvidence) -> bool:
        own = None if item.init is None or declared.init is None else by_parameter(declared.init, item.init)
        return own is not None and same_arguments(own, given)

    classes = []
    for item in request.classes:
        evidence = tuple(each for each in item.asked.evidence if is_of_same(each))
        asked = replace(item.asked, pragmas=Pinned(dict(given)), evidence=evidence, parents=())
        classes.append(replace(item, asked=asked, parent_digests=()))
    return replace(request, classes=tuple(classes))


def _init(report: Report) -> dict[str, str]:
    return {name: item.expression for name, item in report.init}
