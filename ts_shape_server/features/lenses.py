"""Code lenses over each class: what it takes, gives and weighs, one to export it, and one to repair what TorchScript
refuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ts_shape_server.analysis.places import ClassPlace
from ts_shape_server.contract.places import Range
from ts_shape_server.contract.report import Report
from ts_shape_server.features import words
from ts_shape_server.features.hover import script_state
from ts_shape_server.features.known import Known

_LONGEST = 100


@dataclass(frozen=True)
class Lens:
    """`action` is what a click does with the class."""

    range: Range
    title: str
    action: Literal["report", "export", "repair"]
    class_name: str


def lenses(places: Iterable[ClassPlace], known: Mapping[str, Known]) -> list[Lens]:
    found: list[Lens] = []
    for place in places:
        if place.skip:
            continue
        standing = known.get(place.name) or Known(place.name)
        title = lens_title(standing)
        if title:
            found.append(Lens(place.name_range, title, "report", place.name))
        report = standing.current
        if report is not None and report.status == "ok":
            found.append(Lens(place.name_range, "Export TorchScript…", "export", place.name))
            if report.torchscript.script.ok is False:
                found.append(Lens(place.name_range, "Repair for TorchScript…", "repair", place.name))
    return found


def lens_title(known: Known) -> str:
    """``(B, 3, 28, 28) → (B, 10) · 31.8 K · script ✓``, or in a few words why there is nothing to say."""
    report = known.current
    if report is None:
        return "probing…" if known.running else ""
    if report.status == "ok":
        parts = [_shortened(words.flow(report)), words.count(report.parameters), _state(report)]
        return " · ".join(part for part in parts if part)
    heads = {
        "failed": "forward fails",
        "unresolved": "no report",
        "timeout": "took too long",
        "crashed": "crashed",
        "skipped": "skipped",
    }
    reason = report.reason.message if report.reason is not None else ""
    return _shortened(f"{heads[report.status]}: {reason}" if reason else heads[report.status])


def _state(report: Report) -> str:
    """Scripting's state; where it is refused, whether tracing is a way."""
    script = script_state(report.torchscript.script, "script")
    if report.torchscript.script.ok is False and report.torchscript.trace.ok:
        return f"{script}, trace ✓"
    return script


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1].rstrip() + "…"
