"""Findings of one file: from the reports of its classes and from what its own comments say, as plain data.

Severity, code and place are decided here once, for the editor and for ``check`` alike. A finding whose place is in
another file is moved to the class that it is about, with the real place as related information.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ts_shape_server.analysis.places import ClassPlace
from ts_shape_server.contract.places import Location, Range
from ts_shape_server.contract.report import Facts, Failure, Identity, Report
from ts_shape_server.features import words
from ts_shape_server.features.known import Known
from ts_shape_server.settings import Settings

Severity = Literal["error", "warning", "information", "hint"]

SEVERITIES: Mapping[str, Severity] = {
    "shape-mismatch": "error",
    "call-mismatch": "error",
    "description-mismatch": "information",
    "script-error": "information",
    "script-trap": "information",
    "trace-warning": "information",
    "unannotated-input": "hint",
    "probe-failed": "hint",
    "bad-pragma": "warning",
}
"""Every code that a diagnostic of this server can have. pages/diagnostics.md has one section for each.

Those of `TORCHSCRIPT` are warnings where somebody uses the class so, which `_severity` decides.
"""

TORCHSCRIPT = frozenset({"script-error", "script-trap", "trace-warning"})
"""Codes of findings that matter only to who scripts, traces or exports the class."""

_AT_THEIR_PLACE = frozenset({"call-mismatch", "description-mismatch", "bad-pragma"})
"""Codes of findings that stand where something is said, in whatever file that is."""

DOCUMENTATION = (Path(__file__).parent.parent / "pages" / "diagnostics.md").as_uri()
"""The page comes with the package, so that the link works wherever the server runs, without a network."""


@dataclass(frozen=True)
class Finding:
    """One diagnostic: `path` is the file it stands in, `class_name` the class it is about. `kind` and `facts` are those
    of the failure, the words are for people.
    """

    path: str
    range: Range
    code: str
    severity: Severity
    message: str
    class_name: str
    detail: str = ""
    related: tuple[Location, ...] = ()
    kind: str = ""
    facts: Facts = ()

    @property
    def identity(self) -> Identity:
        """Equal for two findings that say the same, and for the failure that one is made of."""
        return self.code, self.kind, self.facts

    def fact(self, name: str) -> str:
        """A fact as text, empty if there is none of that name."""
        return next((str(value) for key, value in self.facts if key == name), "")

    @property
    def link(self) -> str:
        return f"{DOCUMENTATION}#{self.code}"


def findings(path: str, places: Iterable[ClassPlace], known: Mapping[str, Known], settings: Settings) -> list[Finding]:
    """Everything to say about one file, in the order of its lines, without doubles."""
    found: list[Finding] = []
    for place in places:
        found.extend(_about_pragmas(path, place))
        standing = known.get(place.name)
        report = standing.current if standing is not None else None
        if report is None or place.skip:
            continue
        found.extend(
            replace(item, severity=_severity(item, place, settings))
            for item in _about_report(path, place, report, settings)
            if item.code not in place.ignore and "*" not in place.ignore
        )
    return sorted(once(found), key=lambda item: (item.path, item.range.line, item.range.column, item.code))


def once(found: Iterable[Finding]) -> list[Finding]:
    """Findings without doubles: a call is wrong once, however many classes or files it is wrong for. That a class has
    no report is said for each class; that a default None lacks its type is said once
    where it is refused in one class and misread in another.
    """
    unique: dict[tuple[object, ...], Finding] = {}
    for item in found:
        about: tuple[object, ...] = ()
        if item.code != "call-mismatch":
            about = (item.kind, item.facts, item.class_name if item.code == "probe-failed" else "")
        unique.setdefault((item.code, item.path, item.range, *about), item)
    kept = list(unique.values())
    refused = {(item.path, item.range) for item in kept if item.kind == "untyped-parameter"}
    return [item for item in kept if item.kind != "none-default" or (item.path, item.range) not in refused]


def about_syntax(path: str, error: tuple[Range, str] | None) -> list[Finding]:
    """The hint that a file which does not parse gets: none of its classes can be probed."""
    if error is None:
        return []
    message = f"No class of this file can be run: {error[1]}"
    return [Finding(path, error[0], "probe-failed", SEVERITIES["probe-failed"], message, "")]


def _about_pragmas(path: str, place: ClassPlace) -> Iterable[Finding]:
    for range_, message in place.problems:
        yield Finding(path, range_, "bad-pragma", SEVERITIES["bad-pragma"], message, place.name)


def _about_report(path: str, place: ClassPlace, report: Report, settings: Settings) -> Iterable[Finding]:
    silent = report.status in ("ok", "skipped")
    if report.reason is not None and not silent and not _is_of_syntax(path, report.reason):
        code = report.reason.code if report.status == "failed" and report.reason.code in SEVERITIES else "probe-failed"
        if code != "probe-failed" or not place.of_torch:
            yield _finding(path, place, report.reason, code)
    for failure in report.mismatches:
        yield _finding(path, place, failure, failure.code if failure.code in SEVERITIES else "call-mismatch")
    if settings.torchscript == "off" or place.of_torch:
        return
    if settings.script_errors:
        for failure in report.torchscript.script.failures:
            code = failure.code if failure.code in ("script-error", "script-trap") else "script-error"
            yield _finding(path, place, failure, code)
        yield from _unannotated(path, place, report)
    if settings.trace_warnings:
        for failure in report.torchscript.trace.failures:
            yield _finding(path, place, failure, "trace-warning")


def _severity(item: Finding, place: ClassPlace, settings: Settings) -> Severity:
    """What TorchScript refuses is a warning where somebody scripts, traces or exports the class; what a trace freezes,
    where somebody traces it.
    """
    if item.code not in TORCHSCRIPT:
        return item.severity
    if settings.torchscript in ("warning", "information"):
        return settings.torchscript
    used = "trace" in place.purposes if item.code == "trace-warning" else bool(place.purposes)
    return "warning" if used else "information"


def _is_of_syntax(path: str, reason: Failure) -> bool:
    """Whether the file's own syntax error is the reason, which is said once for the file."""
    return reason.code == "syntax-error" and reason.location is not None and reason.location.path == path


