"""``python -m benchmarks.sandbox``: what the sandbox adds to a probe, beside the same probe without it.

Two services run the same file in turn, so that what else the machine does falls on both; then forks alone, which enter
the layers and end.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import recording
from ts_shape_server.agent.sandbox import policy
from ts_shape_server.contract.asked import ClassAsked
from ts_shape_server.probing.service import ClassRequest, FileRequest, Options, ProbeService

SOURCE = "from torch import nn\n\n\nclass Net(nn.Linear):\n    def __init__(self):\n        super().__init__(4, 3)\n"
LIMIT_MS = 5.0


async def probes(count: int) -> dict[str, list[float]]:
    """Milliseconds of each probe, by the setting `sandbox`."""
    taken: dict[str, list[float]] = {"off": [], "required": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.py"
        path.write_text(SOURCE)
        services = {name: ProbeService(Options(interpreter=sys.executable, sandbox=name)) for name in taken}
        for service in services.values():
            await service.start()
            if service.problem is not None:
                raise SystemExit(service.problem.message)
        for number in range(count):
            for name, service in services.items():
                request = FileRequest(str(path), folder, {}, (ClassRequest(ClassAsked("Net", 4), f"{number}"),))
                began = time.perf_counter()
                (report,) = await service.reports(request, lambda report: None)
                taken[name].append((time.perf_counter() - began) * 1000)
                if report.status != "ok":
                    raise SystemExit(f"the probe says {report.status}: {report.reason}")
        for service in services.values():
            await service.stop()
    return taken


def forks(count: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Milliseconds from a fork to its end, and of processor time of the child, by the tier that it enters; `none`
    enters nothing.
    """
    taken: dict[str, list[float]] = {policy.NONE: [], policy.LIMITS: [], policy.FULL: []}
    used: dict[str, list[float]] = {tier: [] for tier in taken}
    # The agent has these modules loaded before it forks.
    policy.available()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder) / "scratch"
        scratch.mkdir()
        for _ in range(count):
            for tier, times in taken.items():
                rules = policy.Policy(
                    (sys.prefix,), str(scratch), 60, 1 << 30, 1 << 20, 64, (), os.getpid(), tier, folder
                )
                began = time.perf_counter()
                pid = os.fork()
                if pid == 0:
                    try:
                        if tier != policy.NONE:
                            policy.enter(rules)
                        os._exit(0)
                    finally:
                        os._exit(1)
                _, status, usage = os.wait4(pid, 0)
                if status != 0:
                    raise SystemExit(f"the tier {tier} does not hold here")
                times.append((time.perf_counter() - began) * 1000)
                used[tier].append((usage.ru_utime + usage.ru_stime) * 1000)
    return taken, used


def told(title: str, taken: dict[str, list[float]]) -> None:
    print(f"| {title} | median ms | p95 ms | n |\n| --- | --- | --- | --- |")
    for name, times in taken.items():
        print(
            f"| {name} | {statistics.median(times):.2f} | {sorted(times)[len(times) * 95 // 100]:.2f} | {len(times)} |"
        )
    print()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sandbox", description=__doc__)
    parser.add_argument("--probes", type=int, default=100)
    parser.add_argument("--forks", type=int, default=300)
    recording.add_arguments(parser)
    options = parser.parse_args()
    alone, used = forks(options.forks)
    told("a fork that enters", alone)
    told("the same in processor time", used)
    whole = asyncio.run(probes(options.probes))
    told("a probe with `sandbox`", whole)
    added, worked = (
        statistics.median(each[policy.FULL]) - statistics.median(each[policy.NONE]) for each in (alone, used)
    )
    pairs = [with_it - without for with_it, without in zip(whole["required"], whole["off"], strict=True)]
    print(f"added to a fork: {added:.2f} ms, of processor time {worked:.2f} ms")
    print(f"added to a probe, median of the pairs: {statistics.median(pairs):.2f} ms")
    titles = {"a fork": alone, "a fork, of processor time": used, "a probe": whole}
    medians = [
        recording.Figure(f"{title}, `{tier}`, median", round(statistics.median(times), 2), unit="ms")
        for title, taken in titles.items()
        for tier, times in taken.items()
    ]
    ours = recording.Figure("added to a fork, of processor time", round(worked, 2), unit="ms")
    recording.record(options, "sandbox", [ours, *medians])
    # Wall time tells as much of what else the machine does.
    return 0 if worked <= LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
