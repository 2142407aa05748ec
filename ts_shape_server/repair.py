"""Repairs a class for TorchScript: rewrites are tried in the sandbox, what proves itself stays, and what is refused
then is looked at anew, until the class scripts or nothing helps.

The one driver of the command, of the quick fixes and of fix-all. It asks for trials through a function that it is
given, so it knows neither processes nor editors. Shallow rewrites come first; one that leaves TorchScript comes last.
"""

from __future__ import annotations

import difflib
import functools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from ts_shape_server.analysis.modules import find_classes
from ts_shape_server.analysis.rewrites import LEAVES, SIGNATURE, Rewrite, Situation, proposals
from ts_shape_server.analysis.syntax import parses
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Location, Range, TextEdit
from ts_shape_server.contract.report import Failure, Report, TorchScript
from ts_shape_server.probing.requests import Trial

Attempt = Callable[[str], Awaitable[Trial]]
"""Runs a candidate text beside the original; its state is unknown (`ok` None) if it does not compute the same."""

_MOST_TRIALS = 24
_SHOWN = frozenset(["pragma", "loader", "trace", "export", "call"])
"""Where an input comes from that the author writes down."""


@dataclass(frozen=True)
class WantedRewrite:
    """A rewrite with the refusal it is for, None for what no single refusal asks for. `lines` are those that each of
    its edits makes.
    """

    rewrite: Rewrite
    failure: Failure | None
    lines: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two wishes one, wherever the lines are by now: what they are for, and the lines that they make."""
        about = None if self.failure is None else self.failure.identity
        return self.rewrite.id, about, *self.lines


@dataclass(frozen=True)
class Change:
    """A rewrite that was made: its id, and its title for people."""

    id: str
    title: str


@dataclass(frozen=True)
class Repaired:
    """The text to write, and what was changed. `whole`: the class scripts, and agrees with eager. `depth` is that of
    the deepest rewrite, `interface` tells that a function takes other arguments now. `compiled` is the best that leaves
    nothing to Python, where the text leaves something.
    """

    text: str
    state: TorchScript
    whole: bool
    changes: tuple[Change, ...] = ()
    depth: int = 0
    interface: bool = False
    trials: int = 0
    compiled: Repaired | None = None

    @property
    def titles(self) -> tuple[str, ...]:
        """What was changed, in words."""
        return tuple(change.title for change in self.changes)

    @property
    def leaves(self) -> bool:
        """Whether a part is left to Python: the script cannot be saved."""
        return self.depth >= LEAVES


def scripts(state: TorchScript) -> bool:
    """Whether a class scripts and means the same: no refusal and no trap is left."""
    return state.script.ok is True and not state.script.failures


def wishes(report: Report, text: str, state: TorchScript) -> list[WantedRewrite]:
    """Every rewrite that this state asks for, the shallow ones first."""
    source = SourceText(text)
    classes, _ = find_classes(source)
    if classes.syntax_error is not None:
        return []
    situation = Situation(source, classes, report.path, report.name, state, called=_called(report))
    found = [WantedRewrite(rewrite, failure, _lines_made(source, rewrite)) for failure, rewrite in proposals(situation)]
    return sorted(found, key=lambda wish: wish.rewrite.depth)


def _lines_made(source: SourceText, rewrite: Rewrite) -> tuple[str, ...]:
    """The lines that each edit alone leaves where it is made."""
    made = []
    for edit in rewrite.edits:
        span = edit.range
        made.append(source.line(span.line)[: span.column] + edit.text + source.line(span.end_line)[span.end_column :])
    return tuple(made)


def _called(report: Report) -> bool:
    """Whether the workspace shows what is passed to the class."""
    return any(item.source.split(" ", 1)[0] in _SHOWN for item in report.inputs)


async def repair(report: Report, text: str, attempt: Attempt, seconds: float, deepest: int = LEAVES) -> Repaired:
    """The best text that trials prove for a class within so many seconds; the text itself if none is better."""
    work = _Work(report, text, attempt, time.monotonic() + seconds)
    return await work.run(deepest)


@dataclass
class _Work:
    report: Report
    original: str
    attempt: Attempt
    deadline: float
    tried: set[tuple[object, ...]] = field(default_factory=set)
    trials: int = 0
    known: dict[str, TorchScript] = field(default_factory=dict)

    async def run(self, deepest: int) -> Repaired:
        text, state, depth, interface = self.original, self.report.torchscript, 0, False
        changes: tuple[Change, ...] = ()
        best = Repaired(text, state, scripts(state))
        while not best.whole and self.left():
            found = [wish for wish in wishes(self.report, text, state) if wish.key not in self.tried]
            chosen = _together(found, deepest)
            if not chosen:
                break
            step = await self._step(text, state, chosen)
            if step is None:
                continue
            text, state, made = step
            changes = (*changes, *dict.fromkeys(Change(wish.rewrite.id, wish.rewrite.title) for wish in made))
            depth = max([depth, *(wish.rewrite.depth for wish in made)])
            interface = interface or any(wish.rewrite.interface for wish in made)
            # Half a repair that leaves TorchScript costs something and gains nothing.
            if scripts(state) or (depth < LEAVES and _better(self.report.torchscript, state)):
                shallow = best if depth >= LEAVES else None
                best = Repaired(text, state, scripts(state), changes, depth, interface, compiled=shallow)
        return replace(best, trials=self.trials)

    def left(self) -> bool:
        return self.trials < _MOST_TRIALS and time.monotonic() < self.deadline

    async def _try(self, text: str) -> TorchScript | None:
        """The state of a text; None if it does not compute the same or is no Python."""
        if text not in self.known:
            if not parses(text):
                return None
            self.trials += 1
            trial = await self.attempt(text)
            self.known[text] = trial.torchscript
        state = self.known[text]
        return state if state.script.ok is not None else None

    async def _step(
        self, text: str, state: TorchScript, chosen: Sequence[WantedRewrite]
    ) -> tuple[str, TorchScript, Sequence[WantedRewrite]] | None:
        """All of the wishes that do no harm and help: the new text, its state, and those made. None if none does."""
        self.tried.update(wish.key for wish in chosen)
        changed = _applied(text, chosen)
        after = await self._try(changed)
        if after is not None and scripts(after):
            return changed, after, chosen
        gone = _identities(state) - _identities(after) if after is not None else Counter[object]()
        if after is not None and gone:
            helped = [wish for wish in chosen if wish.failure is None or gone[wish.failure.identity]]
            if len(helped) == len(chosen) or not self.left():
                return changed, after, chosen
            fewer = _applied(text, helped)
            state_of_fewer = await self._try(fewer)
            if state_of_fewer is not None and not _identities(state_of_fewer) - _identities(after):
                return fewer, state_of_fewer, helped
            return changed, after, chosen
        if len(chosen) == 1 or not self.left():
            return None
        half = len(chosen) // 2
        first = await self._step(text, state, chosen[:half])
        if not self.left():
            return first
        if first is None:
            return await self._step(text, state, chosen[half:])
        return first


ReportsOf = Callable[[Sequence[str]], Awaitable[Sequence[Report]]]
"""Probes classes of the file as it was, by name."""


async def repair_file(
    text: str,
    reports: Sequence[Report],
    attempt: Callable[[Report, str], Awaitable[Trial]],
    seconds: float,
    reports_of: ReportsOf,
    deepest: int = SIGNATURE,
) -> tuple[str, dict[str, Repaired]]:
    """The text with every class of these reports repaired that can be, in their order, and how each ended.

    Nothing is left to Python unless `deepest` says so: what is cannot be saved.

    A repair of one class stays only if every class of the file that it reaches computes the same, and scripts if it
    did before; `reports_of` is asked for those that `reports` does not have.
    """
    known = {report.name: report for report in reports}
    ends: dict[str, Repaired] = {}
    current = text
    for report in [report for report in reports if report.status == "ok"]:
        now = report
        if current != text:
            state = (await attempt(report, current)).torchscript
            now = replace(report, torchscript=state) if state.script.ok is not None else report
        made = await repair(now, current, functools.partial(attempt, report), seconds, deepest)
        if made.text != current:
            missing = [name for name in reached(current, made.text, report.name) if name not in known]
            known.update({item.name: item for item in (await reports_of(missing) if missing else ())})
            if not await harmless(current, made.text, report, list(known.values()), attempt, made.interface):
                made = replace(made, text=current, state=now.torchscript, whole=False, changes=())
        ends[report.name] = made
        current = made.text
    return current, ends


async def combined(
    text: str,
    parts: Sequence[tuple[Report, Sequence[TextEdit]]],
    reports: Sequence[Report],
    attempt: Callable[[Report, str], Awaitable[Trial]],
) -> tuple[TextEdit, ...]:
    """The edits of all repairs that go together: each was proven alone, and harms no class when it joins the others."""
    kept: tuple[TextEdit, ...] = ()
    current = text
    for report, edits in parts:
        together = tuple(dict.fromkeys((*kept, *edits)))
        try:
            changed = SourceText(text).apply(together)
        except ValueError:
            continue
        if not parses(changed):
            continue
        if report.name in reached(text, current, ""):
            state = (await attempt(report, changed)).torchscript
            if state.script.ok is None or not _better(report.torchscript, state):
                continue
        if await harmless(current, changed, report, reports, attempt):
            kept, current = together, changed
    return kept


async def harmless(
    before: str,
    after: str,
    repaired: Report,
    reports: Sequence[Report],
    attempt: Callable[[Report, str], Awaitable[Trial]],
    interface: bool = False,
) -> bool:
    """Whether every other class whose code changed computes the same, scripts if it did, and is refused for no more
    reasons.

    Of a class that does not run nothing can be seen: a changed signature does not stand where it reaches one. Nor does
    any change where it reaches one that scripts and takes too long to be compared.
    """
    others = {report.name: report for report in reports}
    for name in reached(before, after, repaired.name):
        report = others.get(name)
        if report is None or report.status != "ok":
            if interface:
                return False
            continue
        trial = await attempt(report, after)
        if not trial.compared:
            if interface or scripts(report.torchscript):
                return False
            continue
        state = trial.torchscript
        if state.script.ok is None or (scripts(report.torchscript) and not scripts(state)):
            return False
        if len(state.script.failures) > len(report.torchscript.script.failures):
            return False
    return True


def reached(before: str, after: str, repaired: str) -> list[str]:
    """The other classes of a file whose code, or what it reaches, a change altered."""
    was, now = _digests(before), _digests(after)
    return [name for name in was if name != repaired and was[name] != now.get(name)]


def _digests(text: str) -> dict[str, str]:
    return {item.name: item.digest for item in find_classes(SourceText(text))[0].classes}


def _together(found: Sequence[WantedRewrite], deepest: int) -> list[WantedRewrite]:
    """Wishes of the least depth that there is: one for each refusal, none that touches another's text."""
    allowed = [wish for wish in found if wish.rewrite.depth <= deepest]
    if not allowed:
        return []
    depth = allowed[0].rewrite.depth
    chosen: list[WantedRewrite] = []
    served: set[int] = set()
    for wish in allowed:
        if wish.rewrite.depth != depth or (wish.failure is not None and id(wish.failure) in served):
            continue
        if depth == LEAVES and chosen:
            break
        if not any(_overlap(wish.rewrite, other.rewrite) for other in chosen):
            chosen.append(wish)
            served.add(id(wish.failure))
    return chosen