def _finding(path: str, place: ClassPlace, failure: Failure, code: str) -> Finding:
    location, related = failure.location, failure.related
    if location is not None and location.path != path and code not in _AT_THEIR_PLACE:
        related = (Location(location.path, location.range, location.message or "it happens here"), *related)
        location = None
    if location is None:
        location = Location(path, place.name_range)
    message = failure.message if code != "probe-failed" else f"{place.name} has no report: {failure.message}"
    return Finding(
        path=location.path,
        range=location.range,
        code=code,
        severity=SEVERITIES[code],
        message=message,
        class_name=place.name,
        detail=failure.detail,
        related=tuple(item for item in related if item.message),
        kind=failure.kind,
        facts=failure.facts,
    )


def _unannotated(path: str, place: ClassPlace, report: Report) -> Iterable[Finding]:
    """TorchScript takes a bare parameter for `Tensor`: a hint where a run saw something else."""
    if report.status != "ok":
        return
    inputs = {item.name: item.value for item in report.inputs}
    wanted = {
        item.name: item.type
        for item in report.torchscript.annotations
        if item.needed and item.owner == report.name and item.function == "forward"
    }
    for name, (range_, annotation) in place.parameters.items():
        if annotation is not None or name not in inputs:
            continue
        type_ = wanted.get(name, inputs[name].type)
        if type_ != "Tensor":
            seen = words.value(inputs[name])
            yield Finding(
                path=path,
                range=range_,
                code="unannotated-input",
                severity=SEVERITIES["unannotated-input"],
                kind="parameter-annotation",
                facts=(("parameter", name), ("type", type_)),
                message=f"`{name}` has no annotation, so TorchScript takes it for a Tensor; it is {type_}"
                f"{'' if seen == type_ else f' ({seen})'}.",
                class_name=place.name,
            )
