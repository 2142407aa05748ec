"""Inlay hints: the shape of each parameter of `forward` and of each local right where it is assigned.

Only a report of the text as it stands makes hints: a shape beside the wrong line is worse than none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ts_shape_server.analysis.places import ClassPlace, Stored
from ts_shape_server.contract.places import Range
from ts_shape_server.contract.report import Report, ValueSpec
from ts_shape_server.features import words
from ts_shape_server.features.hover import code
from ts_shape_server.features.known import Known
from ts_shape_server.settings import InlayHints

_MOST_VISITS = 2


@dataclass(frozen=True)
class InlayHint:
    """`label` stands right at `line`, `column`; `tooltip` is markdown."""

    line: int
    column: int
    label: str
    tooltip: str


def hints(
    names: Sequence[Stored], places: Iterable[ClassPlace], known: Mapping[str, Known], mode: InlayHints, shown: Range
) -> list[InlayHint]:
    """The hints in the lines of `shown`."""
    if mode == "off":
        return []
    found: list[InlayHint] = []
    for place in places:
        standing = known.get(place.name)
        report = standing.current if standing is not None else None
        if report is None or report.status != "ok" or place.skip:
            continue
        found.extend(_parameters(place, report))
        found.extend(_locals(report, names, mode))
    return [item for item in dict.fromkeys(found) if shown.line <= item.line <= shown.end_line]


def _parameters(place: ClassPlace, report: Report) -> Iterator[InlayHint]:
    inputs = {item.name: item for item in report.inputs}
    for name, (range_, annotation) in place.parameters.items():
        item = inputs.get(name)
        if item is not None and annotation is None and _tells(item.value):
            label = f": {words.short(item.value)}"
            yield InlayHint(range_.end_line, range_.end_column, label, code(words.parameter(item)))


def _tells(spec: ValueSpec) -> bool:
    return spec.dims is not None or bool(spec.items)


def _locals(report: Report, names: Sequence[Stored], mode: InlayHints) -> Iterator[InlayHint]:
    visits: dict[tuple[str, int], list[ValueSpec]] = {}
    for item in report.variables:
        if _tells(item.value) and item.name != "_":
            visits.setdefault((item.name, item.line), []).append(item.value)
    before = {item.name: words.short(item.value) for item in report.inputs}
    for (name, line), values in sorted(visits.items(), key=lambda entry: entry[0][1]):
        shapes = list(dict.fromkeys(words.short(item) for item in values))
        label = " or ".join(shapes[:_MOST_VISITS]) + (" or …" if len(shapes) > _MOST_VISITS else "")
        place = _place(names, name, line)
        unchanged = before.get(name) == label
        before[name] = label
        if place is not None and not (unchanged and mode == "changed"):
            tooltip = "\n\n".join(code(f"{name}: {words.value(item)}") for item in dict.fromkeys(values))
            yield InlayHint(place.line, place.column, f": {label}", tooltip)


def _place(names: Sequence[Stored], name: str, line: int) -> Stored | None:
    """The innermost statement around `line` that binds `name`."""
    around = [item for item in names if item.name == name and item.first_line <= line <= item.last_line]
    return max(around, key=lambda item: item.first_line, default=None)
