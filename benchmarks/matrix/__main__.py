"""Environments with given versions below `.cache`, one at a time: the three starting modules, the refusals, judges.

What is expected of the starting modules is what the project's own tests expect on the version that it is pinned to.
With `--libraries` the libraries on top of torch of `libraries.txt` are installed too, in the versions that fit the
torch; with `--interpreter` an environment is asked that is there already. `--judges DIR --only NAME…` runs judges as
`benchmarks.judges` does.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import recording
from benchmarks.judges import __main__ as judging

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "matrix"
SERVER = ROOT / ".venv" / "bin" / "ts-shape-server"
START = ROOT / "tests" / "workspaces" / "start"
LIBRARIES = Path(__file__).with_name("libraries.txt")
REFUSALS = ROOT / "tests" / "workspaces" / "refusals"
STARTING: Mapping[str, Mapping[str, Any]] = {
    "MyModel": {"dims": ["B", 10], "parameters": 55},
    "SimpleCNN": {"dims": ["B", 3, "H", "W"], "H": (28, 29), "W": (28, 29), "parameters": 31818},
    "MyDynamicModel": {"type": "List[Tensor]", "parameters": 28613},
}
OLD_NUMPY = (2, 3)
"""From this torch on numpy 2 is taken."""
SECONDS = 3600


@dataclass(frozen=True)
class Cell:
    """One row of the table. `found` are the starting modules told rightly, `refusals` the findings of `check`;
    `libraries` are the versions of those on top of torch.
    """

    torch: str
    python: str
    engine: str
    found: int = 0
    refusals: int = 0
    judge: str = ""
    libraries: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Judges:
    """What is run in each environment besides: a command, and judges of a folder by name (all if none is named)."""

    command: str | None = None
    folder: Path | None = None
    only: tuple[str, ...] = ()


def libraries() -> list[str]:
    """What is installed with `--libraries`: requirements, one a line."""
    lines = (line.partition("#")[0].strip() for line in LIBRARIES.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def chosen(asked: Sequence[str] | None) -> list[str]:
    """The requirements for what `--libraries` names: all where it names none, nothing where it is not given. Raises
    `ValueError` for a name that is not in the file.
    """
    if asked is None:
        return []
    known = {re.split(r"[^\w.-]", line)[0]: line for line in libraries()}
    unknown = sorted(set(asked) - set(known))
    if unknown:
        raise ValueError(f"not in {LIBRARIES.name}: {', '.join(unknown)}")
    return [known[name] for name in asked] or list(known.values())


def cell(python: str, torch: str, judges: Judges, keep: bool, packages: Sequence[str]) -> Cell:
    """Make the environment, ask, and take it away again. CalledProcessError where it cannot be made."""
    place = CACHE / f"{Path(python).name}-{torch}"
    interpreter = place / "bin" / "python"
    if not interpreter.exists():
        subprocess.run([python, "-m", "venv", str(place)], check=True)
        parts = tuple(int(part) for part in torch.split("+")[0].split(".")[:2])
        numpy = "numpy<2" if parts < OLD_NUMPY else "numpy"
        command = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        # One resolution for all: a library that wants another torch gets an older version of itself instead.
        subprocess.run([*command, f"torch=={torch}", numpy, *packages], check=True, timeout=SECONDS)
    try:
        return asked(str(interpreter), judges)
    finally:
        if not keep:
            shutil.rmtree(place, ignore_errors=True)


def asked(interpreter: str, judges: Judges) -> Cell:
    """What the product says with the torch of an interpreter, which is left as it is."""
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
        "; ".join(_judged(judges, interpreter)),
        installed(interpreter),
    )


def right(report: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether a report tells of a starting module what there is to tell."""
    if report.get("status") != "ok":
        return False
    spec = report["inputs"][0]
    symbols = {name: (symbol["min"], symbol["max"]) for name, symbol in report["symbols"].items()}
    told = {**symbols, "parameters": report["parameters"], "dims": spec.get("dims"), "type": spec["type"]}
    return all(told.get(key) == value for key, value in expected.items())


