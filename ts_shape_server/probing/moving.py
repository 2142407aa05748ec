"""Follows a kept report to where its code and its evidence stand now: what decided is the same, only lines have moved.

Pure: takes reports, texts and places, and gives reports.
"""

from __future__ import annotations

import bisect
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from ts_shape_server.contract.places import Location, Range
from ts_shape_server.contract.report import Argument, Failure, FunctionFacts, Layer, Report, TorchScript, Variable

_MOST_COMPARED = 1_000_000
"""Beyond so many pairs of lines those that occur often are not compared."""
Place = tuple[str, int, str]
"""Where a piece of evidence stands: a file, a line, and the label that says so."""


def with_text(report: Report, old: str, new: str) -> Report:
    """`report` with the lines of its own file as they are in `new`."""
    if old == new:
        return report
    # Where each run of lines that stayed the same begins, in the old text and the new.
    runs = sorted(_matching(old.splitlines(), new.splitlines()))
    starts = [start for start, _, _ in runs]

    def line(number: int) -> int:
        place = bisect.bisect_right(starts, number - 1) - 1
        return number if place < 0 else number - runs[place][0] + runs[place][1]

    def layer(item: Layer) -> Layer:
        visits = tuple(replace(visit, line=line(visit.line)) for visit in item.visits)
        return replace(item, line=None if item.line is None else line(item.line), visits=visits)

    def variable(item: Variable) -> Variable:
        return replace(item, line=line(item.line))

    def facts(item: FunctionFacts) -> FunctionFacts:
        values = tuple((_shifted(span, line), kind) for span, kind in item.values)
        return replace(
            item, line=line(item.line), values=values, idle=tuple(_shifted(span, line) for span in item.idle)
        )

    moved = _relocated(report, lambda place: _at(place, line) if place.path == report.path else place)
    return replace(
        moved,
        line=line(report.line),
        torchscript=replace(moved.torchscript, facts=tuple(map(facts, report.torchscript.facts))),
        layers=tuple(map(layer, report.layers)),
        variables=tuple(map(variable, report.variables)),
        uses=tuple(map(variable, report.uses)),
    )


def _matching(old: list[str], new: list[str]) -> Iterator[tuple[int, int, int]]:
    """Runs of equal lines: where they begin in both texts, from 0, and how many lines they are.

    What is the same at both ends costs nothing; comparing the rest may cost the product of its lengths.
    """
    shorter = min(len(old), len(new))
    head = next((place for place in range(shorter) if old[place] != new[place]), shorter)
    left = shorter - head
    tail = next((place for place in range(left) if old[-1 - place] != new[-1 - place]), left)
    middle = old[head : len(old) - tail], new[head : len(new) - tail]
    yield 0, 0, head
    matcher = difflib.SequenceMatcher(None, *middle, autojunk=len(middle[0]) * len(middle[1]) > _MOST_COMPARED)
    for block in matcher.get_matching_blocks():
        if block.size:
            yield block.a + head, block.b + head, block.size
    if tail:
        yield len(old) - tail, len(new) - tail, tail


def with_places(report: Report, old: Sequence[Place], new: Sequence[Place]) -> Report:
    """`report` with its evidence, the same pieces in the same order, named and found where it stands now."""
    if tuple(old) == tuple(new) or len(old) != len(new):
        return report
    labels: dict[str, str] = {}
    lines: dict[tuple[str, int], int] = {}
    for (path, number, label), (_, now, label_now) in zip(old, new, strict=True):
        labels.setdefault(label, label_now)
        lines.setdefault((path, number), now)

    def location(place: Location) -> Location:
        now = lines.get((place.path, place.range.line))
        if now is None or place.path == report.path:
            return place
        return _at(place, lambda number: number + now - place.range.line)

    moved = _relocated(report, location)
    return replace(
        moved,
        evidence=tuple(labels.get(item, item) for item in report.evidence),
        inputs=tuple(replace(item, source=labels.get(item.source, item.source)) for item in report.inputs),
        init=_renamed(report, labels),
    )


def _renamed(report: Report, labels: Mapping[str, str]) -> tuple[tuple[str, Argument], ...]:
    return tuple((name, replace(item, source=labels.get(item.source, item.source))) for name, item in report.init)


def _at(place: Location, line: Callable[[int], int]) -> Location:
    return replace(place, range=_shifted(place.range, line))


def _shifted(span: Range, line: Callable[[int], int]) -> Range:
    return Range(line(span.line), span.column, line(span.end_line), span.end_column)


def _relocated(report: Report, location: Callable[[Location], Location]) -> Report:
    """`report` with every location of its failures passed through `location`."""

    def failure(item: Failure) -> Failure:
        return replace(
            item,
            location=None if item.location is None else location(item.location),
            related=tuple(location(place) for place in item.related),
        )

    scripted = report.torchscript
    return replace(
        report,
        reason=None if report.reason is None else failure(report.reason),
        mismatches=tuple(map(failure, report.mismatches)),
        torchscript=TorchScript(
            replace(scripted.script, failures=tuple(map(failure, scripted.script.failures))),
            replace(scripted.trace, failures=tuple(map(failure, scripted.trace.failures))),
            scripted.annotations,
            scripted.facts,
        ),
    )