def _overlap(one: Rewrite, other: Rewrite) -> bool:
    """Whether two rewrites cannot be made together. The same edit twice is made once."""
    for left in one.edits:
        for right in other.edits:
            if left != right and _meet(left.range, right.range):
                return True
    return False


def _meet(left: Range, right: Range) -> bool:
    starts = (left.line, left.column), (right.line, right.column)
    ends = (left.end_line, left.end_column), (right.end_line, right.end_column)
    if starts[0] == ends[0] or starts[1] == ends[1]:
        return starts[0] < ends[1] and starts[1] < ends[0]
    return max(starts) < min(ends)


def _applied(text: str, chosen: Sequence[WantedRewrite]) -> str:
    edits = list(dict.fromkeys(edit for wish in chosen for edit in wish.rewrite.edits))
    try:
        return SourceText(text).apply(edits)
    except ValueError:
        return text


def _identities(state: TorchScript) -> Counter[object]:
    return Counter(item.identity for item in state.script.failures)


def _better(before: TorchScript, after: TorchScript) -> bool:
    """Whether a class scripts now, or fewer things are wrong and nothing new is.

    What a script leaves out, such as hooks, is seen only once there is one: the change did not bring it.
    """
    if scripts(after) or (before.script.ok is False and after.script.ok is True and _agrees(after)):
        return True
    was, now = _identities(before), _identities(after)
    return not now - was and sum(now.values()) < sum(was.values())


