"""The tables of a run: what is repaired and by what means, where failures are located, which failures are most
frequent, and what keeps classes from being repaired.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from benchmarks.parity.records import Record
from benchmarks.recording import Figure


def summary(found: Sequence[Record]) -> str:
    """How many classes that do not script are repaired, and whether any promise is broken."""
    failing = [record for record in found if record["compiled"] is False]
    repaired = [record for record in failing if record["repaired"]]
    checked = [record for record in found if record["runs"]]
    rows = {
        "run": len(found),
        "do not script": len(failing),
        "repaired": _share(len(repaired), len(failing)),
        "… all of it compiled": sum(not record["left_to_python"] for record in repaired),
        "… a part left to Python, with `ignore` or `unused`": sum(record["left_to_python"] for record in repaired),
        "… can be saved": sum(record["saves"] for record in repaired),
        "compared in a fresh process, eval and training": len(checked),
        "compute something else afterwards": sum(record["same"] is False for record in found),
        "could not be compared": sum(record["same"] is None for record in failing),
        "script no more": sum(record["broken"] for record in found),
    }
    lines = [f"| {name} | {number} |" for name, number in rows.items()]
    return "\n".join(["| classes | number |", "| --- | ---: |", *lines])


def figures(found: Sequence[Record]) -> list[Figure]:
    """What of a run is recorded."""
    failing = [record for record in found if record["compiled"] is False]
    repaired = [record for record in failing if record["repaired"]]
    every = Counter(place for record in failing for place in record["places"])
    first = Counter(record["first"] for record in failing if record["first"])
    return [
        Figure("classes run", len(found)),
        Figure("do not script", len(failing), len(found)),
        Figure("repaired", len(repaired), len(failing)),
        Figure("… all of it compiled", sum(not record["left_to_python"] for record in repaired), len(repaired)),
        Figure("… can be saved", sum(record["saves"] for record in repaired), len(repaired)),
        Figure("compute something else afterwards", sum(record["same"] is False for record in found), len(found)),
        Figure("could not be compared", sum(record["same"] is None for record in failing), len(failing)),
        Figure("script no more", sum(record["broken"] for record in found), len(found)),
        Figure("torch's first failure at its exact place", first["exact"], sum(first.values())),
        Figure("all failures at their exact place", every["exact"], sum(every.values())),
        Figure(
            "seconds of `fix` by the clock, sum",
            round(sum({r["file"]: r["seconds"] for r in found}.values())),
            unit="s",
        ),
    ]


def cases(found: Sequence[Record]) -> dict[str, str]:
    """`scripted` as it is, `repaired`, `left`, or what must not be: `changed` (computes something else), `broken`."""
    verdicts: dict[str, str] = {}
    for record in found:
        name = f"{record['file']}:{record['class']}"
        if record["same"] is False:
            verdicts[name] = "changed"
        elif record["compiled"] is not False:
            verdicts[name] = "broken" if record["broken"] else "scripted"
        else:
            verdicts[name] = "repaired" if record["repaired"] else "left"
    return verdicts


def places(found: Iterable[Record]) -> str:
    """Where failures are located, against the place that torch marks: all of them, and torch's own first."""
    failing = [record for record in found if record["compiled"] is False]
    every = Counter(place for record in failing for place in record["places"])
    first = Counter(record["first"] for record in failing if record["first"])
    names = ("exact", "inside", "line", "other", "unmarked", "none")
    rows = [
        f"| {name} | {_share(every[name], sum(every.values()))} | {_share(first[name], sum(first.values()))} |"
        for name in names
    ]
    return "\n".join(["| place | of all failures | of torch's first |", "| --- | ---: | ---: |", *rows])


def failures(found: Iterable[Record], rows: int) -> str:
    """The most frequent failures, in how many classes and files, and how many of those classes are repaired."""
    return _kinds(found, rows, "failure", lambda record: map(_kind_of, record["failures"]))


def left(found: Iterable[Record], rows: int) -> str:
    """What the tool says is left in the classes that are not repaired."""
    unrepaired = [record for record in found if not record["repaired"]]
    return _kinds(unrepaired, rows, "what is left", _left)


def _left(record: Record) -> Iterable[str]:
    return [_kind_of(item) for item in record["left"]] or [_end(record)]


def _end(record: Record) -> str:
    """Why a class of which nothing is said to be left is not repaired."""
    if record["same"] is None:
        return "not compared: " + record["difference"]
    return "torch: " + _kind(record["torch"])


def _kinds(found: Iterable[Record], rows: int, title: str, of: Callable[[Record], Iterable[str]]) -> str:
    classes: Counter[str] = Counter()
    repaired: Counter[str] = Counter()
    files: dict[str, set[str]] = {}
    for record in found:
        for kind in set(of(record)) if record["compiled"] is False else ():
            classes[kind] += 1
            repaired[kind] += record["repaired"]
            files.setdefault(kind, set()).add(record["file"])
    ordered = sorted(classes, key=lambda kind: (-len(files[kind]), -classes[kind], kind))[:rows]
    lines = [f"| {kind} | {classes[kind]} | {len(files[kind])} | {repaired[kind]} |" for kind in ordered]
    return "\n".join([f"| {title} | classes | files | repaired |", "| --- | ---: | ---: | ---: |", *lines])


def _kind_of(failure: Record) -> str:
    """A failure's kind; where it has none, torch's words in general."""
    return str(failure["kind"]) or _kind(failure["detail"])


def _kind(text: str) -> str:
    """A failure in torch's words without its names and numbers."""
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
