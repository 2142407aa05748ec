"""Repairs files of the corpus with the command, as a program does: `show --json`, then `fix --write --json` on a copy.

Each file is a folder of its own with a cache of its own. What came of it is told by `verification`, in a fresh process
that knows nothing of the tool; the tool's own word counts only for where failures are and what it changed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.parity import corpus, records
from benchmarks.repair.located import first, place
from ts_shape_server.contract import schema
from ts_shape_server.contract.report import Report
from ts_shape_server.workspace import Workspace

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Limits:
    """Seconds: by the clock for a probe or trial, for the repair of a class, and of work for a class's verification."""

    probe: float
    repair: float
    verification: float


def run(
    folder: Path,
    names: Sequence[str],
    out: Path,
    most: int | None,
    limits: Limits,
    jobs: int,
    progress: Callable[[str], None],
) -> None:
    """Repair the files that `out` does not have yet, `jobs` at once and at most `most` classes of each."""
    done = records.finished(out)
    writing = threading.Lock()

    def one(name: str) -> None:
        started = time.monotonic()
        found = _file(corpus.read(folder, name), most, limits)
        with writing:
            for record in found:
                records.append(out, record)
            records.append(out, {"file": name, "done": True, "seconds": round(time.monotonic() - started, 2)})
            progress(f"{name}: {_told(found)}, {time.monotonic() - started:.1f} s")

    with ThreadPoolExecutor(jobs) as pool:
        for _ in pool.map(one, [name for name in names if name not in done]):
            pass


def _told(found: Sequence[records.Record]) -> str:
    failing = [record for record in found if record["compiled"] is False]
    text = f"{sum(record['repaired'] for record in failing)} of {len(failing)} repaired"
    broken = [record["class"] for record in found if record["same"] is False or record["broken"]]
    return f"{text}, NOT THE SAME: {', '.join(broken)}" if broken else text


def _file(source: corpus.Source, most: int | None, limits: Limits) -> list[records.Record]:
    with tempfile.TemporaryDirectory(prefix="repair-") as place:
        folder = Path(place)
        original, copy = folder / "original" / source.name, folder / "copy" / source.name
        for path in (original, copy):
            path.parent.mkdir()
            path.write_text(source.text, encoding="utf-8", newline="")
        names = _classes(copy, source.text, most)
        tool = _Tool(folder, limits)
        reports = tool.show(copy, names)
        running = [
            item for item in reports if item["status"] == "ok" and item["torchscript"]["script"]["ok"] is not None
        ]
        if all(item["torchscript"]["script"]["ok"] and not _failures(item) for item in running):
            return [_record(source.name, item, str(copy), {}, {}) for item in running]
        fixed = tool.fix(copy, [item["class"] for item in running])
        verdicts = _verified(folder, original, copy, running, limits)
        return [
            _record(source.name, item, str(copy), fixed.get(item["class"], {}), verdicts.get(item["class"], {}))
            for item in running
        ]


def _classes(path: Path, text: str, most: int | None) -> list[str]:
    snapshot = Workspace((str(path.parent),)).snapshot(str(path), text)
    names = [module.name for module in snapshot.modules]
    if most is not None and len(names) > most:
        names = [names[index * len(names) // most] for index in range(most)]
    return names


@dataclass(frozen=True)
class _Tool:
    """The command, with a cache of its own."""

    folder: Path
    limits: Limits

    def show(self, path: Path, names: Sequence[str]) -> list[dict[str, Any]]:
        """The reports of these classes, as JSON."""
        if not names:
            return []
        output = self._run("show", "--json", *(f"{path}:{name}" for name in names)).stdout
        return [json.loads(line) for line in output.splitlines() if line.startswith("{")]

    def fix(self, path: Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What `fix --json` tells of each class, with the wall `seconds` of the whole command."""
        started = time.monotonic()
        targets = [f"{path}:{name}" for name in names]
        done = self._run("fix", "--write", "--json", "--seconds", str(self.limits.repair), *targets)
        seconds = round(time.monotonic() - started, 2)
        told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return {item["class"]: {**item, "seconds": seconds} for file in told for item in file["classes"]}

    def _run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        limit = ("--timeout", str(self.limits.probe), "--interpreter", sys.executable)
        return subprocess.run(
            [sys.executable, "-m", "ts_shape_server", command, *limit, *arguments],
            cwd=_ROOT,
            env={**os.environ, "XDG_CACHE_HOME": str(self.folder / "cache")},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )


def _verified(
    folder: Path, original: Path, copy: Path, reports: Sequence[dict[str, Any]], limits: Limits
) -> dict[str, dict[str, Any]]:
    """The verdicts of a fresh process, by class."""
    job, out = folder / "job.json", folder / "verdicts.jsonl"
    sides = {"original": str(original), "repaired": str(copy)}
    job.write_text(json.dumps({**sides, "reports": reports, "seconds": limits.verification}), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "benchmarks.repair.verification", str(job), str(out)], cwd=_ROOT, check=False)
    return {record["class"]: record for record in records.load(out)}


def _failures(report: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = report["torchscript"]["script"]["failures"]
    return found


def _record(
    file: str, told: dict[str, Any], path: str, fixed: dict[str, Any], verdict: dict[str, Any]
) -> records.Record:
    report = schema.read(Report, told)
    state = report.torchscript.script
    scripted = verdict.get("scripted", state.ok is True)
    scripts = verdict.get("scripts", state.ok is True if not verdict else False)
    refused = str(verdict.get("refused", ""))
    return {
        "file": file,
        "class": report.name,
        "report": {"status": "ok"},
        "compiled": state.ok,
        "failures": [{"kind": item.kind, "detail": item.detail.strip()[:300]} for item in state.failures],
        "places": [place(item, path) for item in state.failures],
        "first": first(refused, str(path).replace("/copy/", "/original/"), state.failures) if refused else "",
        "scripted": scripted,
        "scripts": scripts,
        "repaired": bool(state.ok is False and not scripted and scripts and verdict.get("same")),
        "broken": bool(scripted and not scripts),
        "same": verdict.get("same"),
        "runs": verdict.get("runs", 0),
        "saves": verdict.get("saves", False),
        "difference": verdict.get("difference", ""),
        "torch": str(verdict.get("left", ""))[:600],
        "titles": [item["title"] for item in fixed.get("fixed", ())],
        "left": [{"kind": item.get("kind", ""), "detail": item["detail"][:300]} for item in fixed.get("left", ())],
        "left_to_python": fixed.get("left_to_python", False),
        "seconds": fixed.get("seconds", 0.0),
    }
