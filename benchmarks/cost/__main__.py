"""``python -m benchmarks.cost``: what the command line takes, with an empty store and with a full one.

Each command is a process of its own; processor time and the largest resident memory are those that the system counts
for it and everything that it started. `--corpus DIR` adds `check DIR` with an empty store, by class.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import recording
from benchmarks.recording import Figure

WORKSPACES = recording.ROOT / "tests" / "workspaces"
COMMANDS = {
    "`info`": ["info", "--json"],
    "`show` of a Linear fed by a loader": ["show", "--json", "start/my_model.py"],
    "`show` of a small conv net": ["show", "--json", "start/simple_cnn.py"],
    "`show` of an embedding and an LSTM": ["show", "--json", "start/dynamic_model.py"],
    "`check` of a folder that does not script": ["check", "--format", "json", "refusals"],
}


@dataclass(frozen=True)
class Taken:
    """What one command took: seconds by the clock and of processor time, and MiB at most in one process."""

    wall: float
    core: float
    memory: int
    output: str


def taken(command: Sequence[str], folder: Path, cache: Path) -> Taken:
    """Run a command in a folder. Its exit code says what it found, so any but 2 will do."""
    with tempfile.TemporaryFile() as out:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "XDG_CACHE_HOME": str(cache)}, stdout=out, stderr=subprocess.DEVNULL
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 1):
            raise SystemExit(f"{command} ended with {process.returncode}")
        out.seek(0)
        text = out.read().decode(errors="replace")
    return Taken(wall, used.ru_utime + used.ru_stime, used.ru_maxrss >> 10, text)


def of_command(name: str, command: Sequence[str], rounds: int) -> list[Figure]:
    """Medians of a command with an empty store and with a full one."""
    cold, warm = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="cost-") as cache:
            cold.append(taken(command, WORKSPACES, Path(cache)))
            warm.append(taken(command, WORKSPACES, Path(cache)))
    found = []
    for store, runs in (("empty store", cold), ("full store", warm)):
        found += [
            Figure(f"{name}, {store}: processor", round(statistics.median(run.core for run in runs), 2), unit="s"),
            Figure(f"{name}, {store}: clock", round(statistics.median(run.wall for run in runs), 2), unit="s"),
        ]
    found.append(Figure(f"{name}, memory at most", max(run.memory for run in cold), unit="MiB"))
    return found


def of_corpus(command: Sequence[str], folder: Path) -> list[Figure]:
    """`check` of a folder with an empty store, by class."""
    with tempfile.TemporaryDirectory(prefix="cost-") as cache:
        run = taken([*command, "."], folder, Path(cache))
    classes = len(json.loads(run.output)["classes"])
    return [
        Figure("`check` of the corpus: classes", classes),
        Figure("`check` of the corpus: clock", round(run.wall, 1), unit="s"),
        Figure("`check` of the corpus: processor", round(run.core, 1), unit="s"),
        Figure("`check` of the corpus: processor, by class", round(run.core / max(classes, 1), 3), unit="s"),
        Figure("`check` of the corpus: memory at most", run.memory, unit="MiB"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=__doc__)
    parser.add_argument("--server", default="", help="the command ts-shape-server; this checkout's if not given")
    parser.add_argument("--interpreter", default=sys.executable, help="the Python whose torch runs the probes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--corpus", type=Path, help="a folder to check as well")
    recording.add_arguments(parser)
    options = parser.parse_args()
    start = shlex.split(options.server) or [sys.executable, "-m", "ts_shape_server"]
    if not options.server:
        os.environ["PYTHONPATH"] = str(recording.ROOT)
    chosen = ["--interpreter", options.interpreter]
    figures: list[Figure] = []
    for name, (command, *rest) in COMMANDS.items():
        figures += of_command(name, [*start, command, *chosen, *rest], options.rounds)
    if options.corpus is not None:
        figures += of_corpus([*start, "check", *chosen, "--format", "json"], options.corpus)
    for figure in figures:
        print(f"{figure.name:<75} {figure.value:>9} {figure.unit}")
    versions_of, options.server, options.interpreter = options.interpreter, None, None
    recording.record(options, "cost", figures, interpreter=versions_of)


if __name__ == "__main__":
    main()
