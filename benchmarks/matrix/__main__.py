"""Environments with given versions below `.cache`, one at a time: the three starting modules, the refusals, a judge.

What is expected of the starting modules is what the project's own tests expect on the version that it is pinned to.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import recording

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "matrix"
SERVER = ROOT / ".venv" / "bin" / "ts-shape-server"
START = ROOT / "tests" / "workspaces" / "start"
REFUSALS = ROOT / "tests" / "workspaces" / "refusals"
STARTING: Mapping[str, Mapping[str, Any]] = {
    "MyModel": {"dims": ["B", 10]},
    "SimpleCNN": {"dims": ["B", 3, "H", "W"], "H": (28, 29), "W": (28, 29)},
    "MyDynamicModel": {"type": "List[Tensor]"},
}
OLD_NUMPY = (2, 3)
"""From this torch on numpy 2 is taken."""
SECONDS = 3600


@dataclass(frozen=True)
class Cell:
    """One row of the table. `found` are the starting modules told rightly, `refusals` the findings of `check`."""

    torch: str
    python: str
    engine: str
    found: int
    refusals: int
    judge: str


def cell(python: str, torch: str, judge: str | None, keep: bool, packages: Sequence[str]) -> Cell:
    """Make the environment, ask, and take it away again. CalledProcessError where it cannot be made."""
    place = CACHE / f"{Path(python).name}-{torch}"
    interpreter = place / "bin" / "python"
    if not interpreter.exists():
        subprocess.run([python, "-m", "venv", str(place)], check=True)
        parts = tuple(int(part) for part in torch.split(".")[:2])
        numpy = "numpy<2" if parts < OLD_NUMPY else "numpy"
        command = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, f"torch=={torch}", numpy, *packages], check=True, timeout=SECONDS)
    try:
        return _asked(str(interpreter), judge)
    finally:
        if not keep:
            shutil.rmtree(place, ignore_errors=True)


def _asked(interpreter: str, judge: str | None) -> Cell:
    facts = json.loads(_server("info", "--json", "--interpreter", interpreter))
    shown = _server("show", "--json", "--interpreter", interpreter, *map(str, sorted(START.glob("*.py"))))
    reports = {report["class"]: report for report in map(json.loads, shown.splitlines())}
    checked = json.loads(_server("check", "--format", "json", "--interpreter", interpreter, str(REFUSALS)))
    refusals = sum(finding["code"] == "script-error" for finding in checked["findings"])
    return Cell(
        str(facts["torch"]),
        str(facts["python"]),
        str(facts["engine"]),
        sum(right(reports.get(name, {}), expected) for name, expected in STARTING.items()),
        refusals,
        _judged(judge, interpreter) if judge else "",
    )


def right(report: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether a report tells of a starting module what there is to tell."""
    if report.get("status") != "ok":
        return False
    spec = report["inputs"][0]
    symbols = {name: (symbol["min"], symbol["max"]) for name, symbol in report["symbols"].items()}
    told = {**symbols, "dims": spec.get("dims"), "type": spec["type"]}
    return all(told.get(key) == value for key, value in expected.items())


def _server(*arguments: str) -> str:
    """What a command prints. It may end with 1: findings are what is asked for."""
    done = subprocess.run([str(SERVER), *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr.strip()[-500:])
    return done.stdout


def _judged(judge: str, interpreter: str) -> str:
    command = [part.format(server=SERVER, interpreter=interpreter) for part in shlex.split(judge)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    return (done.stdout.strip().splitlines() or ["nothing"])[-1]


def _cells(options: argparse.Namespace) -> Iterator[Cell]:
    for version in options.versions:
        python, _, torch = version.partition(":")
        try:
            yield cell(python, torch, options.judge, options.keep, options.packages)
        except (subprocess.CalledProcessError, RuntimeError, OSError) as error:
            yield Cell(torch, Path(python).name, f"not tried: {error}"[:120], 0, 0, "")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/matrix", description=__doc__)
    parser.add_argument("versions", nargs="+", metavar="PYTHON:TORCH")
    parser.add_argument("--judge", help="a command with {server} and {interpreter} in it; its last line counts")
    parser.add_argument("--packages", nargs="*", default=[], help="what the judge needs besides")
    parser.add_argument("--keep", action="store_true", help="leave the environments where they are")
    recording.add_arguments(parser)
    options = parser.parse_args()
    cells = []
    for found in _cells(options):
        print(
            f"torch {found.torch:<16} Python {found.python:<8} {found.engine:<10} {found.found} of 3 told, "
            f"{found.refusals} refusals  {found.judge}",
            flush=True,
        )
        cells.append(found)
    rows = tuple((item.torch, item.python, item.engine, item.found, item.refusals, item.judge) for item in cells)
    columns = ("torch", "Python", "engine", "starting modules told", "refusals found", "judge")
    figures = [
        recording.Figure(
            "versions on which all starting modules are told",
            sum(item.found == len(STARTING) for item in cells),
            len(cells),
        )
    ]
    recording.record(options, "matrix", figures, [recording.Table("Versions", columns, rows)])
    return 0 if all(item.found == len(STARTING) for item in cells) else 1


if __name__ == "__main__":
    sys.exit(main())
