"""``python -m benchmarks.archives --site DIR --sources sources.jsonl --out results.jsonl``: save, inspect, compare.

A run that was cut goes on where it stood; with nothing left to do, the table alone is printed.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from benchmarks import recording
from benchmarks.archives import runner, table
from benchmarks.factories import runner as factories
from benchmarks.factories.__main__ import catalogued, sampled

PACKAGE = "torchvision"
PART = "torchvision.models"
"""The models that take an image and tell its class."""

SHARES = 6
"""Of the time of a class that an archive may take; here the class gets as much, so that neither is cut short."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.archives", description=__doc__)
    parser.add_argument("--site", type=Path, nargs="+", required=True, help="the folders that torchvision is in")
    parser.add_argument("--out", type=Path, required=True, help="the results, two JSON lines a model; added to")
    parser.add_argument(
        "--sources", type=Path, required=True, help="what `benchmarks.factories` reports of the classes; added to"
    )
    parser.add_argument("--sample", type=int, help="so many models, not all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", help="models by name")
    parser.add_argument(
        "--timeout", type=float, default=20.0, help="a sixth of the wall seconds for a class or archive"
    )
    parser.add_argument("--rows", type=int, default=40, help="of the table of reasons")
    parser.add_argument("--quiet", action="store_true", help="the summary alone")
    recording.add_arguments(parser)
    given = parser.parse_args()
    catalogue = catalogued(PACKAGE, given.site)
    models = [item for item in catalogue["factories"] if item["module"] == PART]
    chosen = sampled(models, given.sample, given.seed)
    if given.only:
        chosen = [item for item in models if item["name"] in given.only]
    seconds = given.timeout * SHARES
    steps = ("example", "symbols")
    asyncio.run(factories.run(catalogue, chosen, given.site, given.sources, 1, 8, seconds, steps, lambda record: None))
    sources = factories.records(given.sources)

    def progress(record: runner.Record) -> None:
        if not given.quiet:
            print(table.line(record, sources[record["name"]]), flush=True)

    for record in _wanted(given.out, chosen):
        progress(record)
    asyncio.run(runner.run(catalogue, chosen, sources, given.site, given.out, given.timeout, progress))
    print(f"\n{PACKAGE} {catalogue['version']}")
    found = _wanted(given.out, chosen)
    print(table.summary(found, sources, given.rows))
    recording.record(given, "archives", table.figures(found, sources), (), table.cases(found, sources))


def _wanted(out: Path, chosen: list[runner.Record]) -> list[runner.Record]:
    names = {item["name"] for item in chosen}
    return [record for (name, _), record in runner.records(out).items() if name in names]


if __name__ == "__main__":
    main()
