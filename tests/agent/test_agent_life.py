"""An agent that is killed is replaced, one that cannot start is told once, and none leaves a process or a file."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from probing_helpers import BAD, GOOD, HEAD, quiet

from ts_shape_server.probing import agents, process
from ts_shape_server.probing.agents import Agent, AgentError, State


def test_an_agent_that_is_killed_during_a_probe_is_replaced(
    make_prober: Callable[..., Any], tmp_path: Path, alive: Callable[[int], bool]
) -> None:
    prober = make_prober()
    prober.run(prober.service.start())
    first = prober.agent_pid

    async def killed() -> Any:
        request = prober.request(tmp_path, HEAD + BAD.format("while True: pass") + GOOD, "Bad", "Good")
        task = asyncio.ensure_future(prober.service.reports(request, quiet))
        await asyncio.sleep(0.5)
        os.kill(first, signal.SIGKILL)
        return await task

    bad, good = prober.run(killed())
    assert bad.status == "crashed"
    assert "SIGKILL" in bad.reason.message
    assert good.status == "ok"
    assert prober.agent_pid != first
    assert not alive(first)


def test_an_idle_agent_that_is_killed_is_replaced(make_prober: Callable[..., Any], tmp_path: Path) -> None:
    prober = make_prober()
    prober.run(prober.service.start())
    os.kill(prober.agent_pid, signal.SIGKILL)
    prober.run(asyncio.sleep(0.2))
    assert prober.reports(tmp_path, HEAD + GOOD, "Good", on_report=quiet)["Good"].status == "ok"


def test_stopping_leaves_no_process_and_no_file(
    make_prober: Callable[..., Any], tmp_path: Path, alive: Callable[[int], bool]
) -> None:
    prober = make_prober()
    prober.run(prober.service.start())
    agent, scratch = prober.agent_pid, Path(prober.service._agents[0].scratch)

    async def stopped() -> Any:
        request = prober.request(tmp_path, HEAD + BAD.format("9**9**8"), "Bad")
        task = asyncio.ensure_future(prober.service.reports(request, quiet))
        await asyncio.sleep(0.3)
        await prober.service.stop()
        return await task

    (report,) = prober.run(stopped())
    assert report.reason.code == "stopped"
    assert not alive(agent)
    assert not scratch.exists()


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_that_is_killed_leaves_no_orphans(
    tmp_path: Path, alive: Callable[[int], bool], signal_number: int
) -> None:
    server = f"""
import asyncio, sys
from ts_shape_server.probing.service import *
from ts_shape_server.contract.asked import ClassAsked
async def main():
    service = ProbeService(Options(interpreter=sys.executable))
    await service.start()
    agent = service._agents[0]
    print(agent.pid, agent.scratch, flush=True)
    classes = (ClassRequest(ClassAsked("Bad"), "1"),)
    request = FileRequest({str(tmp_path / "net.py")!r}, {str(tmp_path)!r}, {{}}, classes)
    await service.reports(request, print)
asyncio.run(main())
"""
    (tmp_path / "net.py").write_text(HEAD + BAD.format("while True: pass"))

    async def run() -> tuple[int, str]:
        made = await asyncio.create_subprocess_exec(sys.executable, "-c", server, stdout=asyncio.subprocess.PIPE)
        assert made.stdout is not None
        pid, scratch = (await made.stdout.readline()).decode().split()
        await asyncio.sleep(0.5)
        made.send_signal(signal_number)
        await made.communicate()
        return int(pid), scratch

    pid, scratch = asyncio.run(run())
    deadline = time.monotonic() + 5
    while (alive(pid) or Path(scratch).exists()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(pid)
    assert not Path(scratch).exists()


def fake_interpreter(folder: Path, body: str) -> str:
    """A program that takes the place of Python and does something else."""
    path = folder / "python"
    top = f"#!{sys.executable}\nimport os, sys, time\nreply = int(sys.argv[sys.argv.index('--reply-fd') + 1])\n"
    path.write_text(top + body)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        pytest.param("print('cannot go on'); sys.exit(4)", "no-start", "cannot go on", id="ends"),
        pytest.param("time.sleep(60)", "no-start", "did not get torch ready", id="never ready"),
        pytest.param("os.write(reply, b'\\0\\0\\0\\2{}')", "no-start", "before it was ready", id="another handshake"),
        pytest.param("os.write(reply, b'\\0\\0\\1\\0half')", "no-start", "before it was ready", id="half a frame"),
        pytest.param("os.write(reply, b'\\xff' * 99); time.sleep(9)", "no-start", "before it was ready", id="noise"),
    ],
)
def test_an_agent_that_does_not_come_up_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, code: str, words: str
) -> None:
    monkeypatch.setattr(agents, "START_SECONDS", 0.5)
    states: list[State] = []

    async def start() -> None:
        agent = Agent(process.Launch(fake_interpreter(tmp_path, body)), states.append)
        with pytest.raises(AgentError, match=words) as told:
            await agent.start()
        assert told.value.code == code
        assert agent.scratch == ""
        with pytest.raises(AgentError, match=words):
            await agent.start()
            await agent.start()

    asyncio.run(start())
    assert states[:2] == [State.STARTING, State.FAILED]


def test_a_start_is_not_tried_again_and_again(tmp_path: Path) -> None:
    """Each start of an agent that cannot come up costs the machine seconds of torch."""
    counted = tmp_path / "count"
    interpreter = fake_interpreter(tmp_path, f"open({str(counted)!r}, 'a').write('x')")

    async def storm() -> None:
        agent = Agent(process.Launch(interpreter))
        for _ in range(20):
            with pytest.raises(AgentError):
                await agent.start()

    asyncio.run(storm())
    assert len(counted.read_text()) <= 4


def test_an_interpreter_that_is_gone_is_told(tmp_path: Path) -> None:
    async def start() -> None:
        with pytest.raises(AgentError, match="cannot be started: No such file"):
            await Agent(process.Launch(str(tmp_path / "gone"))).start()

    asyncio.run(start())
