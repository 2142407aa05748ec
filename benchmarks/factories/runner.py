"""Asks the tool about a class around each factory's model, as in a person's file, and records what it says.

One service with its agents serves all models; each file is a workspace of its own in a scratch folder. With more
classes in a file than one, only the first pays for the import of the package.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.factories.agreement import disagreement
from ts_shape_server.contract import schema
from ts_shape_server.contract.report import Report
from ts_shape_server.probing.service import ProbeService
from ts_shape_server.project import options
from ts_shape_server.settings import parse
from ts_shape_server.workspace import Workspace

Record = dict[str, Any]
"""``{"name", "documented", "report", "core_seconds", "first"}``; `first`: the class that paid for the import."""

_FILE = """{preamble}{imports}
from torch import nn

{classes}"""
_CLASS = """
class Net{number}(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = {expression}

    def forward(self, x):
        return self.net(x)

"""


def source(preamble: str, group: list[Record]) -> str:
    """A file with a class around the model of each factory of the group."""
    imports = "\n".join(dict.fromkeys(item["imports"] for item in group))
    classes = "".join(_CLASS.format(number=number, expression=item["expression"]) for number, item in enumerate(group))
    return _FILE.format(preamble=preamble, imports=imports, classes=classes)


def records(out: Path) -> dict[str, Record]:
    """What a results file has, by the factory's name; a line that a kill cut short is left out."""
    found: dict[str, Record] = {}
    for line in out.read_text(encoding="utf-8").splitlines() if out.exists() else ():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        found[record["name"]] = record
    return found


def verdict(record: Record) -> str:
    """Why the documented input is outside the claim, empty where it is inside."""
    return disagreement(schema.read(Report, record["report"]), record["documented"])


async def run(
    catalogue: Record,
    chosen: list[Record],
    site: list[Path],
    out: Path,
    jobs: int,
    group: int,
    timeout: float,
    stages: tuple[str, ...],
    progress: Callable[[Record], None],
) -> None:
    """Probe the factories that `out` does not have yet, `jobs` files of `group` classes at once."""
    given = {"jobs": jobs, "timeoutMs": int(timeout * 1000), "extraPaths": [str(place.resolve()) for place in site]}
    settings, _ = parse({}, {**given, "interpreter": sys.executable})
    service = ProbeService(replace(options(settings, (), None), stages=stages))
    done = records(out)
    waiting = [item for item in chosen if item["name"] not in done]
    turns = asyncio.Semaphore(jobs)

    async def one(part: list[Record]) -> None:
        async with turns:
            await _file(service, settings.extra_paths, catalogue["preamble"], part, out, progress)

    try:
        await service.start()
        if service.problem is not None:
            raise SystemExit(service.problem.message)
        await asyncio.gather(*(one(part) for part in _parts(waiting, group)))
    finally:
        await service.stop()


def _parts(items: list[Record], size: int) -> Iterator[list[Record]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


async def _file(
    service: ProbeService,
    extra_paths: tuple[str, ...],
    preamble: str,
    group: list[Record],
    out: Path,
    progress: Callable[[Record], None],
) -> None:
    with tempfile.TemporaryDirectory(prefix="factories-") as place:
        path = Path(place) / "nets.py"
        path.write_text(source(preamble, group), encoding="utf-8")
        workspace = Workspace((place,))
        snapshot = await asyncio.to_thread(workspace.snapshot, str(path), path.read_text(encoding="utf-8"))
        request = await asyncio.to_thread(workspace.request, snapshot)
        request = replace(request, extra_paths=extra_paths)
        seen: set[str] = set()

        def keep(report: Report) -> None:
            """Each class's last report as it comes, so that a run that was cut has it."""
            if report.stage != "final" or report.name in seen:
                return
            seen.add(report.name)
            number = int(report.name.removeprefix("Net"))
            plain = replace(report, path=path.name, layers=(), variables=())
            record = {
                "name": group[number]["name"],
                "documented": group[number]["sizes"],
                "report": schema.write(plain),
                "core_seconds": report.core_ms / 1000,
                "first": number == 0,
            }
            with out.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(record, ensure_ascii=False) + "\n")
            progress(record)

        for report in await service.reports(request, keep):
            keep(report)
