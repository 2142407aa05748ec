"""Runs `fix --write` over files of the corpus, each as a workspace of its own, and records how every class ended.

What a repair claims is checked once more at the end, by a trial of the written file beside the one that it came from:
every class that ran must compute the same, and one that scripted must script.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.parity import corpus, records
from benchmarks.repair.located import place
from ts_shape_server.model import Report
from ts_shape_server.probing.requests import FileRequest, Trial
from ts_shape_server.probing.service import ProbeService
from ts_shape_server.repair import Repaired, repair_file, scripts
from ts_shape_server.settings import parse
from ts_shape_server.workspace import Workspace, options


async def run(
    folder: Path,
    names: list[str],
    out: Path,
    most: int | None,
    timeout: float,
    seconds: float,
    progress: Callable[[str], None],
) -> None:
    """Repair the files that `out` does not have yet, at most `most` classes of each, `seconds` for a class."""
    settings, _ = parse({}, {"jobs": 1, "timeoutMs": int(timeout * 1000)})
    service = ProbeService(options(settings, (), None))
    done = records.finished(out)
    try:
        await service.start()
        if service.problem is not None:
            raise SystemExit(service.problem.message)
        for name in names:
            if name not in done:
                started = time.monotonic()
                told = await _file(service, corpus.read(folder, name), out, most, seconds)
                took = time.monotonic() - started
                records.append(out, {"file": name, "done": True, "seconds": round(took, 2)})
                progress(f"{name}: {told}, {took:.1f} s")
    finally:
        await service.stop()


async def _file(service: ProbeService, source: corpus.Source, out: Path, most: int | None, seconds: float) -> str:
    with tempfile.TemporaryDirectory(prefix="repair-") as folder:
        path = Path(folder) / source.name
        path.write_text(source.text, encoding="utf-8")
        workspace = Workspace((folder,))
        snapshot = await asyncio.to_thread(workspace.snapshot, str(path), source.text)
        names = [module.name for module in snapshot.modules]
        if most is not None and len(names) > most:
            names = [names[index * len(names) // most] for index in range(most)]
        request = await asyncio.to_thread(workspace.request, snapshot, names)
        request = replace(request, overlays={**request.overlays, str(path): source.text})
        reports = await service.reports(request, lambda report: None)

        def attempt(report: Report, text: str, about: FileRequest = request) -> Coroutine[Any, Any, Trial]:
            return service.trial(about, report.name, report, text)

        text, ends = await repair_file(source.text, reports, attempt, seconds)
        path.write_text(text, encoding="utf-8")
        wrong = 0
        for report in reports:
            if report.status == "ok" and report.torchscript.script.ok is not None:
                checked = (await attempt(report, text)).torchscript if text != source.text else report.torchscript
                same = checked.script.ok is not None
                records.append(out, _record(source.name, report, ends.get(report.name), same, scripts(checked)))
                wrong += scripts(report.torchscript) and not scripts(checked)
    failing = [item for item in reports if item.status == "ok" and item.torchscript.script.ok is False]
    whole = sum(ends[item.name].whole for item in failing if item.name in ends)
    return f"{whole} of {len(failing)} repaired" + (f", {wrong} SCRIPT NO MORE" if wrong else "")


def _record(file: str, report: Report, end: Repaired | None, same: bool, now: bool) -> records.Record:
    state = report.torchscript
    return {
        "file": file,
        "class": report.name,
        "report": {"status": "ok"},
        "scripted": scripts(state),
        "compiled": state.script.ok,
        "failures": [item.detail.strip()[:300] for item in state.script.failures],
        "places": [place(item, report.path) for item in state.script.failures],
        "repaired": bool(end is not None and end.whole and now),
        "claimed": bool(end is not None and end.whole),
        "depth": 0 if end is None else end.depth,
        "titles": [] if end is None else list(end.titles),
        "left": [] if end is None else [item.message for item in end.state.script.failures],
        "trials": 0 if end is None else end.trials,
        "same": same,
        "scripts_now": now,
    }
