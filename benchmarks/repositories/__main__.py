"""``python -m benchmarks.repositories --corpus DIR --out FILE``: what is said of the repositories below a folder.

Without labels: classes with a report, claims that fresh eager runs refute, error findings (the code works, so each is
false until it is shown to be true; they are listed with file and line), what `check` takes, and the reasons of the
classes without a report. A run that was cut goes on where it stood, so that one repository can be run at a time
(``--only NAME``); ``--finished`` then prints and records what `--out` has of them all.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from benchmarks import recording
from benchmarks.parity import records
from benchmarks.repositories import runner, table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.repositories", description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="the folder that the repositories lie in")
    parser.add_argument("--out", type=Path, required=True, help="the results, one JSON line a repository; added to")
    parser.add_argument("--server", default="", help="the command ts-shape-server; this interpreter's if not given")
    parser.add_argument("--interpreter", default=sys.executable, help="the Python that has what the repositories need")
    parser.add_argument("--only", nargs="+", help="repositories by name")
    parser.add_argument("--finished", action="store_true", help="run nothing: the repositories that --out has")
    parser.add_argument("--files", type=int, help="so many files of a repository at most, of those that have a Module")
    parser.add_argument("--minutes", type=float, default=10.0, help="by the clock, for one `check`")
    parser.add_argument("--limit-seconds", type=float, default=20.0, help="of work, to verify a report")
    parser.add_argument("--jobs", type=int, default=2, help="probes at once")
    parser.add_argument("--rows", type=int, default=30, help="of the table of reasons")
    recording.add_arguments(parser)
    options = parser.parse_args()
    command = shlex.split(options.server) or [sys.executable, "-m", "ts_shape_server"]
    tool = runner.Tool(command, options.interpreter, options.jobs, options.minutes, options.limit_seconds)
    folders = sorted(path for path in options.corpus.iterdir() if path.is_dir() and not path.name.startswith("."))
    if options.only:
        folders = [path for path in folders if path.name in options.only]
    if options.finished:
        finished = {item["repository"] for item in records.load(options.out)}
        folders = [path for path in folders if path.name in finished]

    def progress(record: runner.Record) -> None:
        row = table.of_repository(record)
        told = record["cut"] or ", ".join(f"{name} {value}" for name, value in row.items())
        print(f"{record['repository']}: {told}", file=sys.stderr, flush=True)

    found = runner.run(folders, options.out, tool, options.files, progress)
    for record in found:
        print("\n".join([*table.told_errors(record), *table.told_refuted(record)]))
    for item in table.tables(found, options.rows):
        print(f"\n{item.title}\n{' | '.join(item.columns)}")
        print("\n".join(" | ".join(map(str, row)) for row in item.rows))
    for figure in table.figures(found):
        print(f"{figure.name:<40} {figure.value}{'' if figure.total is None else f' of {figure.total}'} {figure.unit}")
    versions_of, options.server, options.interpreter = options.interpreter, None, None
    # How a run was cut into several says nothing of what was measured.
    options.only = options.only if not options.finished else None
    options.finished = None
    recording.record(
        options, "repositories", table.figures(found), table.tables(found, 20), table.cases(found), versions_of
    )


if __name__ == "__main__":
    main()