def _agrees(state: TorchScript) -> bool:
    """Whether what scripts gave the same as eager where both ran."""
    traps = [item for item in state.script.failures if item.code == "script-trap"]
    return len(traps) == len(state.script.failures) and not any(item.computes_otherwise for item in traps)


def moved(failures: Sequence[Failure], path: str, text: str, other: str) -> tuple[Failure, ...]:
    """The failures of a file with one text, at the lines where they stand in another one of the same file."""
    if text == other:
        return tuple(failures)
    matcher = difflib.SequenceMatcher(None, text.splitlines(), other.splitlines(), False)
    blocks = matcher.get_opcodes()

    def location(place: Location | None) -> Location | None:
        if place is None or place.path != path:
            return place
        span = place.range
        line, end = _line_in(blocks, span.line), _line_in(blocks, span.end_line)
        return replace(place, range=replace(span, line=line, end_line=max(line, end)))

    return tuple(
        replace(item, location=location(item.location), related=tuple(filter(None, map(location, item.related))))
        for item in failures
    )


def _line_in(blocks: Sequence[tuple[str, int, int, int, int]], line: int) -> int:
    """The line that one has become; of a changed stretch that in the same place, as far as there are so many."""
    for _, start, end, new_start, new_end in blocks:
        if start < line <= end:
            return min(new_start + line - start, max(new_end, new_start + 1))
    return line


def edits_between(before: str, after: str) -> tuple[TextEdit, ...]:
    """Edits of whole lines that turn one text into the other, as few and as small as line ends allow."""
    source = SourceText(before)
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return tuple(_line_edits(source, old, new))


def _line_edits(source: SourceText, old: list[str], new: list[str]) -> Iterator[TextEdit]:
    offsets = [0]
    for line in old:
        offsets.append(offsets[-1] + len(line))
    for kind, start, end, new_start, new_end in difflib.SequenceMatcher(None, old, new, False).get_opcodes():
        if kind == "equal":
            continue
        first, last = source.position(offsets[start]), source.position(offsets[end])
        yield TextEdit(Range(*first, *last), "".join(new[new_start:new_end]))
