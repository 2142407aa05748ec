"""``python -m benchmarks.repair --corpus DIR --out results.jsonl``: repair, record, and print the tables.

A run that was cut goes on where it stood; with nothing left to do, the tables alone are printed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import recording
from benchmarks.parity import corpus, records
from benchmarks.repair import runner, table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.repair", description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="the folder generated/ of a ParityBench checkout")
    parser.add_argument("--out", type=Path, required=True, help="the results, one JSON line a class; added to")
    parser.add_argument("--half", choices=("development", "judging", "all"), default="development")
    parser.add_argument("--sample", type=int, help="so many files, not all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--classes", type=int, help="so many classes of a file at most, not all")
    parser.add_argument("--jobs", type=int, default=1, help="files at once")
    parser.add_argument("--timeout", type=float, default=60.0, help="wall seconds for one probe or trial")
    parser.add_argument("--seconds", type=float, default=60.0, help="for the repair of a class")
    parser.add_argument("--verify-seconds", type=float, default=30.0, help="of work, to verify a class")
    parser.add_argument("--rows", type=int, default=25, help="of the tables of failures")
    recording.add_arguments(parser)
    options = parser.parse_args()
    names = corpus.sample(corpus.names(options.corpus, options.half), options.sample, options.seed)
    runner.run(
        options.corpus,
        names,
        options.out,
        options.classes,
        runner.Limits(options.timeout, options.seconds, options.verify_seconds),
        options.jobs,
        lambda text: print(text, file=sys.stderr, flush=True),
    )
    chosen = set(names)
    found = [record for record in records.of_classes(options.out) if record["file"] in chosen]
    tables = (
        table.summary(found),
        table.places(found),
        table.failures(found, options.rows),
        table.left(found, options.rows),
    )
    print(*tables, sep="\n\n")
    recording.record(options, "repair", table.figures(found), (), table.cases(found))


if __name__ == "__main__":
    main()
