"""Where a process cannot be forked, a process that waits takes the job: the same promises, tried on this system."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import weakened
from probing_helpers import Prober, descendants, quiet

from ts_shape_server.agent import endings, guards, waiting
from ts_shape_server.agent.sandbox import macos, policy, windows
from ts_shape_server.contract.jobs import Hello
from ts_shape_server.probing import process

SPARES = "from ts_shape_server.agent.sandbox import policy\npolicy.needs_spares = lambda: True"
GOOD = """
import torch
from torch import nn
class Good(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)
    def forward(self, x):
        return self.fc(x)
"""


@pytest.fixture(scope="module")
def prober(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prober]:
    made = weakened.prober(tmp_path_factory.mktemp("interpreter"), SPARES, wall=20.0)
    made.run(made.service.start())
    assert made.service.problem is None, made.service.problem
    yield made
    made.close()


def one_waits(prober: Prober) -> bool:
    """Below the agent there is the process for the next job, and nothing else."""
    deadline = time.monotonic() + 5
    while len(descendants(prober.agent_pid)) > 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    return len(descendants(prober.agent_pid)) == 1


def test_a_spare_process_reports_from_inside_the_sandbox(prober: Prober, tmp_path: Path) -> None:
    assert prober.service.info()["sandbox"]["tier"] == policy.available().tier
    first = descendants(prober.agent_pid)
    assert len(first) == 1
    assert prober.reports(tmp_path, GOOD, "Good", on_report=quiet)["Good"].status == "ok"
    assert one_waits(prober)
    assert descendants(prober.agent_pid) != first


@pytest.mark.parametrize(
    ("top", "status", "words"),
    [
        ("import os; os.abort()", "crashed", "aborted"),
        ("import os; os._exit(3)", "crashed", "code 3"),
        ("open('/etc/passwd')", "unresolved", "PermissionError"),
        ("import os; os.fork()", "unresolved", "PermissionError"),
        ("print('noise', flush=True); import os; os.write(1, b'noise')", "unresolved", ""),
    ],
)
def test_a_spare_process_is_as_confined_and_its_end_is_told(
    prober: Prober, tmp_path: Path, top: str, status: str, words: str
) -> None:
    source = f"from torch import nn\nclass Bad(nn.Module):\n    {top}\n"
    agent = prober.agent_pid
    report = prober.reports(tmp_path, source, "Bad", on_report=quiet)["Bad"]
    assert report.status in (status, "skipped"), report.reason
    assert report.reason is None or words in report.reason.message
    assert prober.agent_pid == agent
    assert one_waits(prober)


def test_a_spare_process_that_is_killed_while_it_waits_is_replaced(prober: Prober, tmp_path: Path) -> None:
    os.kill(descendants(prober.agent_pid)[0], 9)
    for _ in range(2):
        report = prober.reports(tmp_path, GOOD, "Good", on_report=quiet)["Good"]
    assert report.status == "ok"


@pytest.fixture(scope="module")
def without_a_timer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prober]:
    """As where neither fork nor interval timers are: limits are raised by a thread, in each spare process."""
    folder = tmp_path_factory.mktemp("timerless")
    patches = (
        f"{SPARES}\nfrom ts_shape_server.agent import children, loop\n"
        f"loop.command = lambda: [{str(folder / 'python')!r}, *children.command()[1:]]\n"
        "if '--spare' in sys.argv:\n"
        "    from ts_shape_server.agent import clock\n"
        "    clock.HAS_TIMER = False"
    )
    made = weakened.prober(folder, patches, wall=15.0)
    made.run(made.service.start())
    assert made.service.problem is None, made.service.problem
    yield made
    made.close()


LIMITED = """
from ts_shape_server.agent import clock
for work in ("while True: pass", "while True:\\n    try: pass\\n    finally: pass"):
    try:
        with clock.time_limit(0.3):
            exec(work)
    except clock.TimeLimit:
        print("INTERRUPTED", clock.HAS_TIMER, work[:3])
