"""Runs `show` over files of the corpus, each as a workspace of its own, and records every class's report.

One service with its agents serves all files, as in an editor; what is probed is a copy outside the corpus, so that no
file can be evidence for another.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.parity import corpus, records
from ts_shape_server.contract import schema
from ts_shape_server.contract.report import Report
from ts_shape_server.probing.service import ProbeService
from ts_shape_server.project import options
from ts_shape_server.settings import parse
from ts_shape_server.workspace import Workspace

LONG = 8
"""How many classes of a file are asked at once; more would only lengthen what a cut run has to do again."""


async def run(
    folder: Path,
    names: list[str],
    out: Path,
    jobs: int,
    timeout: float,
    stages: tuple[str, ...],
    most: int | None,
    progress: Callable[[str], None],
) -> None:
    """Probe the files that `out` does not have yet, `jobs` at once.

    `timeout` is a class's wall time in seconds; of each file `most` classes at most are probed, evenly spread.
    """
    settings, _ = parse({}, {"jobs": jobs, "timeoutMs": int(timeout * 1000), "interpreter": sys.executable})
    service = ProbeService(replace(options(settings, (), None), stages=stages))
    done = records.finished(out)
    waiting = [name for name in names if name not in done]
    turns = asyncio.Semaphore(jobs)

    async def one(name: str) -> None:
        async with turns:
            started = time.monotonic()
            count, found = await _file(service, corpus.read(folder, name), out, most)
            seconds = time.monotonic() - started
            records.append(out, {"file": name, "done": True, "seconds": round(seconds, 2)})
            progress(f"{name}: {found} of {count} classes, {seconds:.1f} s")

    try:
        await service.start()
        if service.problem is not None:
            raise SystemExit(service.problem.message)
        await asyncio.gather(*(one(name) for name in waiting))
    finally:
        await service.stop()


async def _file(service: ProbeService, source: corpus.Source, out: Path, most: int | None) -> tuple[int, int]:
    """How many concrete classes the file has, and how many of them are answered."""
    with tempfile.TemporaryDirectory(prefix="parity-") as place:
        path = Path(place) / source.name
        path.write_text(source.text, encoding="utf-8")
        workspace = Workspace((place,))
        snapshot = await asyncio.to_thread(workspace.snapshot, str(path), source.text)
        names = [module.name for module in snapshot.modules]
        if most is not None and len(names) > most:
            names = [names[index * len(names) // most] for index in range(most)]
        count = found = 0
        for start in range(0, len(names), LONG):
            request = await asyncio.to_thread(workspace.request, snapshot, names[start : start + LONG])
            for report in await service.reports(request, lambda report: None):
                _record(out, source.name, report)
                count += report.status != "skipped"
                found += report.status == "ok"
    return count, found


def _record(out: Path, file: str, report: Report) -> None:
    plain = replace(report, path=file, layers=(), variables=())
    records.append(
        out, {"file": file, "class": report.name, "report": schema.write(plain), "core_seconds": report.core_ms / 1000}
    )
