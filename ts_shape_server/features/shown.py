"""What an editor draws of one class: hints, lenses and findings, made from a report and carried along with the text.

While a newer report is made, what the last one said stays and moves with the code that it was said of. Only what stands
in text that is gone goes with it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ts_shape_server.analysis.places import ClassPlace
from ts_shape_server.analysis.shifting import Shift
from ts_shape_server.contract.places import Location, Range
from ts_shape_server.features.diagnostics import Finding, findings
from ts_shape_server.features.hints import InlayHint, hints
from ts_shape_server.features.known import Known
from ts_shape_server.features.lenses import Lens, lenses
from ts_shape_server.settings import Settings
from ts_shape_server.workspace import Snapshot

_WHOLE_FILE = Range(1, 0, 1 << 30, 0)


@dataclass(frozen=True)
class Shown:
    """Of one class. `findings` may stand in other files too."""

    hints: tuple[InlayHint, ...] = ()
    lenses: tuple[Lens, ...] = ()
    findings: tuple[Finding, ...] = ()


def shown(snapshot: Snapshot, place: ClassPlace, known: Known, settings: Settings) -> Shown:
    """What the report of a class comes to in the text that it was made from."""
    about = {place.name: known}
    said = findings(snapshot.path, [place], about, settings)
    return Shown(
        tuple(hints(snapshot.stored(), [place], about, settings.inlay_hints, _WHOLE_FILE)),
        tuple(lenses([place], about)),
        tuple(item for item in said if item.code != "bad-pragma"),
    )


def about_pragmas(snapshot: Snapshot, settings: Settings) -> tuple[Finding, ...]:
    """What the comments of a file say wrongly: known from the text alone."""
    return tuple(findings(snapshot.path, snapshot.places(), {}, settings))


def moved(item: Shown, path: str, shift: Shift) -> Shown:
    """The same after an edit of the file `path`, if the class stands in it."""
    return Shown(
        tuple(hint for each in item.hints if (hint := _hint(each, shift)) is not None),
        tuple(lens for each in item.lenses if (lens := _lens(each, shift)) is not None),
        moved_findings(item.findings, path, shift),
    )


def moved_findings(found: Iterable[Finding], path: str, shift: Shift) -> tuple[Finding, ...]:
    """The findings after an edit of the file `path`: those in other files stay where they are."""
    return tuple(item for each in found if (item := _finding(each, path, shift)) is not None)


def _hint(item: InlayHint, shift: Shift) -> InlayHint | None:
    place = shift.end_of_name(item.line, item.column)
    return None if place is None else replace(item, line=place[0], column=place[1])


def _lens(item: Lens, shift: Shift) -> Lens | None:
    span = shift.range(item.range)
    return None if span is None else replace(item, range=span)


def _finding(item: Finding, path: str, shift: Shift) -> Finding | None:
    span = shift.range(item.range) if item.path == path else item.range
    if span is None:
        return None
    related = tuple(place for each in item.related if (place := _location(each, path, shift)) is not None)
    return replace(item, range=span, related=related)


def _location(item: Location, path: str, shift: Shift) -> Location | None:
    span = shift.range(item.range) if item.path == path else item.range
    return None if span is None else replace(item, range=span)
