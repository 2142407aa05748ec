"""``python -m benchmarks.soak``: thousands of probes in a row, good ones and such that die, without growth.

Prints now and then the memory, descriptors, threads and processes of the server and of its agent; ends with 1 if any of
them grew from the first tenth to the last by more than a little.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import recording
from ts_shape_server.contract.asked import ClassAsked
from ts_shape_server.probing.agents import Limits
from ts_shape_server.probing.service import ClassRequest, FileRequest, Options, ProbeService

HEAD = "import os, sys, threading, torch\nfrom torch import nn\n"
GOOD = "class Net(nn.Linear):\n    def __init__(self):\n        super().__init__(4, 3)\n"
BODIES = (
    GOOD,
    GOOD,
    GOOD + "open('left', 'w').write('x' * 10**6)\n",
    "os._exit(3)\n" + GOOD,
    "class Net(nn.Module):\n    os.abort()\n",
    "class Net(nn.Module):\n    def forward(self, x):\n        os._exit(0)\n",
    "class Net(nn.Module):\n    def forward(self, x):\n        raise ValueError('x' * 10**5)\n",
    "threading.Thread(target=threading.Event().wait).start()\n" + GOOD,
    "sys.stdout.write('x' * 10**5)\n" + GOOD,
    "for n in range(3, 9):\n    try: os.write(n, b'noise')\n    except OSError: pass\n" + GOOD,
)
GROWTH = {"server KiB": 30_000, "agent KiB": 30_000}
"""How much more is no growth; of everything else, 2."""


@dataclass(frozen=True)
class Sample:
    probes: int
    figures: dict[str, int]


def sample(probes: int, service: ProbeService) -> Sample:
    agent = service._agents[0]
    assert agent.pid is not None
    figures: dict[str, int] = {}
    for name, pid in (("server", os.getpid()), ("agent", agent.pid)):
        place = Path("/proc") / str(pid)
        figures[f"{name} KiB"] = int((place / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
        figures[f"{name} descriptors"] = len(list((place / "fd").iterdir()))
        figures[f"{name} threads"] = len(list((place / "task").iterdir()))
    children = Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split()
    figures["children"] = len(children)
    figures["scratch"] = len(list(Path(agent.scratch).iterdir()))
    return Sample(probes, figures)


async def soak(count: int, every: int) -> list[Sample]:
    samples: list[Sample] = []
    service = ProbeService(Options(interpreter=sys.executable, limits=Limits(wall=10.0, memory=1 << 30)))
    await service.start()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        for number in range(count):
            path = Path(folder) / f"net{number % 50}.py"
            path.write_text(HEAD + BODIES[number % len(BODIES)])
            item = ClassRequest(ClassAsked("Net", 3), f"{number}")
            await service.reports(FileRequest(str(path), folder, {}, (item,)), lambda report: None)
            if number % every == every - 1:
                samples.append(sample(number + 1, service))
                shown = " | ".join(str(value) for value in samples[-1].figures.values())
                print(f"| {number + 1} | {time.monotonic() - began:.0f} | {shown} |", flush=True)
    await service.stop()
    return samples


def grown(samples: list[Sample]) -> list[str]:
    """What grew from the first to the last: by medians of a few, since one sample may catch a moment."""
    few = max(1, len(samples) // 5)
    found = []
    for name in samples[0].figures:
        parts = (samples[1 : few + 1], samples[-few:])
        first, last = (sorted(item.figures[name] for item in part)[len(part) // 2] for part in parts)
        if last - first > GROWTH.get(name, 2):
            found.append(f"{name}: {first} -> {last}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--probes", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=500)
    recording.add_arguments(parser)
    options = parser.parse_args()
    names = "server KiB | server fds | server threads | agent KiB | agent fds | agent threads | children | scratch"
    print(f"| probes | seconds | {names} |\n|{' --- |' * 10}")
    samples = asyncio.run(soak(options.probes, options.every))
    found = grown(samples) if len(samples) > 2 else []
    print("\n".join(found) or "nothing grew")
    last = samples[-1].figures if samples else {}
    figures = [recording.Figure(f"{name} at the end", value) for name, value in last.items()]
    recording.record(options, "soak", [*figures, recording.Figure("figures that grew", len(found), len(last))])
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
