"""``python -m benchmarks.latency``: how long an editor waits, by the clock, in sessions over stdio.

From the start to the reply to ``initialize``; from opening a file to the first hover with shapes (cold: nothing in the
store; other file: the agent runs already; warm: another session with the same store); from an edit to fresh
diagnostics; hovers while nothing else is done, and after an edit elsewhere in the file; memory. `--beside` times the
start and the hovers of other servers in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import recording
from benchmarks.latency import client
from benchmarks.recording import Figure

NET = """import torch
from torch import nn


class First(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc = nn.Linear(16 * 14 * 14, 10)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv(x)))
        return self.fc(x.view(-1, 16 * 14 * 14))


class Second(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(8, 6)
        self.two = nn.Linear(6, 4)

    def forward(self, x):
        return self.two(self.one(x))
"""
FITTING, BROKEN = "self.two = nn.Linear(6, 4)", "self.two = nn.Linear(5, 4)"
OTHER = "from torch import nn\n\n\nclass Third(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
OTHER += "        self.a = nn.Linear(12, 7)\n\n    def forward(self, x):\n        return self.a(x).relu()\n"
MISMATCH = "shape-mismatch"
WAIT_MS = 60_000


class Timed:
    """Milliseconds by the name of what was timed."""

    def __init__(self) -> None:
        self.taken: dict[str, list[float]] = {}

    async def time(self, name: str, work: Awaitable[Any]) -> Any:
        began = time.perf_counter()
        found = await work
        self.add(name, began)
        return found

    def add(self, name: str, began: float) -> None:
        """What began then, by `time.perf_counter`, ends now."""
        self.taken.setdefault(name, []).append((time.perf_counter() - began) * 1000)

    def figures(self) -> list[Figure]:
        """The median of each, and the 95th percentile where there are enough."""
        found = []
        for name, times in self.taken.items():
            ordered = sorted(times)
            found.append(Figure(f"{name}, median of {len(times)}", round(statistics.median(times), 2), unit="ms"))
            if len(times) >= 20:
                found.append(Figure(f"{name}, p95", round(ordered[int(len(ordered) * 0.95)], 2), unit="ms"))
        return found


def opened(session: client.Client, path: Path, text: str) -> str:
    uri = path.as_uri()
    session.notify(
        "textDocument/didOpen",
        {"textDocument": {"uri": uri, "languageId": "python", "version": 1, "text": text}},
    )
    return uri


def changed(session: client.Client, uri: str, text: str, version: int) -> None:
    document = {"uri": uri, "version": version}
    session.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})


async def hover(session: client.Client, uri: str, text: str, words: str) -> Any:
    """The hover over the first place of some words."""
    line = next(number for number, content in enumerate(text.split("\n")) if words in content)
    character = text.split("\n")[line].index(words) + len(words) - 1
    params = {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}
    return await session.request("textDocument/hover", params)


async def ours(command: Sequence[str], interpreter: str, rounds: int, timed: Timed) -> dict[str, int]:
    """All measures of the server, `rounds` times; resident memory in MiB at the end of the last session."""
    settings = {"hover": {"waitMs": WAIT_MS}, "interpreter": interpreter}
    memory: dict[str, int] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="latency-") as place:
            folder = Path(place) / "workspace"
            folder.mkdir()
            (folder / "pyproject.toml").touch()
            (folder / "net.py").write_text(NET)
            (folder / "other.py").write_text(OTHER)
            async with _session(command, folder, settings, timed) as own:
                uri = opened(own, folder / "net.py", NET)
                await timed.time("open → first shapes, cold store", hover(own, uri, NET, "class First"))
                await _while_running(own, uri, folder, timed)
                memory = _memory(own.process.pid)
            async with _session(command, folder, settings, timed) as own:
                uri = opened(own, folder / "net.py", NET)
                await timed.time("open → first shapes, warm store", hover(own, uri, NET, "class First"))
    return memory


@contextlib.asynccontextmanager
async def _session(
    command: Sequence[str], folder: Path, settings: Mapping[str, Any], timed: Timed
) -> AsyncIterator[client.Client]:
    """A session whose store is beside the workspace's folder; its start is timed."""
    began = time.perf_counter()
    async with client.started(command, folder, folder.parent / "cache", settings) as own:
        await client.initialize(own, folder, {"trusted": True, "settings": settings})
        timed.add("start → reply to `initialize`", began)
        yield own


async def _while_running(own: client.Client, uri: str, folder: Path, timed: Timed) -> None:
    other = opened(own, folder / "other.py", OTHER)
    await timed.time("open → first shapes, agent runs", hover(own, other, OTHER, "class Third"))
    await hover(own, uri, NET, "class Second")
    for _ in range(100):
        await timed.time("hover", hover(own, uri, NET, "class First"))
    version = 1
    for _ in range(6):
        for text, wrong in ((NET.replace(FITTING, BROKEN), True), (NET, False)):
            version += 1
            changed(own, uri, text, version)

            def fresh(found: dict[str, Any], wrong: bool = wrong) -> bool:
                return wrong == any(item.get("code") == MISMATCH for item in found["diagnostics"])

            await timed.time("edit → fresh diagnostics", own.until_published(uri, fresh))
    for number in range(20):
        version += 1
        text = f"{NET}\n# {number}\n"
        changed(own, uri, text, version)
        await timed.time("hover right after an edit elsewhere", hover(own, uri, text, "class First"))


def _memory(pid: int) -> dict[str, int]:
    """Resident memory in MiB of the server, and of the processes below it together."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
    below = {pid}
    for _ in range(4):
        below |= {child for child, parent in parents.items() if parent in below}
    return {"server": _resident(pid), "processes below it": sum(map(_resident, below - {pid}))}


def _resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


async def beside(name: str, command: Sequence[str], rounds: int, timed: Timed) -> None:
    """The start and the hovers of another server, on the same file."""
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="latency-") as place:
            folder = Path(place)
            (folder / "net.py").write_text(NET)
            began = time.perf_counter()
            async with client.started(command, folder, folder / "cache", {}) as own:
                await client.initialize(own, folder, {})
                timed.add(f"{name}: start → reply to `initialize`", began)
                uri = opened(own, folder / "net.py", NET)
                await timed.time(f"{name}: open → first hover", hover(own, uri, NET, "class First"))
                for _ in range(50):
                    await timed.time(f"{name}: hover", hover(own, uri, NET, "class First"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument(
        "--server", default="", help="the command ts-shape-server to time; this checkout's if not given"
    )
    parser.add_argument("--interpreter", default=sys.executable, help="the Python whose torch runs the probes")
    parser.add_argument(
        "--rounds", type=int, default=5, help="sessions with an empty store, and as many with a full one"
    )
    parser.add_argument("--beside", nargs=2, action="append", default=[], metavar=("NAME", "COMMAND"))
    recording.add_arguments(parser)
    options = parser.parse_args()
    start = shlex.split(options.server) or [sys.executable, "-m", "ts_shape_server"]
    if not options.server:
        os.environ["PYTHONPATH"] = str(recording.ROOT)
    timed = Timed()
    memory = asyncio.run(ours([*start, "serve", "--stdio"], options.interpreter, options.rounds, timed))
    for name, command in options.beside:
        asyncio.run(beside(name, shlex.split(command), options.rounds, timed))
    kept = [Figure(f"resident memory, {name}", value, unit="MiB") for name, value in memory.items()]
    figures = [*timed.figures(), *kept]
    for figure in figures:
        print(f"{figure.name:<55} {figure.value:>9} {figure.unit}")
    options.server, options.interpreter, options.beside = None, None, None
    recording.record(options, "latency", figures)


if __name__ == "__main__":
    main()
