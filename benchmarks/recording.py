"""What a quoted run leaves behind: one JSON file in ``benchmarks/results``; ``benchmarks.page`` makes the page of them.

A file says what was measured (commit, seed, arguments), on what (kind of machine, torch, Python) and what came out, as
numbers. It names no host, no path and no file of a corpus: cases are known by a digest, enough to pair two runs.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
_GENERATED = ("benchmarks/results", "docs/benchmarks.md")
_OWN = frozenset(["record", "of", "note", "rows", "quiet", "jobs", "handler"])
"""Flags that say nothing of what was measured."""


@dataclass(frozen=True)
class Figure:
    """One number of a table. With `total` it counts a part of so many; `unit` is ``""``, ``s``, ``ms`` or ``MiB``."""

    name: str
    value: float | None
    total: int | None = None
    unit: str = ""


@dataclass(frozen=True)
class Table:
    """A further table of a run, such as the reasons for the classes without a report."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...]


@dataclass(frozen=True)
class Machine:
    """The kind of machine: processor model, cores, memory in GiB, and the load average when the run ended."""

    cpu: str
    cores: int
    memory_gib: int
    system: str
    load: float


@dataclass(frozen=True)
class Run:
    """One quoted run. `cases` is the verdict on each case, by `digest`; `note` says what was cut, if anything was."""

    benchmark: str
    commit: str
    clean: bool
    date: str
    seed: int | None
    arguments: Mapping[str, Any]
    machine: Machine
    torch: str
    python: str
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...] = ()
    cases: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Run:
        """A file's content; KeyError or TypeError where it is none."""
        figures = tuple(Figure(**item) for item in data["figures"])
        tables = tuple(
            Table(item["title"], tuple(item["columns"]), tuple(tuple(row) for row in item["rows"]))
            for item in data["tables"]
        )
        return cls(**{**data, "machine": Machine(**data["machine"]), "figures": figures, "tables": tables})

    def to_json(self) -> dict[str, Any]:
        """Without what a figure has by default."""
        plain = asdict(self)
        for figure in plain["figures"]:
            for name in [name for name in ("total", "unit") if not figure[name]]:
                del figure[name]
        return plain

    @property
    def file_name(self) -> str:
        """One for each benchmark, commit, seed and set of arguments: the newest such run is kept."""
        commit = f"{self.commit[:7]}{'' if self.clean else '-changed'}"
        return f"{self.benchmark}-{commit}-{digest(repr((self.seed, sorted(self.arguments.items()))))[:4]}.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of every program whose runs are quoted."""
    parser.add_argument("--record", action="store_true", help="keep the figures in benchmarks/results, to be quoted")
    parser.add_argument(
        "--of",
        type=Path,
        default=ROOT,
        metavar="CHECKOUT",
        help="the checkout whose code was measured, if not this one",
    )
    parser.add_argument("--note", default="", help="what was cut, or is to be known beside the figures")


def record(
    options: argparse.Namespace,
    benchmark: str,
    figures: Sequence[Figure],
    tables: Sequence[Table] = (),
    cases: Mapping[str, str] | None = None,
    interpreter: str | None = None,
    folder: Path = RESULTS,
) -> Path | None:
    """Keep a run if its flags ask for it; `cases` are verdicts by the case's name. Returns the file written."""
    if not options.record:
        return None
    commit, clean = checkout(options.of)
    torch, python = versions(interpreter)
    run = Run(
        benchmark,
        commit,
        clean,
        datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M"),
        getattr(options, "seed", None),
        arguments(options),
        machine(),
        torch,
        python,
        tuple(figures),
        tuple(tables),
        {digest(name): verdict for name, verdict in sorted((cases or {}).items())},
        options.note,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / run.file_name
    path.write_text(json.dumps(run.to_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"recorded: {path.name}", file=sys.stderr)
    return path


def load(folder: Path = RESULTS) -> list[Run]:
    """All runs that are kept, the oldest first."""
    found = [Run.from_json(json.loads(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*.json"))]
    return sorted(found, key=lambda run: (run.date, run.benchmark))


def digest(name: str) -> str:
    """What stands for a case's name: the same in every run."""
    return hashlib.sha1(name.encode()).hexdigest()[:10]


def arguments(options: argparse.Namespace) -> dict[str, Any]:
    """The flags that say what was measured; paths and flags left at None are left out."""
    found = {name: value for name, value in vars(options).items() if name not in _OWN and name != "seed"}
    return {name: value for name, value in sorted(found.items()) if value is not None and not _is_path(value)}


def _is_path(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_is_path, value))
    return isinstance(value, Path) or (isinstance(value, str) and os.sep in value)


def checkout(folder: Path) -> tuple[str, bool]:
    """The commit of a checkout, and whether its files are those of the commit, figures and their page aside."""
    commit = _git(folder, "rev-parse", "HEAD").strip()
    without = [f":(exclude){name}" for name in _GENERATED]
    return commit, not _git(folder, "status", "--porcelain", "--", ".", *without).strip()


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def versions(interpreter: str | None = None) -> tuple[str, str]:
    """The versions of torch and Python in an interpreter, this one if none is named. Torch is not imported."""
    code = "import importlib.metadata as m, platform; print(m.version('torch'), platform.python_version())"
    done = subprocess.run([interpreter or sys.executable, "-c", code], capture_output=True, text=True, check=True)
    torch, python = done.stdout.split()
    return torch, python


def machine() -> Machine:
    """The kind of this machine. Read from ``/proc/cpuinfo`` where there is one."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = (line.partition(":") for line in info.read_text(errors="replace").splitlines())
        cpu = next((value.strip() for name, _, value in lines if name.strip() == "model name"), cpu)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    system = f"{platform.system()} {platform.machine()}"
    return Machine(cpu, os.cpu_count() or 1, round(memory / 2**30), system, round(os.getloadavg()[0], 1))


def seconds(values: Iterable[float], title: str = "core-seconds") -> list[Figure]:
    """Median, 95th percentile and sum of times in seconds; none where there are no values."""
    ordered = sorted(values)
    if not ordered:
        return []
    tail = ordered[min(int(len(ordered) * 0.95), len(ordered) - 1)]
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    told = {"median": middle, "p95": tail, "sum": sum(ordered)}
    return [Figure(f"{title}, {name}", round(value, 3), unit="s") for name, value in told.items()]
