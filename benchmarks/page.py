"""``python -m benchmarks.page``: makes ``docs/benchmarks.md`` of the runs in ``benchmarks/results``, and nothing else.

Runs of one benchmark with the same seed and arguments stand side by side, the oldest first. Of more than `SHOWN` runs
the first and the newest are shown.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import recording
from benchmarks.recording import Figure, Run, Table

PAGE = recording.ROOT / "docs" / "benchmarks.md"
SHOWN = 4
_GOOD = frozenset(["ok", "sound", "agrees", "equal", "right", "repaired", "scripted", "same"])
"""The verdicts on a case that are counted as gained or lost."""

_HEAD = """# Benchmarks

Made by `python -m benchmarks.page` from `benchmarks/results`, where each quoted run is one file. What the programs
measure, and how to run them: [benchmarks/README.md](../benchmarks/README.md). Times are processor time unless a line
says otherwise; machines are shared, so compare within a table, by medians.
"""

SECTIONS = {
    "parity": "Modules of ParityBench, each file a workspace of its own, TorchScript asked too.",
    "parity-verification": "Each `ok` report run in plain eager, in a fresh process, from its JSON alone. *Sound*: the "
    "example and further sizes that it allows run, with the outputs that it tells. *Tight*: what it excludes fails.",
    "repair": "`fix --write` on copies of ParityBench's modules, judged in a fresh process in plain torch.",
    "factories-torchvision": "A class around the model of each factory: is the documented input inside the report.",
    "factories-timm": "The same with timm.",
    "archives": "Saved modules without metadata: is what is solved from the archive alone equal to the class's report.",
    "repositories": "Checked out repositories, without labels. The code works, so each error finding is false until it "
    "is shown to be true; a claim is refuted where a fresh eager run contradicts it.",
    "judges": "Cases with the answers that a person would give, held against the product's answers in plain torch.",
    "matrix": "Other versions of torch and Python, each in an environment of its own: what is told of the three "
    "starting modules, and what `check` finds in the workspace of refusals.",
    "steady": "Classes asked about twice, as the machine is and beside processes that do nothing but work.",
    "cost": "What the command line takes.",
    "latency": "An editor's session over stdio. These are wall times: they hold for an idle machine only.",
    "sandbox": "What the sandbox adds to a probe.",
    "soak": "Thousands of probes in a row.",
    "fuzz": "Fuzzing of what crosses a border.",
}
"""What the figures of each benchmark mean, in the order of the page; `fuzz` is also that of `fuzz-archives`."""


def page(runs: Sequence[Run]) -> str:
    """The whole page."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.benchmark, repr((run.seed, sorted(run.arguments.items())))), []).append(run)
    ordered = sorted(groups.items(), key=lambda item: (_place(item[0][0]), item[0][0], item[1][0].date))
    parts = [_HEAD]
    for (benchmark, _), of_group in ordered:
        parts += _section(benchmark, of_group if len(of_group) <= SHOWN else [of_group[0], *of_group[1 - SHOWN :]])
    return "\n".join(parts).rstrip("\n") + "\n"


def _place(benchmark: str) -> int:
    return list(SECTIONS).index(_described(benchmark))


def _described(benchmark: str) -> str:
    found = [name for name in SECTIONS if benchmark == name or benchmark.startswith(f"{name}-")]
    if not found:
        raise ValueError(f"{benchmark} has no section")
    return max(found, key=len)


def _section(benchmark: str, runs: Sequence[Run]) -> Iterator[str]:
    newest = runs[-1]
    yield f"## {benchmark}\n\n{SECTIONS[_described(benchmark)]}\n"
    yield _arguments(newest)
    yield _side_by_side(runs)
    yield from (f"{run.commit[:7]}: {run.note}\n" for run in runs if run.note)
    for one, other in itertools.pairwise(runs):
        if one.cases and other.cases:
            yield _paired(one, other)
    for table in newest.tables:
        yield f"{table.title} ({newest.commit[:7]}):\n\n{_table(table)}\n"


def _arguments(run: Run) -> str:
    told = {**({} if run.seed is None else {"seed": run.seed}), **run.arguments}
    given = ", ".join(f"`{name.replace('_', '-')}` {value}" for name, value in told.items() if value not in (False, ""))
    kind = f"{run.machine.cores} cores ({run.machine.cpu}), {run.machine.memory_gib} GiB, {run.machine.system}"
    return f"{given}{'; ' if given else ''}{kind}; torch {run.torch}, Python {run.python}.\n"


def _side_by_side(runs: Sequence[Run]) -> str:
    names = list(dict.fromkeys(figure.name for run in reversed(runs) for figure in run.figures))
    heads = [f"{run.commit[:7]}{'' if run.clean else ' and changes'}, {run.date}" for run in runs]
    found = [{figure.name: figure for figure in run.figures} for run in runs]
    rows = [(name, *(_number(figures.get(name)) for figures in found)) for name in names]
    rows.append(("load of the machine", *(str(run.machine.load) for run in runs)))
    return _rows(["", *heads], rows)


def _number(figure: Figure | None) -> str:
    if figure is None or figure.value is None:
        return "–"
    value = f"{figure.value:,.3f}".rstrip("0").rstrip(".") if isinstance(figure.value, float) else f"{figure.value:,}"
    value = value.replace(",", " ")
    if figure.total is not None:
        share = f" ({100 * figure.value / figure.total:.1f} %)" if figure.total else ""
        return f"{value} of {figure.total}{share}"
    return f"{value} {figure.unit}".rstrip()


def _paired(one: Run, other: Run) -> str:
    """How the verdicts on the cases that both runs have moved."""
    both = one.cases.keys() & other.cases.keys()
    moved = Counter((one.cases[name], other.cases[name]) for name in both)
    gained = sum(number for (was, now), number in moved.items() if was not in _GOOD and now in _GOOD)
    lost = sum(number for (was, now), number in moved.items() if was in _GOOD and now not in _GOOD)
    changes = ", ".join(f"{was} → {now} {n}" for (was, now), n in sorted(moved.items()) if was != now)
    told = f"{one.commit[:7]} → {other.commit[:7]}, the {len(both)} cases of both: {gained} gained, {lost} lost"
    return f"{told}{f' ({changes})' if changes else ''}.\n"


def _table(table: Table) -> str:
    return _rows(table.columns, [tuple(map(str, row)) for row in table.rows]).rstrip("\n")


def _rows(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [_row(heads), _row(["---", *["---:"] * (len(heads) - 1)]), *map(_row, rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if the page is not up to date")
    parser.add_argument("--out", type=Path, default=PAGE)
    options = parser.parse_args()
    made = page(recording.load())
    if options.check:
        return int(not options.out.exists() or options.out.read_text(encoding="utf-8") != made)
    options.out.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
