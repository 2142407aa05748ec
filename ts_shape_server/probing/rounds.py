"""One job about the classes of a file: what it has claimed so far, at which class it was, and what its end means.

A child that is killed over one class leaves the others to a fresh one. Where it was still loading the file, the class
gets another chance too: on a slice of the file.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ts_shape_server.contract.jobs import ProbeClaim
from ts_shape_server.contract.report import Failure, Report, Status, without_report
from ts_shape_server.probing.agents import Done
from ts_shape_server.probing.confining import Holds, confined
from ts_shape_server.probing.requests import ClassRequest, FileRequest

_REASONS: Mapping[str, tuple[Status, str]] = {
    "timeout": (
        "timeout",
        "The probe took too long and was ended: {detail}. A constructor or `forward` that works this long, or for "
        "ever, cannot be probed; raise `timeoutMs` if it needs the time.",
    ),
    "memory": ("crashed", "The probe was ended: {detail}. Raise `memoryMegabytes` if the class needs it."),
    "crashed": ("crashed", "The probe died: {detail}."),
    "sandbox": ("unresolved", "The probe was not run: {detail}. Look at the log."),
    "finished": ("crashed", "The code ended the probe before it could report."),
    "cancelled": ("unresolved", "The probe was cancelled."),
}


def sentence(done: Done) -> tuple[Status, str]:
    """The status and the words for a class over which a job ended."""
    status, text = _REASONS[done.outcome]
    return status, text.format(detail=done.detail or "no reason was given")


Tiers = Sequence[Collection[str]]
"""Names of classes that go first, then of those that go second, and so on; all others go last."""


def tier_of(name: str, tiers: Tiers) -> int:
    """The first of the tiers that a class is in; how many there are for one that is in none."""
    return next((number for number, names in enumerate(tiers) if name in names), len(tiers))


@dataclass
class Round:
    """The claims of one job. `final` holds the reports that are done; `on_final` is told each, with the files that it
    was made from (None: that is not known), before `on_report` is. What a report says of files that `holds` does not
    know is left out.
    """

    request: FileRequest
    classes: Sequence[ClassRequest]
    on_report: Callable[[Report], None]
    on_final: Callable[[ClassRequest, Report, list[str] | None], None] = lambda item, report, depends: None
    holds: Holds = lambda path: True  # a default of a field
    final: dict[str, Report] = field(default_factory=dict)
    _partial: dict[str, Report] = field(default_factory=dict)
    _current: str | None = None
    _loading: bool = True
    _began: float = 0.0
    _begun: asyncio.Event = field(default_factory=asyncio.Event)

    def claim(self, claim: ProbeClaim) -> None:
        """Take a claim. One that speaks of another class is dropped."""
        item = next((item for item in self.classes if item.name == claim.name), None)
        if item is None:
            return
        if claim.begin is not None:
            self._current, self._loading = item.name, claim.phase == "load"
            self._began = time.monotonic()
            if self._loading:
                self._begun.set()
        elif claim.report is not None and item.name not in self.final:
            told = replace(claim.report, path=self.request.path, name=item.name, line=item.line)
            report = confined(told, self.holds)
            if report.stage == "final":
                self.final[item.name] = report
                self.on_final(item, report, list(claim.depends))
            else:
                self._partial[item.name] = report
            self.on_report(report)

    async def next_class(self, running: asyncio.Future[Any], seconds: float) -> bool:
        """Whether the job has begun with a class. Returns after so many seconds, and when the job has ended, too."""
        self._begun.clear()
        begun: asyncio.Future[Any] = asyncio.ensure_future(self._begun.wait())
        try:
            await asyncio.wait({running, begun}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            begun.cancel()
        return self._begun.is_set()

    def gives_way(self, tiers: Tiers) -> bool:
        """Whether a class that has no report yet is to go before the one that the job is at."""
        current = len(tiers) if self._current is None else tier_of(self._current, tiers)
        return any(tier_of(item.name, tiers) < current for item in self.classes if item.name not in self.final)

    def held_up_by(self, seconds: float) -> str | None:
        """The class that has taken longer than this, empty while it is the file that is loaded; None: nothing has."""
        if self._current is None or time.monotonic() - self._began < seconds:
            return None
        return "" if self._loading else self._current

    def ended_loading(self, done: Done) -> bool:
        """Whether the job ended over the file as a whole, before any class was run."""
        unfinished = any(item.name not in self.final for item in self.classes)
        return unfinished and self._loading and done.outcome in ("timeout", "memory", "crashed", "finished")

    def finish(self, done: Done) -> None:
        """Give the class over which the job ended its final report. At least one class is final afterwards."""
        names = [item.name for item in self.classes]
        if self._current in names and self._current not in self.final:
            guilty = self._current
        elif not self.final:
            guilty = names[0]
        else:
            return
        item = next(item for item in self.classes if item.name == guilty)
        status, message = sentence(done)
        partial = self._partial.get(item.name)
        if partial is not None:
            # What was found before the end was verified: it stands, and TorchScript stays unknown.
            report = replace(partial, stage="final", evidence=(*partial.evidence, message))
        else:
            code = done.outcome if done.outcome != "finished" else "crashed"
            report = without_report(self.request.path, item.name, item.line, status, Failure(code, message))
        self.final[item.name] = report
        self.on_final(item, report, None)
        self.on_report(report)
