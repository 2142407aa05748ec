"""The tables of a verification: how many reports are true, how many of their claims are tight, and what the rest is.

Reads the lines that `verification` wrote.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from benchmarks.recording import Figure

EXAMPLES = 3
BINDING = ("fixed dim", "minimum", "maximum", "multiple", "equation")
"""The kinds of claims of which tightness is told: what a size must be. The others are told beside it."""


def soundness(found: Sequence[dict[str, Any]], rows: int) -> str:
    """How many of the reports hold; for the rest, which step failed and why, the most frequent first."""
    judged = [item for item in found if item["verdict"] != "limit"]
    if not judged:
        return "There is nothing to judge."
    verdicts = Counter(item["verdict"] for item in judged)
    lines = [
        f"reports judged     {len(judged)} ({len(found) - len(judged)} took too long or too much memory)",
        f"sound              {100 * verdicts['sound'] / len(judged):.1f} % ({verdicts['sound']})",
        *(f"{name:<18} {count}" for name, count in verdicts.most_common() if name != "sound"),
        f"outputs with `?`   {sum(bool(item.get('unspelled')) for item in judged)}",
        "",
    ]
    reasons: dict[str, list[str]] = defaultdict(list)
    for item in judged:
        if item["verdict"] != "sound":
            reasons[f"{item['verdict']}: {_general(item['error'])}"].append(f"{item['file']}:{item['class']}")
    for text, places in sorted(reasons.items(), key=lambda pair: -len(pair[1]))[:rows]:
        lines += [f"{len(places):5d}  {text}", f"       {', '.join(places[:EXAMPLES])}"]
    return "\n".join(lines)


def _general(text: str) -> str:
    """A reason without what is particular to one class: numbers, names in quotes."""
    return re.sub(r"'[^']*'|`[^`]*`", "…", re.sub(r"\d+", "#", text.split("\n")[0]))[:120]


def tightness(found: Sequence[dict[str, Any]]) -> str:
    """How many claims cannot be broken without failing, by kind; for those that can, where."""
    loose: dict[str, list[str]] = defaultdict(list)
    count: Counter[str] = Counter()
    for item in found:
        for (kind, claim), tight in claims_of(item).items():
            count[kind] += 1
            if not tight:
                loose[kind].append(f"{item['file']}:{item['class']} ({claim})")
    if not count:
        return "There is no claim to break."
    total = sum(count[kind] for kind in BINDING)
    slack = sum(len(loose[kind]) for kind in BINDING)
    lines = [f"claims of sizes      {total}"]
    if total:
        lines.append(f"tight                {100 * (total - slack) / total:.1f} %")
    for kind, number in sorted(count.items(), key=lambda pair: (pair[0] not in BINDING, -pair[1])):
        share = 100 * (number - len(loose[kind])) / number
        lines.append(f"{kind:<20} {share:5.1f} % of {number}")
        lines += [f"       {place}" for place in loose[kind][:EXAMPLES]]
    return "\n".join(lines)


def claims_of(item: dict[str, Any]) -> dict[tuple[str, str], bool]:
    """Each claim of a report that was judged: tight if none of the ways to break it ran."""
    result: dict[tuple[str, str], bool] = {}
    for piece in item["tightness"]:
        key = piece["kind"], piece["claim"]
        result[key] = result.get(key, True) and piece["tight"]
    return result


def figures(found: Sequence[dict[str, Any]]) -> list[Figure]:
    """What of a verification is recorded: sound reports, and how many claims of each kind are tight."""
    judged = [item for item in found if item["verdict"] != "limit"]
    verdicts = Counter(item["verdict"] for item in judged)
    claims = [(kind, tight) for item in found for (kind, _), tight in claims_of(item).items()]
    count, tight = Counter(kind for kind, _ in claims), Counter(kind for kind, holds in claims if holds)
    kinds = sorted(count, key=lambda kind: (kind not in BINDING, kind))
    return [
        Figure("reports judged", len(judged)),
        Figure("took too long or too much memory", len(found) - len(judged)),
        Figure("sound", verdicts["sound"], len(judged)),
        *(Figure(f"… {name}", number) for name, number in sorted(verdicts.items()) if name != "sound"),
        Figure("outputs with `?`", sum(bool(item.get("unspelled")) for item in judged), len(judged)),
        Figure(
            "claims of sizes that are tight", sum(tight[kind] for kind in BINDING), sum(count[kind] for kind in BINDING)
        ),
        *(Figure(f"… {kind}", tight[kind], count[kind]) for kind in kinds),
    ]


def cases(found: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The verdict of each report, `loose` where it is sound and one of its sizes can be broken."""
    verdict: dict[str, str] = {}
    for item in found:
        loose = any(kind in BINDING and not tight for (kind, _), tight in claims_of(item).items())
        own = "loose" if item["verdict"] == "sound" and loose else item["verdict"]
        verdict[f"{item['file']}:{item['class']}"] = own
    return verdict
