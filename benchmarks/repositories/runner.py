"""Asks the command about each repository, as a person does: `check`, then `show --json` for what it found.

The two share a store, so the second costs little. What is claimed is held against fresh eager runs by `refuting`, in
the interpreter that has the repository's needs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import recording
from benchmarks.parity import records

Record = dict[str, Any]
"""One repository: ``{"repository", "files", "cut", "wall", "core", "classes", "findings", "reports", "verdicts"}``.

Paths are relative to the repository. `cut` is why it was left out, or empty; then `classes` and what follows are there.
"""


@dataclass(frozen=True)
class Tool:
    """The command and the interpreter that it probes with; `minutes` by the clock end a `check`."""

    command: Sequence[str]
    interpreter: str
    jobs: int
    minutes: float
    verification: float


def run(
    folders: Sequence[Path], out: Path, tool: Tool, most: int | None, progress: Callable[[Record], None]
) -> list[Record]:
    """The record of each repository, those of `out` first; of each `most` files at most, evenly spread."""
    found = {item["repository"]: item for item in records.load(out)}
    for folder in folders:
        if folder.name not in found:
            record = _repository(folder.resolve(), tool, most)
            records.append(out, record)
            found[folder.name] = record
        progress(found[folder.name])
    return [found[folder.name] for folder in folders]


def python_files(folder: Path, most: int | None) -> list[str]:
    """The repository's Python files, or `most` of those that mention a Module, evenly spread."""
    hidden = (".", "__pycache__")
    found = sorted(
        path
        for path in folder.rglob("*.py")
        if not any(part.startswith(hidden) for part in path.relative_to(folder).parts)
    )
    if most is not None:
        found = [path for path in found if "Module" in path.read_text(encoding="utf-8", errors="replace")]
        if len(found) > most:
            found = [found[index * len(found) // most] for index in range(most)]
    return [str(path.relative_to(folder)) for path in found]


def _repository(folder: Path, tool: Tool, most: int | None) -> Record:
    files = python_files(folder, most)
    record: Record = {"repository": folder.name, "files": len(files), "cut": "", "wall": 0.0, "core": 0.0}
    with tempfile.TemporaryDirectory(prefix="repositories-") as place:
        asked = ["."] if most is None else files
        began, before = time.monotonic(), _core()
        try:
            done = _asked(tool, folder, Path(place), ["check", "--format", "json", "--jobs", str(tool.jobs), *asked])
        except subprocess.TimeoutExpired:
            return {**record, "cut": f"longer than {tool.minutes:g} minutes", "core": round(_core() - before, 1)}
        record |= {"wall": round(time.monotonic() - began, 1), "core": round(_core() - before, 1)}
        try:
            told = json.loads(done)
        except ValueError:
            return {**record, "cut": "no output"}
        holding = sorted({item["path"] for item in told["classes"] if Path(item["path"]).is_relative_to(folder)})
        try:
            shown = _asked(tool, folder, Path(place), ["show", "--json", *holding]) if holding else ""
        except subprocess.TimeoutExpired:
            shown = ""
        reports = [json.loads(line) for line in shown.splitlines() if line.startswith("{")]
        verdicts = _verdicts(folder, Path(place), reports, tool)
    for item in (*told["classes"], *told["findings"], *reports):
        item["path"] = os.path.relpath(item["path"], folder)
    return {**record, **told, "reports": [_plain(report) for report in reports], "verdicts": verdicts}


def _plain(report: Record) -> Record:
    return {name: value for name, value in report.items() if name not in ("layers", "variables")}


def _core() -> float:
    """Seconds of processor time of the children that have ended."""
    used = os.times()
    return used.children_user + used.children_system


def _asked(tool: Tool, folder: Path, place: Path, arguments: Sequence[str]) -> str:
    """Standard output of the command. It ends at the limit with all that it started."""
    name, *rest = arguments
    process = subprocess.Popen(
        [*tool.command, name, "--interpreter", tool.interpreter, *rest],
        cwd=folder,
        env={**os.environ, "XDG_CACHE_HOME": str(place)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        return process.communicate(timeout=tool.minutes * 60)[0]
    except subprocess.TimeoutExpired:
        # The command takes its agents down on an interrupt.
        process.send_signal(signal.SIGINT)
        process.communicate()
        raise


def _verdicts(folder: Path, place: Path, reports: Sequence[Record], tool: Tool) -> list[Record]:
    by_path: dict[str, list[Record]] = {}
    for report in reports:
        if report["status"] == "ok":
            by_path.setdefault(report["path"], []).append(report)
    job, out = place / "job.json", place / "verdicts.jsonl"
    files = [{"path": path, "reports": found} for path, found in by_path.items()]
    job.write_text(json.dumps({"root": str(folder), "files": files, "seconds": tool.verification}), encoding="utf-8")
    subprocess.run(
        [tool.interpreter, "-m", "benchmarks.repositories.refuting", str(job), str(out)],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(recording.ROOT)},
        stderr=sys.stderr,
        check=False,
    )
    return list(records.load(out))
