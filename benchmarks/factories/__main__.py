"""``python -m benchmarks.factories --corpus torchvision|timm --site DIR --out results.jsonl``: probe, record, tell.

A run that was cut goes on where it stood; with nothing left to do, the table alone is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import recording
from benchmarks.factories import runner, table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.factories", description=__doc__)
    parser.add_argument("--corpus", choices=("torchvision", "timm"), required=True)
    parser.add_argument(
        "--site", type=Path, nargs="+", required=True, help="the folders that the package and its needs are unpacked in"
    )
    parser.add_argument("--out", type=Path, required=True, help="the results, one JSON line a model; added to")
    parser.add_argument("--sample", type=int, help="so many models, not all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", help="models by name")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--group", type=int, default=8, help="classes in a file, which share the import")
    parser.add_argument("--timeout", type=float, default=20.0, help="wall seconds for a class")
    parser.add_argument("--with-script", action="store_true", help="ask TorchScript too, as the editor does")
    parser.add_argument("--rows", type=int, default=40, help="of the table of reasons")
    parser.add_argument("--quiet", action="store_true", help="the summary alone")
    recording.add_arguments(parser)
    given = parser.parse_args()
    catalogue = catalogued(given.corpus, given.site)
    chosen = sampled(catalogue["factories"], given.sample, given.seed)
    if given.only:
        chosen = [item for item in catalogue["factories"] if item["name"] in given.only]
    stages = ("example", "symbols", "script") if given.with_script else ("example", "symbols")

    def progress(record: runner.Record) -> None:
        if not given.quiet:
            print(table.line(record), flush=True)

    for record in _wanted(given.out, chosen):
        progress(record)
    asyncio.run(
        runner.run(catalogue, chosen, given.site, given.out, given.jobs, given.group, given.timeout, stages, progress)
    )
    print(f"\n{given.corpus} {catalogue['version']}")
    found = _wanted(given.out, chosen)
    print(table.summary(found, given.rows))
    recording.record(given, f"factories-{given.corpus}", table.figures(found), (), table.cases(found))


def catalogued(corpus: str, site: list[Path]) -> dict[str, Any]:
    """The package's factories and documented inputs, as a process of its own tells them."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.factories.catalogue",
        corpus,
        *(str(place.resolve()) for place in site),
    ]
    told = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=600)
    found: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return found


def sampled(factories: list[dict[str, Any]], size: int | None, seed: int) -> list[dict[str, Any]]:
    """`size` of the factories, the same for the same seed; a larger sample begins with the smaller one."""
    if size is None:
        return factories
    shuffled = sorted(factories, key=lambda item: str(item["name"]))
    random.Random(seed).shuffle(shuffled)
    return shuffled[:size]


def _wanted(out: Path, chosen: list[dict[str, Any]]) -> list[runner.Record]:
    found = runner.records(out)
    return [found[item["name"]] for item in chosen if item["name"] in found]


if __name__ == "__main__":
    main()
