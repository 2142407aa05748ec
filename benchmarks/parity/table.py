"""What the records of a run come to: coverage, cost, and the reasons for every class without an answer."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import median

from benchmarks.parity.records import Record

EXAMPLES = 3


def coverage(found: Sequence[Record]) -> str:
    """Concrete classes, how many are answered, and what they cost."""
    concrete = [record for record in found if record["report"]["status"] != "skipped"]
    if not concrete:
        return "There is nothing to count."
    status = Counter(record["report"]["status"] for record in concrete)
    files = len({record["file"] for record in concrete})
    cost = sorted(record["core_seconds"] for record in concrete)
    share = status["ok"] / len(concrete)
    scripted = [
        record for record in concrete if ((record["report"].get("torchscript") or {}).get("script") or {}).get("ok")
    ]
    lines = [
        f"files              {files}",
        f"concrete classes   {len(concrete)} ({len(found) - len(concrete)} skipped)",
        f"coverage           {100 * share:.1f} % ({status['ok']})",
        *(f"{name:<18} {count}" for name, count in status.most_common() if name != "ok"),
        f"scripts as it is   {len(scripted)}",
        f"core-seconds       median {median(cost):.2f}, p95 {cost[int(len(cost) * 0.95)]:.2f}, sum {sum(cost):.0f}",
    ]
    return "\n".join(lines)


def reasons(found: Iterable[Record], rows: int) -> str:
    """The reasons for the classes without an answer, the most frequent first, with examples."""
    places: dict[str, list[str]] = defaultdict(list)
    for record in found:
        reason = record["report"].get("reason")
        if record["report"]["status"] not in ("ok", "skipped") and reason is not None:
            places[general(reason)].append(f"{record['file']}:{record['class']}")
    table = sorted(places.items(), key=lambda item: -len(item[1]))
    lines = []
    for text, where in table[:rows]:
        lines.append(f"{len(where):5d}  {text}")
        lines.append(f"       {', '.join(where[:EXAMPLES])}")
    return "\n".join(lines)


def general(reason: Record) -> str:
    """A reason without what is particular to one class: numbers, names in quotes."""
    text = str(reason.get("detail") or reason["message"]).strip().split("\n")[-1]
    text = re.sub(r"'[^']*'|`[^`]*`", "…", re.sub(r"\d+", "#", text))
    return f"{reason['code']}: {text[:110]}"
