"""The tables of a run: what is repaired and how deep, where failures are located, which failures are most frequent."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from benchmarks.parity.records import Record

_DEPTHS = ("same meaning in other words", "a signature or a constant changed", "a part left to Python")


def summary(found: Sequence[Record]) -> str:
    """How many classes that do not script are repaired, and whether any promise is broken."""
    failing = [record for record in found if record["compiled"] is False]
    repaired = [record for record in failing if record["repaired"]]
    changed = [record for record in found if not record["same"]]
    broken = [record for record in found if record["scripted"] and not record["scripts_now"]]
    lines = [
        "| classes | number |",
        "| --- | ---: |",
        f"| run | {len(found)} |",
        f"| do not compile | {len(failing)} |",
        f"| repaired | {_share(len(repaired), len(failing))} |",
        *(
            f"| … {words} | {sum(record['depth'] == depth for record in repaired)} |"
            for depth, words in enumerate(_DEPTHS)
        ),
        f"| compute something else afterwards | {len(changed)} |",
        f"| script no more | {len(broken)} |",
    ]
    return "\n".join(lines)


def places(found: Iterable[Record]) -> str:
    """Where failures are located, against the place that torch marks."""
    counted = Counter(place for record in found for place in record["places"] if record["compiled"] is False)
    total = sum(counted.values())
    rows = [f"| {place} | {_share(number, total)} |" for place, number in counted.most_common()]
    return "\n".join(["| place of a failure | number |", "| --- | ---: |", *rows])


def failures(found: Iterable[Record], rows: int) -> str:
    """The most frequent failures, in how many classes and files, and how many of those classes are repaired."""
    classes: Counter[str] = Counter()
    repaired: Counter[str] = Counter()
    files: dict[str, set[str]] = {}
    for record in found:
        for kind in {_kind(text) for text in record["failures"]} if record["compiled"] is False else ():
            classes[kind] += 1
            repaired[kind] += record["repaired"]
            files.setdefault(kind, set()).add(record["file"])
    ordered = sorted(classes, key=lambda kind: (-len(files[kind]), -classes[kind], kind))[:rows]
    lines = [f"| {kind} | {classes[kind]} | {len(files[kind])} | {repaired[kind]} |" for kind in ordered]
    return "\n".join(["| failure | classes | files | repaired |", "| --- | ---: | ---: | ---: |", *lines])


def _kind(text: str) -> str:
    """A failure without its names and numbers."""
    first = next((line.strip() for line in text.split("\n") if line.strip()), "")
    if first.startswith("Arguments for call"):
        variant = re.search(r"^\s*([\w:.]+)\(", text.split("\n", 2)[-1], re.MULTILINE)
        wanted = re.search(r"Expected a value of type '([^']*)'.*found type '([^']*)'", text)
        first = f"no variant of {variant.group(1) if variant else '?'}"
        first += f" ({wanted.group(1)} wanted, {wanted.group(2)} found)" if wanted else ""
    if "failed to convert Python type" in text:
        kind = re.search(r"convert Python type: '([^']*)'", text)
        first = f"attribute of Python type {kind.group(1) if kind else '?'}"
    first = re.sub(r"'[^']*'|\"[^\"]*\"", "…", first)
    first = re.sub(r"^\w+(?=\(| is )", "…", re.sub(r"\d+", "N", first))
    return first.replace("|", "\\|")[:110]


def _share(number: int, total: int) -> str:
    return f"{number} ({100 * number / total:.0f} %)" if total else "0"
