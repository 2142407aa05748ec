"""One file as the session knows it: its text and version, what the text says, the reports of its classes.

A report is fresh only for the version it was made or confirmed for: any change makes all of them stale until the store
or a probe says otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from ts_shape_server.analysis.rewrites import Rewrite
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.report import Report
from ts_shape_server.deadline import within
from ts_shape_server.features.actions import Fix
from ts_shape_server.features.diagnostics import ClassPlace
from ts_shape_server.features.known import Known
from ts_shape_server.workspace import Purposes, Snapshot


@dataclass
class Document:
    """`open`: the editor has it and its text is the editor's. `focus` is the class last asked about.
    `trying` are trials of what a menu may offer.
    """

    path: str
    uri: str
    text: str
    version: int = 0
    open: bool = True
    snapshot: Snapshot | None = None
    obstacle: str = ""
    focus: str = ""
    working: bool = False
    purposes: Purposes = field(default_factory=dict)
    reports: dict[str, Report] = field(default_factory=dict)
    confirmed: dict[str, int] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    fixes: dict[str, tuple[Report, list[Fix]]] = field(default_factory=dict)
    fix_all: Fix | None = None
    trying: dict[Rewrite, asyncio.Task[bool]] = field(default_factory=dict)
    edition: int = 0
    task: asyncio.Task[None] | None = None
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)
    _source: SourceText | None = None

    @property
    def source(self) -> SourceText:
        if self._source is None or self._source.text != self.text:
            self._source = SourceText(self.text)
        return self._source

    @property
    def current(self) -> Snapshot | None:
        """What is known of the text, if it is of the text as it stands."""
        return self.snapshot if self.snapshot is not None and self.snapshot.source.text == self.text else None

    def places(self) -> list[ClassPlace]:
        """Where the classes of the text stand, with what the workspace used them for when it was last asked."""
        return self.current.places(self.purposes) if self.current is not None else []

    def change(self, text: str, version: int) -> None:
        self.text, self.version = text, version
        self.edition += 1
        self.settled.clear()

    def stop_trying(self) -> None:
        """Forget the trials of offers: they are of another text, or of other reports."""
        trials, self.trying = self.trying, {}
        for task in trials.values():
            task.cancel()

    def known(self, name: str) -> Known:
        report = self.reports.get(name)
        fresh = report is not None and self.confirmed.get(name) == self.edition
        running = self.working and name not in self.settled
        return Known(name, report, fresh, running, self.obstacle)

    def all_known(self) -> Mapping[str, Known]:
        names = {item.name for item in self.current.modules} if self.current is not None else set(self.reports)
        return {name: self.known(name) for name in names}

    def take(self, report: Report, edition: int) -> bool:
        """Keep a report made for that edition of the text; False when the text has moved on."""
        if edition != self.edition:
            return False
        self.reports[report.name] = report
        self.confirmed[report.name] = edition
        if report.stage == "final":
            self.settled.add(report.name)
        self.wake()
        return True

    def fixes_of(self, name: str) -> list[Fix]:
        """The verified fixes of the class, if they are of its report as it stands."""
        return self.fixes[name][1] if self.was_tried(name) else []

    def was_tried(self, name: str) -> bool:
        """Whether the candidates that the report makes today went through a trial. Its lines may have moved since."""
        report, _ = self.fixes.get(name, (None, []))
        current = self.known(name).current
        if report is None or current is None:
            return False
        before, now = _asked(report), _asked(current)
        return before == now and report.torchscript.annotations == current.torchscript.annotations

    def wake(self) -> None:
        """Tell everyone who waits that something is new."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def news(self, seconds: float) -> bool:
        """Wait until something is new; False when it took too long."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            await within(future, seconds)
        except asyncio.TimeoutError:
            return False
        return True


def _asked(report: Report) -> list[str]:
    """What a report has fixes looked for."""
    reason = [] if report.reason is None else [report.reason]
    return [item.message for item in (*reason, *report.mismatches, *report.torchscript.script.failures)]
