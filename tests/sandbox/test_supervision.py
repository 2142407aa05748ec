"""An agent that ends or is stopped at any moment comes back by itself, and the status says so; none is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import weakened
from probing_helpers import Prober, quiet

from ts_shape_server.probing.agents import State

GOOD = "from torch import nn\nclass Good(nn.Linear):\n    def __init__(self): super().__init__(4, 3)\n"
DIES_AT_FIRST = """
if not os.path.exists({mark!r}):
    open({mark!r}, "w").close()
    {end}
"""
SLOW = """
from ts_shape_server.agent import ready
def hello():
    import time
    open({mark!r}, "w").close()
    time.sleep(999)
ready.hello = hello
"""
SECONDS = 120.0
"""Only what never comes is waited for so long."""


async def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline, "it does not come"
        await asyncio.sleep(0.02)


def watched(prober: Prober) -> list[str]:
    """What the status says, as it changes."""
    told: list[str] = []
    prober.service._on_status = lambda: told.append(prober.service.info()["problem"] or "")
    return told


@pytest.mark.parametrize("end", ["sys.exit(3)", "os.kill(os.getpid(), 9)"], ids=["an exit", "a signal"])
def test_an_agent_that_dies_while_it_starts_is_started_again(tmp_path: Path, end: str) -> None:
    patches = DIES_AT_FIRST.format(mark=str(tmp_path / "mark"), end=end)
    made = weakened.prober(tmp_path, patches, wall=60.0)
    told = watched(made)
    try:
        (tmp_path / "work").mkdir()
        assert made.reports(tmp_path / "work", GOOD, "Good", on_report=quiet)["Good"].status == "ok"
        assert any("ended before it was ready" in text and "started again" in text for text in told)
        assert told[-1] == ""
    finally:
        made.close()


def test_an_agent_that_dies_at_each_start_is_told_and_left_alone(tmp_path: Path) -> None:
    counted = tmp_path / "count"
    made = weakened.prober(tmp_path, f"open({str(counted)!r}, 'a').write('x'); sys.exit(3)")
    try:
        made.run(made.service.start())
        assert "ended before it was ready" in made.service.info()["problem"]
        assert counted.read_text() == "xx"
    finally:
        made.close()


def test_an_idle_agent_that_is_killed_comes_back_before_anybody_asks(make_prober: Callable[..., Prober]) -> None:
    prober = make_prober()
    prober.run(prober.service.start())
    told, first = watched(prober), prober.agent_pid
    os.kill(first, signal.SIGKILL)

    async def back() -> None:
        agent = prober.service._agents[0]
        await until(lambda: agent.state is State.READY and agent.pid not in (None, first))

    prober.run(back())
    assert any("has ended (SIGKILL). It is started again." in text for text in told)
    assert prober.service.info()["problem"] is None


def test_an_agent_that_always_dies_is_not_started_for_ever(
    make_prober: Callable[..., Prober], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ts_shape_server.probing import agents

    monkeypatch.setattr(agents, "BACKOFF", (0.0,))
    prober = make_prober()
    prober.run(prober.service.start())
    agent = prober.service._agents[0]
    killed: list[int] = []

    async def kill() -> None:
        while len(killed) < 2:
            await until(lambda: agent.state is State.READY and agent.pid not in (None, *killed))
            killed.append(prober.agent_pid)
            os.kill(killed[-1], signal.SIGKILL)
        await until(lambda: agent.state is State.FAILED)
        assert agent._looking_after is not None
        await asyncio.wait_for(asyncio.shield(agent._looking_after), SECONDS)

    prober.run(kill())
    assert agent.pid is None


@pytest.mark.skipif(sys.platform != "linux", reason="only there is told whether a process is stopped")
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_stopped_agent_is_replaced(
    make_prober: Callable[..., Prober], tmp_path: Path, alive: Callable[[int], bool], busy: bool
) -> None:
    """The silence for which another one is waited for is far longer: what is stopped is seen to be."""
    prober = make_prober(wall=60.0)
    prober.run(prober.service.start())
    first = prober.agent_pid
    hangs = "class Bad(nn.Module):\n    def forward(self, x):\n        print('BEGUN'); import time; time.sleep(50)\n"

    async def asked() -> Any:
        names = ("Bad", "Good") if busy else ("Good",)
        request = prober.request(tmp_path, GOOD + hangs, *names)
        agent = prober.service._agents[0]
        if not busy:
            os.kill(first, signal.SIGSTOP)
        task = asyncio.ensure_future(prober.service.reports(request, quiet))
        if busy:
            await until(lambda: any("BEGUN" in line for line in agent.output.last()))
            os.kill(first, signal.SIGSTOP)
        return await asyncio.wait_for(task, SECONDS)

    reports = {report.name: report for report in prober.run(asked())}
    assert reports["Good"].status == "ok"
    assert prober.agent_pid != first
    assert not alive(first)
    if busy:
        assert "signal had stopped the agent" in reports["Bad"].reason.message


def test_a_server_that_is_killed_while_its_agent_starts_leaves_nothing(
    tmp_path: Path, alive: Callable[[int], bool]
) -> None:
    mark = tmp_path / "mark"
    python = weakened.program(tmp_path, SLOW.format(mark=str(mark)))
    server = f"""
import asyncio, tempfile
from ts_shape_server.probing import agents, process
tempfile.tempdir = {str(tmp_path / "scratch")!r}
async def main():
    agent = agents.Agent(process.Launch({python!r}))
    task = asyncio.ensure_future(agent.start())
    while agent.pid is None:
        await asyncio.sleep(0.01)
    print(agent.pid, flush=True)
    await task
asyncio.run(main())
"""
    (tmp_path / "scratch").mkdir()

    async def run() -> None:
        made = await asyncio.create_subprocess_exec(sys.executable, "-c", server, stdout=asyncio.subprocess.PIPE)
        assert made.stdout is not None
        pid = int(await made.stdout.readline())
        try:
            await until(mark.exists)
            made.kill()
            await made.wait()
            await until(lambda: not alive(pid) and not list((tmp_path / "scratch").iterdir()))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    asyncio.run(run())
