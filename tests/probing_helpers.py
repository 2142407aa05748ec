"""A running probe service for a whole test module: what the server would see of a workspace that is written here."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ts_shape_server.contract.asked import ClassAsked
from ts_shape_server.contract.report import Report
from ts_shape_server.probing.agents import Limits
from ts_shape_server.probing.service import ClassRequest, FileRequest, Options, ProbeService

NUMBERS = itertools.count()
HEAD = "import torch\nfrom torch import nn\n"
GOOD = """
class Good(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)
    def forward(self, x):
        return self.fc(x)
"""
BAD = """
def loop(*_):
    while True: pass
class Bad(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)
    def forward(self, x):
        {}
"""
"""A class whose `forward` is to be filled in."""


def quiet(report: Report) -> None:
    """Takes a report that nobody wants to hear of."""


class Prober:
    """A service with an event loop of its own, for tests that are plain functions."""

    def __init__(self, **options: Any) -> None:
        self.loop = asyncio.new_event_loop()
        limits = Limits(wall=options.pop("wall", 3.0), memory=options.pop("memory", 1 << 30))
        self.service = ProbeService(Options(interpreter=sys.executable, limits=limits, **options))

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def request(self, folder: Path, source: str | Mapping[str, str], *classes: str, **more: Any) -> FileRequest:
        """The classes of `net.py` of a workspace with these files."""
        files = {"net.py": source} if isinstance(source, str) else source
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        items = tuple(ClassRequest(ClassAsked(name), f"{next(NUMBERS)}") for name in classes)
        return FileRequest(str(folder / "net.py"), str(folder), more.pop("overlays", {}), items, **more)

    def reports(
        self, folder: Path, source: str | Mapping[str, str], *classes: str, on_report: Callable[[Report], None] = print
    ) -> dict[str, Report]:
        request = self.request(folder, source, *classes)
        return {report.name: report for report in self.run(self.service.reports(request, on_report))}

    def imported(self, folder: Path, source: str | Mapping[str, str]) -> Report:
        """What comes of a file whose class is not there: it is imported and nothing else is done."""
        return self.reports(folder, source, "Nothing", on_report=lambda report: None)["Nothing"]

    def printed(self, start: str, seconds: float = 5.0) -> str:
        """The last line that user code printed which starts so; what is printed comes on another way than reports."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            lines = [line for agent in self.service._agents for line in agent.output.last() if line.startswith(start)]
            if lines:
                return lines[-1]
            self.run(asyncio.sleep(0.02))
        raise AssertionError(f"nothing was printed that starts with {start!r}")

    @property
    def agent_pid(self) -> int:
        pid = self.service._agents[0].pid
        assert pid is not None
        return pid

    def close(self) -> None:
        self.run(self.service.stop())
        self.loop.close()


def descendants(pid: int) -> list[int]:
    """The numbers of all living processes below this one."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found = [pid]
    for known in found:
        found.extend(child for child, parent in parents.items() if parent == known)
    return found[1:]