def _server(*arguments: str) -> str:
    """What a command prints. It may end with 1: findings are what is asked for."""
    done = subprocess.run([str(SERVER), *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr.strip()[-500:])
    return done.stdout


def _judged(judges: Judges, interpreter: str) -> Iterator[str]:
    """The last line of what each judge prints."""
    if judges.command is not None:
        command = [part.format(server=SERVER, interpreter=interpreter) for part in shlex.split(judges.command)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        yield (done.stdout.strip().splitlines() or ["nothing"])[-1]
    for judge in judging.judges(judges.folder.resolve()) if judges.folder is not None else ():
        if not judges.only or judge.name in judges.only:
            with tempfile.TemporaryDirectory(prefix="judges-") as place:
                line, _ = judging.run(judge, str(SERVER), interpreter, Path(place) / "out.json", {"full": interpreter})
            yield f"{judge.name} {line}"


def installed(interpreter: str) -> dict[str, str]:
    """The versions of the libraries of `libraries.txt` that an interpreter has. None of them is imported."""
    names = [re.split(r"[^\w.-]", line)[0] for line in libraries()]
    code = (
        "import importlib.metadata as m, json, sys\nfound = {}\n"
        "for name in sys.argv[1:]:\n"
        "    try: found[name] = m.version(name)\n"
        "    except m.PackageNotFoundError: pass\n"
        "print(json.dumps(found))"
    )
    done = subprocess.run([interpreter, "-c", code, *names], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def _cells(options: argparse.Namespace) -> Iterator[Cell]:
    judges = Judges(options.judge, options.judges, tuple(options.only))
    packages = [*options.packages, *chosen(options.libraries)]
    for interpreter in options.interpreter:
        try:
            yield asked(interpreter, judges)
        except (subprocess.CalledProcessError, RuntimeError, OSError) as error:
            yield Cell("?", Path(interpreter).name, f"not tried: {error}"[:120])
    for version in options.versions:
        python, _, torch = version.partition(":")
        try:
            yield cell(python, torch, judges, options.keep, packages)
        except (subprocess.SubprocessError, RuntimeError, OSError) as error:
            yield Cell(torch, Path(python).name, f"not tried: {error}"[:120])


def table(cells: Sequence[Cell]) -> list[recording.Table]:
    """The versions, and what was installed beside torch where anything was."""
    columns = ("torch", "Python", "engine", "starting modules told", "refusals found", "judge")
    rows = tuple((item.torch, item.python, item.engine, item.found, item.refusals, item.judge) for item in cells)
    names = sorted({name for item in cells for name in item.libraries})
    versions = tuple((name, *(item.libraries.get(name, "") for item in cells)) for name in names)
    beside = recording.Table("Libraries", ("library", *(f"torch {item.torch}" for item in cells)), versions)
    return [recording.Table("Versions", columns, rows), *([beside] if names else [])]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/matrix", description=__doc__)
    parser.add_argument("versions", nargs="*", metavar="PYTHON:TORCH")
    parser.add_argument(
        "--interpreter", action="append", default=[], help="an environment that is there already, and stays"
    )
    parser.add_argument(
        "--libraries", nargs="*", metavar="NAME", help="install what stands in libraries.txt too, or these of it"
    )
    parser.add_argument("--packages", nargs="*", default=[], help="what the judges need besides")
    parser.add_argument("--judge", help="a command with {server} and {interpreter} in it; its last line counts")
    parser.add_argument("--judges", type=Path, metavar="DIR", help="a folder of judges, as `benchmarks.judges` has it")
    parser.add_argument("--only", nargs="+", default=[], help="judges of that folder by name")
    parser.add_argument("--keep", action="store_true", help="leave the environments where they are")
    recording.add_arguments(parser)
    options = parser.parse_args()
    if not options.versions and not options.interpreter:
        parser.error("name PYTHON:TORCH or an --interpreter, before --libraries and --only")
    try:
        chosen(options.libraries)
    except ValueError as error:
        parser.error(str(error))
    cells = []
    for found in _cells(options):
        print(
            f"torch {found.torch:<16} Python {found.python:<8} {found.engine:<10} {found.found} of 3 told, "
            f"{found.refusals} refusals  {found.judge}",
            flush=True,
        )
        cells.append(found)
    figures = [
        recording.Figure(
            "versions on which all starting modules are told",
            sum(item.found == len(STARTING) for item in cells),
            len(cells),
        )
    ]
    recording.record(options, "matrix", figures, table(cells))
    return 0 if all(item.found == len(STARTING) for item in cells) else 1


if __name__ == "__main__":
    sys.exit(main())
