"""One file as the session knows it: its text and version, what the text says, the reports of its classes, and what is
drawn of them.

A report is fresh for the version it was made or confirmed for, and as long as what its file says of its class is the
same; it is settled once the last probe has confirmed it. What is drawn stays until a newer report comes, and moves with
the text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ts_shape_server.analysis import syntax
from ts_shape_server.analysis.digests import Digests
from ts_shape_server.analysis.modules import ModuleClass
from ts_shape_server.analysis.places import ClassPlace
from ts_shape_server.analysis.rewrites import Rewrite
from ts_shape_server.analysis.shifting import Shift
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range
from ts_shape_server.contract.report import Identity, Report
from ts_shape_server.deadline import within
from ts_shape_server.features.actions import Fix
from ts_shape_server.features.diagnostics import Finding, about_syntax
from ts_shape_server.features.known import Known
from ts_shape_server.features.offers import Offer
from ts_shape_server.features.shown import Shown, about_pragmas, moved, moved_findings, shown
from ts_shape_server.probing.moving import with_text
from ts_shape_server.settings import Settings
from ts_shape_server.workspace import Purposes, Snapshot


@dataclass(frozen=True)
class Code:
    """What a file says of a class of it: the digest of the class and what it reaches, what its pragmas pin, and the
    digest of the file's code that uses it.
    """

    digest: str
    init: Mapping[str, str]
    inputs: Mapping[str, str]
    skip: bool
    uses: str


@dataclass(frozen=True)
class ReportOfText:
    """A report with the text that it was made from, and what that says of the class: None where it is not in it."""

    report: Report
    text: str
    code: Code | None


@dataclass
class Document:
    """`open`: the editor has it and its text is the editor's. `read` tells at once what a text says, `parsed` is the
    last one without a syntax error. `focus` is the class last asked about, `shown` the lines on the screen. `again`:
    other files have changed since the probe that is under way began. `checked`: a check of the workspace came by, and
    what it found is told until the file changes. `fixes_wanted`: fixes are tried although it is not open.

    `drawn` is by class, `said` are the findings that the text alone gives, `told` the files in which findings were last
    told. `settled` are the classes of which the probe of the text as it is has said its last word. `repaired` are the
    classes whose fixes are in `fix_all`. `trying` are trials of what a menu may offer, `pending` the offers of menus of
    this text.
    """

    path: str
    uri: str
    text: str
    read: Callable[[str, str], Snapshot]
    version: int = 0
    open: bool = True
    snapshot: Snapshot | None = None
    obstacle: str = ""
    focus: str = ""
    shown: Range | None = None
    working: bool = False
    again: bool = False
    checked: bool = False
    fixes_wanted: bool = False
    purposes: Purposes = field(default_factory=dict)
    made: dict[str, ReportOfText] = field(default_factory=dict)
    drawn: dict[str, Shown] = field(default_factory=dict)
    said: tuple[Finding, ...] = ()
    told: set[str] = field(default_factory=set)
    parsed: Snapshot | None = None
    confirmed: dict[str, int] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    fixes: dict[str, tuple[Report, list[Fix]]] = field(default_factory=dict)
    fix_all: Fix | None = None
    repaired: frozenset[str] = frozenset()
    trying: dict[Rewrite, asyncio.Task[bool | None]] = field(default_factory=dict)
    pending: dict[tuple[str, str], Offer] = field(default_factory=dict)
    edition: int = 0
    task: asyncio.Task[None] | None = None
    _waiting: list[asyncio.Future[None]] = field(default_factory=list)
    _source: SourceText | None = None
    _quick: Snapshot | None = None
    _digests: tuple[str, Digests] | None = None
    _moved: dict[str, tuple[str, Report]] = field(default_factory=dict)

    @property
    def source(self) -> SourceText:
        if self._source is None or self._source.text != self.text:
            self._source = SourceText(self.text)
        return self._source

    @property
    def busy(self) -> bool:
        """Whether a probe is under way, or trials of fixes after it."""
        return self.task is not None and not self.task.done()

    @property
    def current(self) -> Snapshot | None:
        """What is known of the text, if it is of the text as it stands."""
        return self.snapshot if self.snapshot is not None and self.snapshot.source.text == self.text else None

    def tiers(self) -> tuple[frozenset[str], ...]:
        """The classes in the order in which a person wants to hear of them: the one that they are at, those on the
        screen, the others.
        """
        shown, modules = self.shown, () if self.current is None else self.current.modules
        seen = [item.name for item in modules if shown is not None and _overlap(item, shown)]
        return frozenset({self.focus}), frozenset(seen)

    def is_at(self, line: int) -> None:
        """A person is in this line."""
        around = [item for item in self.quick.modules if item.name_range.line <= line <= item.body.end_line]
        if around:
            self.focus = max(around, key=lambda item: item.name_range.line).name

    def places(self) -> list[ClassPlace]:
        """Where the classes of the text stand, with what the workspace used them for when it was last asked."""
        return self.current.places(self.purposes) if self.current is not None else []

    @property
    def quick(self) -> Snapshot:
        """What is known of the text as it stands, at once: what jedi adds is there when it has answered."""
        if self.current is not None:
            return self.current
        if self._quick is None or self._quick.source.text != self.text:
            self._quick = self.read(self.path, self.text)
        return self._quick

    def change(self, text: str, version: int, edits: Sequence[Shift]) -> None:
        """Take a new text, to which these edits lead one after the other."""
        for shift in edits:
            self.drawn = {name: moved(item, self.path, shift) for name, item in self.drawn.items()}
            self.move_said(self.path, shift)
        self.text, self.version = text, version
        self.edition += 1
        self.settled.clear()
        self.pending.clear()

    def move_said(self, path: str, shift: Shift) -> None:
        """An open file was edited: what is said of places in it moves."""
        if path == self.path:
            self.said = moved_findings(self.said, path, shift)
            return
        for name, item in self.drawn.items():
            if any(each.path == path for each in item.findings):
                self.drawn[name] = replace(item, findings=moved_findings(item.findings, path, shift))

    def findings(self) -> list[Finding]:
        """What the text and the reports of its classes say, of this file and of others."""
        return [*self.said, *(item for each in self.drawn.values() for item in each.findings)]

    def concerned(self) -> set[str]:
        """The files that the findings of the reports stand in, this one among them."""
        return {self.path, *(item.path for each in self.drawn.values() for item in each.findings)}

    def take_snapshot(self, snapshot: Snapshot, settings: Settings) -> None:
        """What the text says now; what was said of classes that are gone goes, unless the text does not parse."""
        self.snapshot = snapshot
        error = snapshot.classes.syntax_error
        self.said = (*about_syntax(self.path, error), *about_pragmas(snapshot, settings))
        if error is None:
            self.parsed = snapshot
            names = {item.name for item in snapshot.modules if not item.pragmas.skip}
            self.drawn = {name: item for name, item in self.drawn.items() if name in names}
            self.made = {name: item for name, item in self.made.items() if name in names}

    def stop_trying(self) -> None:
        """Forget the trials of offers: they are of another text, or of other reports."""
        trials, self.trying = self.trying, {}
        for task in trials.values():
            task.cancel()

    def is_kept(self, rewrite: Rewrite) -> bool:
        """Whether a trial has shown that an offer keeps its promise."""
        return self._verdict(rewrite) is True

    def is_refuted(self, rewrite: Rewrite) -> bool:
        """Whether a trial has shown that an offer does not keep its promise."""
        return self._verdict(rewrite) is False

    def is_to_be_tried(self, rewrite: Rewrite) -> bool:
        """Whether no trial of an offer is under way, and none has told whether it keeps its promise."""
        task = self.trying.get(rewrite)
        return task is None or (task.done() and self._verdict(rewrite) is None)

    def _verdict(self, rewrite: Rewrite) -> bool | None:
        task = self.trying.get(rewrite)
        ended = task is not None and task.done() and not task.cancelled() and task.exception() is None
        return task.result() if ended and task is not None else None

    def known(self, name: str) -> Known:
        report = self._as_it_stands(name)
        same = report is not None and self._same_code(name)
        fresh = report is not None and (same or self.confirmed.get(name) == self.edition)
        return Known(name, report, fresh, self.working and name not in self.settled, self.obstacle)

    def _as_it_stands(self, name: str) -> Report | None:
        """The last report of a class with the lines of the text as it is now."""
        made = self.made.get(name)
        if made is None or made.text == self.text:
            return None if made is None else made.report
        known = self._moved.get(name)
        if known is None or known[0] != self.text:
            known = self._moved[name] = self.text, with_text(made.report, made.text, self.text)
        return known[1]

    def _same_code(self, name: str) -> bool:
        """Whether the class, what it reaches in this file, its pragmas, and the code of the file that uses it are as
        they were when its report was made. What other classes and files do to it only a probe tells.
        """
        made = self.made[name]
        return made.code is not None and (made.text == self.text or made.code == self._code(name))

    def _code(self, name: str) -> Code | None:
        """What the text as it is now says of a class."""
        snapshot = self.quick
        item = next((each for each in (*snapshot.modules, *snapshot.classes.classes) if each.name == name), None)
        if item is None:
            return None
        if self._digests is None or self._digests[0] != self.text:
            parsed = syntax.parse(self.source)
            self._digests = self.text, Digests(parsed.lines, parsed.tree)
        uses = self._digests[1].around(name.split(".")[0], item.line)
        pragmas = item.pragmas
        return Code(item.digest, pragmas.init, pragmas.inputs, pragmas.skip, uses)

    def all_known(self) -> Mapping[str, Known]:
        names = {item.name for item in self.current.modules} if self.current is not None else set(self.made)
        return {name: self.known(name) for name in names}

    def take(self, report: Report, edition: int, settings: Settings) -> bool:
        """Keep a report made for that edition of the text, and draw it. False when the text has moved on, or when the
        report is a first one with the numbers of one run and more is known from before.
        """
        if edition != self.edition:
            return False
        name, before = report.name, self._as_it_stands(report.name)
        if report.stage != "final" and before is not None and before.status == report.status == "ok":
            if report.stage == "example":
                return False
            # What TorchScript says is asked anew; until then the last answer stays.
            report = replace(report, torchscript=before.torchscript)
        declared = None if self.current is None else self.current.module(name)
        self.made[name] = ReportOfText(report, self.text, None if declared is None else self._code(name))
        self._moved.pop(name, None)
        self.confirmed[name] = edition
        if report.stage == "final":
            self.settled.add(name)
        self._draw(name, settings)
        self.wake()
        return True

    def _draw(self, name: str, settings: Settings) -> None:
        place = next((item for item in self.places() if item.name == name), None)
        if place is not None and self.current is not None:
            before, found = self.drawn.get(name), shown(self.current, place, self.known(name), settings)
            if before is not None and self.made[name].report.stage == "example":
                # The sizes of one run would only stand there until the claim in symbols comes.
                found = replace(found, hints=before.hints)
            self.drawn[name] = found

    def fixes_of(self, name: str) -> list[Fix]:
        """The verified fixes of the class, if they are of its report as it stands."""
        return self.fixes[name][1] if self.was_tried(name) else []

    def whole_fix(self) -> Fix | None:
        """What fixes the whole file, if it is of the code of its classes as they stand."""
        known = (self.known(name).current for name in self.repaired)
        return self.fix_all if all(report is not None for report in known) else None

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


def _overlap(item: ModuleClass, lines: Range) -> bool:
    return item.name_range.line <= lines.end_line and lines.line <= item.body.end_line


def _asked(report: Report) -> list[Identity]:
    """What a report has fixes looked for."""
    reason = [] if report.reason is None else [report.reason]
    return [item.identity for item in (*reason, *report.mismatches, *report.torchscript.script.failures)]
