"""One line for a model, and what all of them come to."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import median

from benchmarks import recording
from benchmarks.factories.runner import Record, verdict
from benchmarks.recording import Figure


def line(record: Record) -> str:
    """Status, what goes in, and what it cost."""
    report = record["report"]
    if report["status"] == "ok":
        inputs = ", ".join(_dims(item) for item in report["inputs"] if not item.get("optional"))
        symbols = ", ".join(f"{name} {_range(item)}" for name, item in report["symbols"].items())
        wrong = verdict(record)
        said = "; ".join(part for part in (inputs, symbols, *report["constraints"]) if part)
        said += f"   <- {wrong}" if wrong else ""
    else:
        said = _reason(report)
    return f"{record['name']:<44} {report['status']:<10} {record['core_seconds']:6.2f} s  {said}"


def summary(found: Sequence[Record], rows: int) -> str:
    """How many are answered, how many as documented, the reasons for the rest, and the cost."""
    if not found:
        return "There is nothing to count."
    answered = [record for record in found if record["report"]["status"] == "ok"]
    wrong = {record["name"]: verdict(record) for record in answered}
    agreeing = [name for name, why in wrong.items() if not why]
    reasons: dict[str, list[str]] = defaultdict(list)
    for record in found:
        if record["report"]["status"] != "ok":
            reasons[f"{record['report']['status']}: {_reason(record['report'])}"].append(record["name"])
        elif wrong[record["name"]]:
            reasons["disagrees: " + re.sub(r"\d+", "#", wrong[record["name"]])].append(record["name"])
    lines = [
        f"models             {len(found)}",
        f"ok                 {len(answered)} ({100 * len(answered) / len(found):.1f} %)",
        f"agrees             {len(agreeing)} ({100 * len(agreeing) / len(found):.1f} %)",
        *_cost("core-seconds", [record["core_seconds"] for record in found if not record["first"]]),
        *_cost("with the import", [record["core_seconds"] for record in found if record["first"]]),
        "",
    ]
    for text, names in sorted(reasons.items(), key=lambda item: -len(item[1]))[:rows]:
        lines += [f"{len(names):5d}  {text}", f"       {', '.join(names[:6])}"]
    counted = Counter(record["report"]["status"] for record in found)
    lines.insert(2, "status             " + ", ".join(f"{name} {count}" for name, count in counted.most_common()))
    return "\n".join(lines)


def figures(found: Sequence[Record]) -> list[Figure]:
    """What of a run is recorded."""
    status = cases(found)
    first = [record["core_seconds"] for record in found if record["first"]]
    others = [record["core_seconds"] for record in found if not record["first"]]
    return [
        Figure("models", len(found)),
        Figure("`ok`", sum(record["report"]["status"] == "ok" for record in found), len(found)),
        Figure("the documented input is inside", sum(own == "agrees" for own in status.values()), len(found)),
        *recording.seconds(others),
        Figure("under 0.3 core-seconds", sum(value < 0.3 for value in others), len(others)),
        *recording.seconds(first, "core-seconds with the import"),
    ]


def cases(found: Sequence[Record]) -> dict[str, str]:
    """`agrees`, `disagrees`, or the status of what has no report."""
    verdicts: dict[str, str] = {}
    for record in found:
        status = record["report"]["status"]
        verdicts[record["name"]] = status if status != "ok" else "disagrees" if verdict(record) else "agrees"
    return verdicts


def _cost(title: str, seconds: Sequence[float]) -> list[str]:
    if not seconds:
        return []
    ordered = sorted(seconds)
    tail = ordered[min(int(len(ordered) * 0.95), len(ordered) - 1)]
    quick = sum(value < 0.3 for value in ordered)
    told = (
        f"median {median(ordered):.2f}, p95 {tail:.2f}, largest {ordered[-1]:.2f}, {quick} of {len(ordered)} under 0.3"
    )
    return [f"{title:<18} {told}"]


def _dims(item: Record) -> str:
    dims = item.get("dims")
    told = item["type"] if dims is None else f"({', '.join(str(dim) for dim in dims)})"
    return f"{item['name']} {told} {item.get('dtype', '')}".rstrip()


def _range(symbol: Record) -> str:
    top = "" if symbol["max"] is None else symbol["max"]
    step = f" by {symbol['multiple_of']}" if symbol["multiple_of"] > 1 else ""
    return f"{symbol['min']}..{top}{step}"


def _reason(report: Record) -> str:
    reason = report.get("reason") or {}
    text = str(reason.get("detail") or reason.get("message", "")).strip().split("\n")[-1]
    return f"{reason.get('code')}: {re.sub('[0-9]+', '#', text)[:120]}"
