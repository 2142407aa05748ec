"""``python -m benchmarks.parity --corpus DIR --out results.jsonl``: probe, record, and print the table.

A run that was cut goes on where it stood; with nothing left to do, the table alone is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from benchmarks import recording
from benchmarks.parity import corpus, records, runner, table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="the folder generated/ of a ParityBench checkout")
    parser.add_argument("--out", type=Path, required=True, help="the results, one JSON line a class; added to")
    parser.add_argument("--half", choices=("development", "judging", "all"), default="development")
    parser.add_argument("--sample", type=int, help="so many files, not all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--classes", type=int, help="so many classes of a file at most, not all")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=60.0, help="wall seconds for a class, beyond the engine's own")
    parser.add_argument(
        "--without-script", action="store_true", help="inputs and outputs only: TorchScript is not asked"
    )
    parser.add_argument("--trail", action="store_true", help="what each move of the search gained and cost, too")
    parser.add_argument("--rows", type=int, default=50, help="of the table of reasons")
    recording.add_arguments(parser)
    options = parser.parse_args()
    names = corpus.sample(corpus.names(options.corpus, options.half), options.sample, options.seed)
    stages = ("example", "symbols") if options.without_script else ("example", "symbols", "script")
    if options.trail:
        stages = (*stages, "trail")
    asyncio.run(
        runner.run(
            options.corpus,
            names,
            options.out,
            options.jobs,
            options.timeout,
            stages,
            options.classes,
            lambda text: print(text, file=sys.stderr, flush=True),
        )
    )
    chosen = set(names)
    found = [record for record in records.of_classes(options.out) if record["file"] in chosen]
    print(table.coverage(found))
    print()
    print(table.reasons(found, options.rows))
    if options.trail:
        print()
        print(table.trail(found))
    recording.record(options, "parity", table.figures(found), [table.reason_table(found, 15)], table.cases(found))


if __name__ == "__main__":
    main()
