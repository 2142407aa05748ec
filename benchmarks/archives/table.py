"""One line for an archive, and what all of them come to."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks import recording
from benchmarks.archives import proof
from benchmarks.archives.comparison import difference
from benchmarks.archives.runner import Record
from benchmarks.archives.saving import METHODS
from benchmarks.recording import Figure
from ts_shape_server.contract import schema
from ts_shape_server.contract.report import Report


def verdict(record: Record, source: Record) -> str:
    """How the archive's report differs from that of the class; empty where the two are equal."""
    if record["report"] is None:
        return f"nothing is told: {record['message']}"
    report = schema.read(Report, record["report"])
    if report.status != "ok" and report.reason is not None:
        return f"the archive is {report.status}: {report.reason.message}"
    return difference(report, schema.read(Report, source["report"]))


def own_difference(record: Record, source: Record) -> str:
    """How the archive itself differs from its class, shown by the calls in the record; empty where it is not."""
    if not record.get("calls"):
        return ""
    return proof.own_difference(
        schema.read(Report, record["report"]), schema.read(Report, source["report"]), record["calls"]
    )


def line(record: Record, source: Record) -> str:
    """Whether the two are equal, how they differ, and what it cost."""
    if record["saved"]:
        return f"{record['name']:<28} {record['method']:<7} not saved: {record['saved']}"
    wrong = verdict(record, source)
    own = own_difference(record, source)
    judged = "itself" if own else "differs" if wrong else "equal"
    cost = f"{record['core_seconds']:6.2f} s (class {source['core_seconds']:.2f} s)"
    return f"{record['name']:<28} {record['method']:<7} {judged:<8} {cost}  {own or wrong}".rstrip()


def summary(found: Sequence[Record], sources: Mapping[str, Record], rows: int) -> str:
    """How many are equal, the reasons for the rest, and the cost, by the way that they were saved.

    `itself`: the archive does what is told of it, and differs from its class in that.
    """
    lines = [f"{'':<8} {'models':>6} {'saved':>6} {'equal':>6} {'itself':>6} {'differ':>6}   core-seconds"]
    reasons: dict[str, list[str]] = defaultdict(list)
    for method in METHODS:
        of_method = [record for record in found if record["method"] == method]
        archives = [record for record in of_method if not record["saved"]]
        wrong = {record["name"]: verdict(record, sources[record["name"]]) for record in archives}
        own = {record["name"]: own_difference(record, sources[record["name"]]) for record in archives}
        equal, itself = sum(not why for why in wrong.values()), sum(map(bool, own.values()))
        counts = [len(of_method), len(archives), equal, itself, len(archives) - equal - itself]
        cost = _cost([record["core_seconds"] for record in archives])
        lines.append(f"{method:<8} {' '.join(f'{count:>6}' for count in counts)}   {cost}")
        for record in of_method:
            why = f"not saved: {record['saved']}" if record["saved"] else own[record["name"]] or wrong[record["name"]]
            if why:
                reasons[f"{method}: {re.sub('[0-9]+', '#', why)}"].append(record["name"])
    lines.append("")
    for text, names in sorted(reasons.items(), key=lambda item: -len(item[1]))[:rows]:
        lines += [f"{len(names):5d}  {text[:200]}", f"       {', '.join(names[:6])}"]
    return "\n".join(lines)


def figures(found: Sequence[Record], sources: Mapping[str, Record]) -> list[Figure]:
    """What of a run is recorded, by the way that the models were saved."""
    verdicts = cases(found, sources)
    figures: list[Figure] = []
    for method in METHODS:
        of_method = [record for record in found if record["method"] == method]
        saved = [record for record in of_method if not record["saved"]]
        own = Counter(verdicts[f"{record['name']} {method}"] for record in saved)
        figures += [
            Figure(f"{method}: saved", len(saved), len(of_method)),
            Figure(f"{method}: equal to the class", own["equal"], len(saved)),
            Figure(f"{method}: the module itself differs", own["itself"], len(saved)),
            *recording.seconds([record["core_seconds"] for record in saved], f"{method}: core-seconds"),
        ]
    return figures


def cases(found: Sequence[Record], sources: Mapping[str, Record]) -> dict[str, str]:
    """`equal`, `itself`, `differs` or `not saved`, for each model and way of saving."""
    verdicts: dict[str, str] = {}
    for record in found:
        source = sources[record["name"]]
        if record["saved"]:
            own = "not saved"
        elif not verdict(record, source):
            own = "equal"
        else:
            own = "itself" if own_difference(record, source) else "differs"
        verdicts[f"{record['name']} {record['method']}"] = own
    return verdicts


def _cost(seconds: Sequence[float]) -> str:
    if not seconds:
        return ""
    ordered = sorted(seconds)
    tail = ordered[min(int(len(ordered) * 0.95), len(ordered) - 1)]
    return f"median {median(ordered):.2f}, p95 {tail:.2f}, sum {sum(ordered):.0f}"
