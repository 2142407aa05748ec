"""Findings in the forms that people and machines read: lines, JSON, GitHub's workflow commands, SARIF."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ts_shape_server import __version__
from ts_shape_server.contract import schema, wire
from ts_shape_server.contract.places import Range
from ts_shape_server.contract.report import SCHEMA, Report
from ts_shape_server.features import words
from ts_shape_server.features.diagnostics import DOCUMENTATION, SEVERITIES, TORCHSCRIPT, Finding

_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_SARIF_LEVELS = {"error": "error", "warning": "warning", "information": "note", "hint": "note"}
_GITHUB_LEVELS = {"error": "error", "warning": "warning", "information": "notice", "hint": "notice"}


def shown_path(path: str) -> str:
    """Relative to the current folder where the file is below it, without what would steer a terminal."""
    return wire.printable(_relative(path))


def _relative(path: str) -> str:
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path


def text(findings: Sequence[Finding], reports: Sequence[Report]) -> str:
    lines: list[str] = []
    for item in findings:
        place = f"{shown_path(item.path)}:{item.range.line}:{item.range.column + 1}"
        lines.append(f"{place}: {item.severity}[{item.code}] {' '.join(item.message.split())}")
        for related in item.related:
            where = f"{shown_path(related.path)}:{related.range.line}:{related.range.column + 1}"
            lines.append(f"    {where}: {' '.join(related.message.split())}")
    return "\n".join(lines)


def summed(findings: Sequence[Finding]) -> list[Finding]:
    """The findings with those about TorchScript as one for each class, where its first one stands."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for item in findings:
        if item.code in TORCHSCRIPT:
            groups.setdefault((item.path, item.class_name), []).append(item)
    shown: list[Finding] = []
    for item in findings:
        group = groups.get((item.path, item.class_name), [])
        if item.code not in TORCHSCRIPT or len(group) == 1:
            shown.append(item)
        elif item is group[0]:
            shown.append(_sum(group))
    return shown


def _sum(group: Sequence[Finding]) -> Finding:
    """One finding for several of a class: how many of each code, in which lines, and what the gravest says."""
    told = min(group, key=lambda item: (item.severity != "warning", item.code != "script-error"))
    counts = Counter(item.code for item in group)
    lines = list(dict.fromkeys(str(item.range.line) for item in group))
    where = f"line{'' if len(lines) == 1 else 's'} {words.listed(lines)}"
    many = ", ".join(f"{number} {code}" for code, number in counts.items())
    message = f"{told.class_name}: {many} in {where}; {told.message}"
    return replace(told, message=message, related=())


def as_json(findings: Sequence[Finding], reports: Sequence[Report]) -> str:
    found = [
        {
            "path": item.path,
            "range": schema.write(item.range),
            "code": item.code,
            "severity": item.severity,
            "message": item.message,
            "class": item.class_name,
            "detail": item.detail,
            "related": [schema.write(related) for related in item.related],
            "link": item.link,
        }
        for item in findings
    ]
    classes = [{"path": item.path, "class": item.name, "line": item.line, "status": item.status} for item in reports]
    return json.dumps({"schema": SCHEMA, "classes": classes, "findings": found}, ensure_ascii=False)


def github(findings: Sequence[Finding], reports: Sequence[Report]) -> str:
    lines = []
    for item in findings:
        span = item.range
        fields = {
            "file": shown_path(item.path),
            "line": span.line,
            "endLine": span.end_line,
            "col": span.column + 1,
            "endColumn": span.end_column + 1,
            "title": f"ts-shape {item.code}",
        }
        told = ",".join(f"{name}={_escaped(str(value), ':,')}" for name, value in fields.items())
        lines.append(f"::{_GITHUB_LEVELS[item.severity]} {told}::{_escaped(item.message)}")
    return "\n".join(lines)


def _escaped(value: str, also: str = "") -> str:
    for sign in "%\r\n" + also:
        value = value.replace(sign, f"%{ord(sign):02X}")
    return value


def sarif(findings: Sequence[Finding], reports: Sequence[Report], part: str = "") -> str:
    """One run; `part` names what it has looked at where others look at the rest, so that none replaces another."""
    rules = [
        {
            "id": code,
            "helpUri": f"{DOCUMENTATION}#{code}",
            "defaultConfiguration": {"level": _SARIF_LEVELS[severity]},
        }
        for code, severity in SEVERITIES.items()
    ]
    results = [
        {
            "ruleId": item.code,
            "level": _SARIF_LEVELS[item.severity],
            "message": {"text": item.message},
            "partialFingerprints": {"tsShape/v1": _fingerprint(item)},
            "locations": [_physical(item.path, item.range)],
            "relatedLocations": [
                {**_physical(related.path, related.range), "message": {"text": related.message}}
                for related in item.related
            ],
        }
        for item in findings
    ]
    driver = {"name": "ts-shape-server", "version": __version__, "rules": rules}
    details = {"id": f"ts-shape/{part}"}
    run = {
        "tool": {"driver": driver},
        "automationDetails": details,
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return json.dumps({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, ensure_ascii=False)


def _fingerprint(item: Finding) -> str:
    """The same for the same finding, in whatever part it is found and on whatever line it stands by then."""
    about = (item.code, Path(_relative(item.path)).as_posix(), item.class_name, item.kind, item.facts)
    return hashlib.sha256(repr(about).encode("utf-8", "replace")).hexdigest()[:32]


def _physical(path: str, span: Range) -> dict[str, Any]:
    relative = _relative(path)
    uri = quote(Path(relative).as_posix()) if relative != path else Path(path).as_uri()
    region = {
        "startLine": span.line,
        "startColumn": span.column + 1,
        "endLine": span.end_line,
        "endColumn": span.end_column + 1,
    }
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}


FORMATS: Mapping[str, Callable[[Sequence[Finding], Sequence[Report]], str]] = {
    "text": text,
    "json": as_json,
    "github": github,
    "sarif": sarif,
}