"""


def test_time_is_limited_without_a_timer_too(without_a_timer: Prober, tmp_path: Path) -> None:
    """By a thread, which the sandbox allows, and which ends with its limit: the class after it is probed as ever."""
    agent = without_a_timer.agent_pid
    report = without_a_timer.reports(tmp_path, LIMITED + GOOD, "Good", on_report=quiet)["Good"]
    without_a_timer.printed("INTERRUPTED")
    lines = [line for line in without_a_timer.service._agents[0].output.last() if line.startswith("INTERRUPTED")]
    assert lines == ["INTERRUPTED False whi", "INTERRUPTED False whi"]
    assert report.status == "ok", report.reason
    assert without_a_timer.agent_pid == agent


def test_a_call_that_waits_for_ever_is_ended_without_a_timer(without_a_timer: Prober, tmp_path: Path) -> None:
    """Nothing interrupts it, so the agent ends the process; the class beside it has its report."""
    source = f"{GOOD}\nclass Bad(nn.Module):\n    def forward(self, x):\n        import time; time.sleep(99)\n"
    reports = without_a_timer.reports(tmp_path, source, "Good", "Bad", on_report=quiet)
    assert [report.status for report in reports.values()] == ["ok", "timeout"]
    assert one_waits(without_a_timer)


def test_memory_that_the_system_does_not_limit_is_watched(tmp_path: Path) -> None:
    patches = (
        "linux._limit = lambda policy: None\n"
        "from ts_shape_server.agent.sandbox import policy\npolicy.watches_memory = lambda: True"
    )
    made = weakened.prober(tmp_path, patches, wall=30.0, memory=200 << 20)
    try:
        source = GOOD + "x = bytearray(b'1') * (400 << 20)\nimport time; time.sleep(20)\n"
        (tmp_path / "work").mkdir()
        report = made.reports(tmp_path / "work", source, "Good", on_report=quiet)["Good"]
        assert report.status in ("ok", "crashed")
        request = made.request(tmp_path / "work", source.replace("x =", "class Bad(nn.Module):\n    x ="), "Bad")
        (report,) = made.run(made.service.reports(request, quiet))
        assert report.status == "crashed"
        assert "more than the limit of 200 MiB" in report.reason.message
    finally:
        made.close()


def test_an_agent_may_speak_over_its_standard_pipes(tmp_path: Path) -> None:
    """What an interpreter prints at its start comes before, and is dropped."""
    noisy = tmp_path / "python"
    noisy.write_text(f'#!/bin/sh\necho noise\nexec {sys.executable} "$@"\n')
    noisy.chmod(0o700)

    async def talk() -> tuple[Any, Any]:
        made = await process.launch(process.Launch(str(noisy)), process.Output(), standard=True)
        hello = await asyncio.wait_for(made.messages.get(), 100)
        await made.end()
        return hello, made.code

    hello, code = asyncio.run(talk())
    assert isinstance(hello, Hello)
    assert code == 0


def test_a_process_ends_with_the_one_that_started_it() -> None:
    """Where no death signal is, by the pipe between them."""
    program = (
        "from ts_shape_server.agent import standard; import time; standard.end_with(0); print(1, flush=True);"
        " time.sleep(60)"
    )
    made = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert made.stdout is not None and made.stdin is not None
    made.stdout.readline()
    made.stdin.close()
    assert made.wait(20) == 1
    made.stdout.close()


@pytest.mark.parametrize("kind", [waiting.Polling, waiting.Threads])
def test_what_comes_from_several_sides_is_waited_for(kind: Callable[[], waiting.Waiter]) -> None:
    waiter = kind()
    pipes = [os.pipe() for _ in range(3)]
    for reader, _ in pipes:
        waiter.add(reader)
    assert waiter.wait(0.01) == []
    os.write(pipes[1][1], b"one")
    assert waiter.wait(5) == [(pipes[1][0], b"one")]
    waiter.remove(pipes[0][0])
    os.write(pipes[0][1], b"unheard")
    os.close(pipes[2][1])
    assert waiter.wait(5) == [(pipes[2][0], b"")]
    for descriptor in (pipes[0][0], pipes[0][1], pipes[1][0], pipes[1][1], pipes[2][0]):
        os.close(descriptor)


def test_a_thread_tells_the_end_of_a_process() -> None:
    waiter = waiting.Threads()
    ended = threading.Event()
    waiter.add_end(-7, ended.wait)
    assert waiter.wait(0.01) == []
    ended.set()
    assert waiter.wait(5) == [(-7, None)]


def test_files_of_all_sizes_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "_SUSPICIOUS_BYTES", 0)
    monkeypatch.setattr(guards, "FILES", 50)
    free = [(1 << 40, 10_000)]
    monkeypatch.setattr(guards, "_free", lambda place: free[0])
    guard = guards.JobGuard(str(tmp_path), 1 << 16, os.getpid(), None)
    free[0] = (1 << 39, 10_000)
    assert guard.problem() == (None, "")
    for number in range(5):
        (tmp_path / f"f{number}").write_bytes(b"x" * (1 << 16))
    free[0] = (1 << 38, 10_000)
    assert "wrote more than" in guard.problem()[1]
    for number in range(5):
        (tmp_path / f"f{number}").unlink()
    for number in range(60):
        (tmp_path / f"g{number}").touch()
    assert "more than 50 files" in guard.problem()[1]


@pytest.mark.parametrize(
    ("code", "outcome", "words"),
    [
        (-11, "crashed", "segmentation fault"),
        (-24, "timeout", "processor time"),
        (0xC0000005, "crashed", "segmentation fault"),
        (0xC00000FD, "crashed", "stack overflow"),
        (0xC0000017, "memory", "64 MiB"),
        (0x718, "timeout", "processor time"),
        (endings.MEMORY_CODE, "memory", "64 MiB"),
        (endings.SANDBOX_CODE, "sandbox", "could not be set up"),
        (5, "crashed", "code 5"),
        (0, "finished", ""),
    ],
)
def test_an_end_is_told_in_words(code: int, outcome: str, words: str) -> None:
    told = endings.in_words(code, 64)
    assert told[0] == outcome
    assert words in told[1]


def test_the_profile_of_macos_denies_all_but_what_it_says(tmp_path: Path) -> None:
    made = policy.Policy(('/w "q" \\',), str(tmp_path), 5, 1, 1, 64, (3,), 1, policy.SEATBELT, "/")
    lines = macos.profile(made).split("\n")
    assert lines[1] == "(deny default)"
    assert '(subpath "/w \\"q\\" \\\\")' in next(
        line for line in lines if line.startswith("(allow file-read* (subpath")
    )
    writing = [line for line in lines if "file-write" in line and line.startswith("(allow")]
    assert all(f'"{tmp_path}"' in line or "/dev/null" in line for line in writing)
    assert {"(deny network*)", "(deny process-fork process-exec*)"} <= set(lines)


def test_windows_says_what_it_does_not_withhold() -> None:
    applied = windows.available(turned_off=False)
    assert applied.tier not in policy.STRONG
    assert "withholds it from no process" in applied.layers["network"]
