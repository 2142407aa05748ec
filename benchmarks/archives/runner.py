"""Saves each model, inspects its archives, and records what the tool says of them; the archives are not kept.

What is said of the classes comes from the results of `benchmarks.factories`. Where the two differ, the archive and the
class are called, so that the record shows whose difference it is.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.archives import proof
from benchmarks.archives.comparison import difference
from benchmarks.archives.saving import METHODS
from ts_shape_server.contract import schema
from ts_shape_server.contract.report import Report
from ts_shape_server.probing.service import Inspection, ProbeService
from ts_shape_server.project import options
from ts_shape_server.settings import parse

Record = dict[str, Any]
"""``{"name", "method", "saved", "message", "report", "core_seconds", "calls"}``.

`saved`: empty, or why there is no archive. `calls`: pairs of a `proof.Call` and what came of it by side.
"""

_LONGEST_LINE = 1 << 24
CALL_SECONDS = 60.0
"""Of work, for one call."""


def records(out: Path) -> dict[tuple[str, str], Record]:
    """What a results file has, by model and method; a line that a kill cut short is left out."""
    found: dict[tuple[str, str], Record] = {}
    for line in out.read_text(encoding="utf-8").splitlines() if out.exists() else ():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        found[record["name"], record["method"]] = record
    return found


async def run(
    catalogue: Record,
    chosen: Sequence[Record],
    sources: Mapping[str, Record],
    site: Sequence[Path],
    out: Path,
    timeout: float,
    progress: Callable[[Record], None],
) -> None:
    """Save and inspect the models that `out` does not have yet, one after the other."""
    settings, _ = parse({}, {"jobs": 1, "timeoutMs": int(timeout * 1000), "interpreter": sys.executable})
    service = ProbeService(replace(options(settings, (), None), stages=("example", "symbols")))
    done = records(out)
    waiting = [item for item in chosen if any((item["name"], method) not in done for method in METHODS)]
    try:
        await service.start()
        if service.problem is not None:
            raise SystemExit(service.problem.message)
        async with _saver(site) as ask:
            for item in waiting:
                with tempfile.TemporaryDirectory(prefix="archives-") as folder:
                    made = await ask({**item, "preamble": catalogue["preamble"], "folder": folder})
                    for method in METHODS:
                        record = await _inspected(service, item["name"], method, made[method])
                        calls = _asked(record, sources[item["name"]])
                        if calls:
                            told = await ask({"archive": made[method], "calls": calls, "seconds": CALL_SECONDS})
                            record["calls"] = list(zip(calls, told, strict=True))
                        with out.open("a", encoding="utf-8") as lines:
                            lines.write(json.dumps(record, ensure_ascii=False) + "\n")
                        progress(record)
    finally:
        await service.stop()


@asynccontextmanager
async def _saver(site: Sequence[Path]) -> AsyncIterator[Callable[[Record], Any]]:
    """What saves a model and calls it: a process that has the package imported."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.archives.saving",
        *(str(place.resolve()) for place in site),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
    )

    async def ask(request: Record) -> Any:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        await process.stdin.drain()
        line = await process.stdout.readline()
        if not line:
            raise SystemExit(f"The process that saves has ended at {request.get('name', request.get('archive'))}.")
        return json.loads(line)

    try:
        yield ask
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _asked(record: Record, source: Record) -> list[proof.Call]:
    """What to call both sides with; nothing where they are equal, or cannot be compared."""
    if record["report"] is None:
        return []
    archive, wanted = schema.read(Report, record["report"]), schema.read(Report, source["report"])
    if archive.status != "ok" or wanted.status != "ok" or not difference(archive, wanted):
        return []
    return proof.calls(archive, wanted)


async def _inspected(service: ProbeService, name: str, method: str, made: Any) -> Record:
    record: Record = {"name": name, "method": method, "saved": "", "message": "", "report": None, "core_seconds": 0.0}
    record["calls"] = []
    if not isinstance(made, str):
        return {**record, "saved": made["error"]}
    found: Inspection = await service.inspect(Path(made))
    report = None if found.report is None else replace(found.report, path=Path(made).name, layers=(), variables=())
    return {
        **record,
        "message": found.message,
        "report": None if report is None else schema.write(report),
        "core_seconds": 0.0 if report is None else report.core_ms / 1000,
    }
