"""What the records of a run come to: coverage, cost, and the reasons for every class without an answer."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import median

from benchmarks import recording
from benchmarks.parity.records import Record
from benchmarks.recording import Figure, Table

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
    """A reason's kind; where it has none, its text without what is particular to one class: numbers, quoted names."""
    if reason.get("kind"):
        return f"{reason['code']}: {reason['kind']}"
    text = str(reason.get("detail") or reason["message"]).strip().split("\n")[-1]
    text = re.sub(r"'[^']*'|`[^`]*`", "…", re.sub(r"\d+", "#", text))
    return f"{reason['code']}: {text[:110]}"


def figures(found: Sequence[Record]) -> list[Figure]:
    """What of a run is recorded."""
    concrete = [record for record in found if record["report"]["status"] != "skipped"]
    status = Counter(record["report"]["status"] for record in concrete)
    scripted = sum(bool(_script(record).get("ok")) for record in concrete)
    return [
        Figure("files", len({record["file"] for record in concrete})),
        Figure("concrete classes", len(concrete)),
        Figure("coverage (`ok`)", status["ok"], len(concrete)),
        *(Figure(f"… `{name}`", count, len(concrete)) for name, count in sorted(status.items()) if name != "ok"),
        Figure("scripts as it is", scripted, len(concrete)),
        *recording.seconds([record["core_seconds"] for record in concrete]),
        *recording.seconds(
            [record["core_seconds"] for record in concrete if record["report"]["status"] != "ok"],
            "core-seconds without a report",
        ),
    ]


def _script(record: Record) -> Record:
    found: Record = (record["report"].get("torchscript") or {}).get("script") or {}
    return found


def cases(found: Sequence[Record]) -> dict[str, str]:
    """The status of each class, to compare two runs class by class."""
    return {f"{record['file']}:{record['class']}": record["report"]["status"] for record in found}


def reason_table(found: Sequence[Record], rows: int) -> Table:
    """The most frequent reasons, as data."""
    count: Counter[str] = Counter()
    for record in found:
        reason = record["report"].get("reason")
        if record["report"]["status"] not in ("ok", "skipped") and reason is not None:
            count[general(reason)] += 1
    return Table("Reasons of the classes without a report", ("reason", "classes"), tuple(count.most_common(rows)))


def trail(found: Sequence[Record]) -> str:
    """What each move of the search was asked, gained and cost over all classes, the dearest first; then how the
    searches ended. `led` counts moves on the way to a find.
    """
    total: dict[str, Counter[str]] = defaultdict(Counter)
    exits: Counter[str] = Counter()
    for record in found:
        effort = record["report"].get("effort") or {}
        for name, counts in effort.get("moves", {}).items():
            total[name].update(counts)
        exits.update(effort.get("exits", {}))
    lines = [f"{'move':<28} {'proposed':>8} {'ran':>6} {'further':>7} {'led':>5} {'seconds':>8}"]
    for name, counts in sorted(total.items(), key=lambda item: -item[1]["ms"]):
        lines.append(
            f"{name:<28} {counts['proposed']:>8} {counts['ran']:>6} {counts['further']:>7} {counts['led']:>5} "
            f"{counts['ms'] / 1000:>8.2f}"
        )
    return "\n".join([*lines, "", *(f"{name:<10} {count}" for name, count in exits.most_common())])
