"""What the records of repositories come to: a row for each, the error findings, and the reasons without a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from benchmarks.parity import table as parity
from benchmarks.recording import Figure, Table
from benchmarks.repositories.runner import Record

_UNJUDGED = ("limit", "claim", "example-load", "example-init", "example-build")
"""Verdicts that say nothing of the claim: it took too long, or the module could not be had again."""


def of_repository(record: Record) -> dict[str, int | float]:
    """The numbers of one repository."""
    if record["cut"]:
        return {}
    status = Counter(item["status"] for item in record["classes"])
    verdicts = Counter(item["verdict"] for item in record["verdicts"])
    judged = sum(number for verdict, number in verdicts.items() if verdict not in _UNJUDGED)
    return {
        "classes": len(record["classes"]) - status["skipped"],
        "`ok`": status["ok"],
        "claims judged": judged,
        "refuted": judged - verdicts["sound"],
        "errors": len(errors(record)),
        "other findings": len(record["findings"]) - len(errors(record)),
        "wall s": record["wall"],
        "core s": record["core"],
    }


def errors(record: Record) -> list[Record]:
    """The error findings of a repository whose code works."""
    return [] if record["cut"] else [item for item in record["findings"] if item["severity"] == "error"]


def told_errors(record: Record) -> Iterator[str]:
    """Each error finding on one line, with the file and the line."""
    for item in errors(record):
        place = f"{record['repository']}/{item['path']}:{item['range']['line']}"
        yield f"{place}: {item['code']} [{item['class']}] {' '.join(item['message'].split())}"


def told_refuted(record: Record) -> Iterator[str]:
    """Each claim that a fresh run contradicts, on one line."""
    for item in () if record["cut"] else record["verdicts"]:
        if item["verdict"] not in (*_UNJUDGED, "sound"):
            place = f"{record['repository']}/{item['file']}:{item['class']}"
            error = " ".join(str(item["error"]).split())[:200]
            yield f"{place}: {item['verdict']} {item.get('draw') or ''} {error}"


def figures(found: Sequence[Record]) -> list[Figure]:
    """What of a run is recorded, over all repositories that were not cut."""
    rows = [row for record in found if (row := of_repository(record))]
    total = {name: sum(row[name] for row in rows) for name in rows[0]} if rows else {}
    if not rows:
        return [Figure("repositories", 0, len(found))]
    classes = int(total["classes"])
    return [
        Figure("repositories", len(rows), len(found)),
        Figure("classes with a report", total["`ok`"], classes),
        Figure("claims that fresh runs refute", total["refuted"], int(total["claims judged"])),
        Figure("error findings", total["errors"]),
        Figure("other findings", total["other findings"]),
        Figure("processor time of `check`", round(total["core s"], 1), unit="s"),
        Figure("processor time of `check`, by class", round(total["core s"] / max(classes, 1), 3), unit="s"),
        Figure("time of `check` by the clock", round(total["wall s"], 1), unit="s"),
    ]


def tables(found: Sequence[Record], rows: int) -> list[Table]:
    """A row for each repository, and the most frequent reasons by kind."""
    names = list(next((row for record in found if (row := of_repository(record))), {}))
    each = []
    for record in found:
        row = of_repository(record)
        each.append((record["repository"], *(row.get(name, record["cut"]) for name in names)))
    kinds: Counter[str] = Counter()
    for record in found:
        for report in () if record["cut"] else record["reports"]:
            if report["status"] not in ("ok", "skipped") and report.get("reason"):
                kinds[parity.general(report["reason"])] += 1
    return [
        Table("Each repository", ("repository", *names), tuple(each)),
        Table("Reasons of the classes without a report", ("reason", "classes"), tuple(kinds.most_common(rows))),
    ]


def cases(found: Sequence[Record]) -> dict[str, str]:
    """The status of each class, `refuted` where a fresh run contradicts its claim."""
    verdicts: dict[str, str] = {}
    for record in found:
        if record["cut"]:
            continue
        name = record["repository"]
        for item in record["classes"]:
            verdicts[f"{name}/{item['path']}:{item['class']}"] = item["status"]
        for item in record["verdicts"]:
            if item["verdict"] not in (*_UNJUDGED, "sound"):
                verdicts[f"{name}/{item['file']}:{item['class']}"] = "refuted"
    return verdicts
