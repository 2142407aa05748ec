"""What the server sees of a probe that hangs, dies, lies or floods."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from probing_helpers import BAD, GOOD, HEAD, descendants, quiet

from ts_shape_server.contract import wire
from ts_shape_server.contract.asked import CallArguments, CallEvidence
from ts_shape_server.contract.report import Report
from ts_shape_server.probing import process
from ts_shape_server.probing.agents import Limits


@pytest.fixture
def check(prober: Any, tmp_path: Path, survivors: Callable[[], list[int]]) -> Callable[..., Any]:
    """`check(body, statuses, *words)`: what is told of a class whose `forward` is `body`; the agent goes on."""

    def run(body: str, statuses: str, *words: str) -> Any:
        agent = prober.agent_pid
        report = prober.reports(tmp_path, HEAD + BAD.format(body), "Bad", on_report=quiet)["Bad"]
        assert report.status in statuses.split(), report.reason
        for word in words:
            assert word in report.reason.message
        assert prober.agent_pid == agent
        assert survivors() == []
        return report

    return run


def test_the_classes_beside_one_that_kills_its_probe_have_their_reports(prober: Any, tmp_path: Path) -> None:
    source = HEAD + BAD.format("import os; os.abort()") + GOOD + GOOD.replace("Good", "Better")
    reports = prober.reports(tmp_path, source, "Good", "Bad", "Better", on_report=quiet)
    assert [report.status for report in reports.values()] == ["ok", "crashed", "ok"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("9**9**8", id="a number"),
        pytest.param("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", id="stopping itself"),
        pytest.param(
            "import signal; [signal.signal(n, signal.SIG_IGN) for n in (1, 2, 3, 10, 12, 13, 14, 15)]\n"
            "        while True: pass",
            id="ignoring signals",
        ),
        pytest.param("while True:\n            try: self()\n            except BaseException: pass", id="catching all"),
    ],
)
def test_a_forward_that_never_ends_is_ended(check: Callable[..., Any], body: str) -> None:
    check(body, "timeout", "it took longer than", "`timeoutMs`")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param("import ctypes; ctypes.string_at(0)", "segmentation fault in native code", id="null"),
        pytest.param("import os; os.abort()", "native code aborted", id="abort"),
        pytest.param("import os; os._exit(3)", "it ended itself with code 3", id="exit"),
        pytest.param("import os; os._exit(0)", "before it could report", id="quiet exit"),
        pytest.param("import os; os.kill(os.getpid(), 9)", "it was killed", id="kill"),
        pytest.param(
            "import os\n        os.closerange(3, 99)\n        while True: pass",
            "it closed its result and went on running",
            id="closing the result",
        ),
    ],
)
def test_a_death_is_told_by_how_it_died(check: Callable[..., Any], body: str, words: str) -> None:
    check(body, "crashed", words)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("raise SystemExit(0)", id="exit"),
        pytest.param("input()", id="input"),
        pytest.param("import subprocess; subprocess.run(['true'])", id="a subprocess"),
        pytest.param("import atexit, time; atexit.register(time.sleep, 99); return 1 / 0", id="a hanging atexit"),
        pytest.param(
            "import threading, time; threading.Thread(target=time.sleep, args=(99,)).start(); return 1 / 0",
            id="a thread that goes on",
        ),
        pytest.param("raise Exception('x' * 10**6)", id="a long message"),
        pytest.param(
            "raise type('E', (Exception,), {'__str__': lambda self: 1 / 0, '__repr__': lambda self: 1 / 0})()",
            id="an error without words",
        ),
    ],
)
def test_what_ends_forward_does_not_end_the_probe(check: Callable[..., Any], body: str) -> None:
    report = check(body, "unresolved")
    assert report.reason.code != "internal"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("import sys; sys.setrecursionlimit(10**9); f = lambda: f(); f()", id="recursion without end"),
        pytest.param("raise Exception('x' * 10**9)", id="a message of a gigabyte"),
        pytest.param(
            "import sys; sys.setrecursionlimit(10**9); f = lambda *a: list(map(f, [1])); f()", id="a stack of C"
        ),
        pytest.param("import time; time.sleep(10**6)", id="sleep for ever"),
        pytest.param("raise Exception(type('R', (), {'__repr__': loop})())", id="a text without end"),
        pytest.param("raise type('E', (Exception,), {'__str__': loop})()", id="an error without end"),
        pytest.param("x = [x]\n        while True: x.append(x * 2)", id="a list without end"),
    ],
)
def test_what_uses_up_the_machine_is_ended(check: Callable[..., Any], body: str) -> None:
    check(body, "unresolved crashed timeout")


def test_a_shape_that_never_ends_does_not_hold_up_the_agent(check: Callable[..., Any]) -> None:
    """Whatever looks at the output first: the loop, or what is content with its type."""
    body = "return x.as_subclass(type('S', (torch.Tensor,), {'shape': property(loop)}))"
    check(body, "ok unresolved crashed timeout")


@pytest.mark.parametrize(
    "top",
    [
        pytest.param("import os; os._exit(0)", id="exit"),
        pytest.param("import os; os.abort()", id="abort"),
        pytest.param("import ctypes; ctypes.string_at(0)", id="null"),
        pytest.param("9**9**8", id="a number"),
        pytest.param(
            "import signal; signal.setitimer(signal.ITIMER_REAL, 0)\nwhile True: pass", id="without the timer"
        ),
    ],
)
def test_a_file_that_ends_its_probe_is_sliced_to_the_class(prober: Any, tmp_path: Path, top: str) -> None:
    source = f"from torch import nn\n{top}\nclass Good(nn.Module): ...\n"
    report = prober.reports(tmp_path, source, "Good", on_report=quiet)["Good"]
    assert report.status == "skipped", report.reason


def test_a_class_that_kills_its_probe_while_it_is_defined_is_told(prober: Any, tmp_path: Path) -> None:
    source = HEAD + "class Bad(nn.Module):\n    import os; os.abort()\n" + GOOD
    reports = prober.reports(tmp_path, source, "Bad", "Good", on_report=quiet)
    assert reports["Good"].status == "ok"
    assert reports["Bad"].status == "crashed"
    assert "aborted" in reports["Bad"].reason.message


LIES = {
    "text on every descriptor": "for n in range(20):\n"
    '    try: os.write(n, b\'{"type": "done"}\' * 9)\n'
    "    except OSError: pass",
    "a record of another kind": "send(b'Z', b'{}')",
    "a record without an end": "os.write(3, struct.pack('>cI', b'C', 2**31))",
    "a large record": "send(b'C', b'x' * (2 << 20))",
    "many large records": "while True: send(b'C', b'x' * (1 << 20))",
    "no JSON": "send(b'C', b'\\xff\\xfe{')",
    "no number": "send(b'C', b'{\"report\": NaN}')",
    "nesting": "send(b'C', b'{\"report\": ' + b'[' * 10**5)",
    "a key twice": "send(b'C', b'{\"begin\": true, \"begin\": true}')",
    "another class": "send(b'C', json.dumps({'class': 'Other', 'report': forged}).encode())",
    "a failure that is none": "forged['mismatches'] = [{'code': 1}]\n"
    "send(b'C', json.dumps({'class': 'Nothing', 'report': forged}).encode())",
    "many beginnings": 'while time.time() < start + 30: send(b\'B\', b\'{"class": "Nothing", "begin": true}\')',
}
FORGER = """
import json, os, struct, time
start = time.time()
forged = {{"path": "p", "class": "Nothing", "line": 1, "status": "ok", "stage": "final"}}
def send(kind, body):
    for descriptor in range(3, 10):
        try:
            os.write(descriptor, struct.pack(">cI", kind, len(body)) + body)
        except OSError:
            continue
{}
"""


@pytest.mark.parametrize("lie", [pytest.param(code, id=name) for name, code in LIES.items()])
def test_a_lie_is_refused_and_the_next_probe_is_well(
    prober: Any, tmp_path: Path, lie: str, survivors: Callable[[], list[int]]
) -> None:
    agent = prober.agent_pid
    report = prober.imported(tmp_path, FORGER.format(lie))
    assert report.status in ("unresolved", "crashed", "timeout")
    assert prober.imported(tmp_path, "x = 1").reason.code == "no-class"
    assert prober.agent_pid == agent
    assert survivors() == []


def test_a_forged_report_lies_to_its_author_alone(prober: Any, tmp_path: Path) -> None:
    lie = "send(b'C', json.dumps({'class': 'Nothing', 'report': forged}).encode())"
    report = prober.imported(tmp_path, FORGER.format(lie))
    assert (report.status, report.path) == ("ok", str(tmp_path / "net.py"))


def test_reports_without_end_are_cut_off(prober: Any, tmp_path: Path) -> None:
    """Each would be looked at, kept and shown by the server."""
    seen: list[Report] = []
    lie = (
        "body = json.dumps({'class': 'Nothing', 'report': {**forged, 'stage': 'example'}}).encode()\n"
        "for n in range(10000): send(b'C', body)"
    )
    prober.reports(tmp_path, FORGER.format(lie), "Nothing", on_report=seen.append)
    assert 5 < len(seen) < 50


def test_files_that_a_report_claims_to_be_made_from_are_not_opened(prober: Any, tmp_path: Path) -> None:
    """The server looks whether they have changed: a device or a pipe among them must not hold it up."""
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "zeros.py").symlink_to("/dev/zero")
    lie = (
        f"here = {str(tmp_path)!r}\n"
        "names = ['pipe.py', 'zeros.py', 'a\\0b', '../' * 30 + 'dev/zero']\n"
        "depends = ['/dev/zero', *(here + '/' + name for name in names)]\n"
        "send(b'C', json.dumps({'class': 'Nothing', 'depends': depends, 'report': {**forged, 'path': here}}).encode())"
    )
    assert prober.imported(tmp_path, FORGER.format(lie)).status == "ok"


def test_what_is_printed_is_bounded_and_apart_from_the_protocol(prober: Any, tmp_path: Path) -> None:
    report = prober.imported(tmp_path, "for n in range(200_000): print('flood', n, 'x' * 100)\nprint('é' * 3000)")
    assert report.reason.code in ("no-class", "slow-import")
    kept = prober.service._agents[0].output.last()
    assert len(kept) <= process.LOG_LINES + 1
    assert all(len(line) <= process.LOG_LINE for line in kept)


@pytest.mark.parametrize(
    "top",
    [
        "import json; json.dumps = None; json.loads = None",
        "import os; os.write = lambda *a: 0; os.close = None; os._exit = lambda c: None",
        "import builtins; builtins.len = None; builtins.isinstance = lambda *a: True",
        "import sys; sys.path[:] = []; sys.modules.clear()",
        "import sys; sys.meta_path[:] = []; sys.path_hooks[:] = []",
        "import sys; sys.stdout = sys.stderr = None",
        "import time; time.monotonic = lambda: 0.0",
        "import warnings\nfor n in range(10**4): warnings.warn(str(n))",
        "import os\nfor n in range(2000): os.write(1, b'x' * (1 << 20))",
    ],
)
def test_a_poisoned_interpreter_harms_its_own_probe_alone(prober: Any, tmp_path: Path, top: str) -> None:
    report = prober.imported(tmp_path, top)
    assert report.status in ("unresolved", "crashed", "timeout")
    assert prober.imported(tmp_path, "x = 1").reason.code == "no-class"


@pytest.mark.parametrize("name", ["torch", "json", "ts_shape_server", "resource", "site"])
def test_a_workspace_may_hold_modules_of_any_name(prober: Any, tmp_path: Path, name: str) -> None:
    files = {"net.py": HEAD + GOOD, f"{name}.py": "raise RuntimeError('not this one')"}
    reports = prober.reports(tmp_path, files, "Good", on_report=quiet)
    assert reports["Good"].status == "ok", reports["Good"].reason


def test_the_memory_limit_is_told_in_words(make_prober: Callable[..., Any], tmp_path: Path) -> None:
    prober = make_prober(memory=300 << 20)
    body = "x = []\n        while True: x.append(bytearray(1 << 22))"
    report = prober.reports(tmp_path, HEAD + BAD.format(body), "Bad", on_report=quiet)["Bad"]
    assert report.status in ("crashed", "unresolved", "timeout")
    assert report.reason is not None


def test_several_reports_of_a_class_arrive_in_order_and_the_last_is_final(prober: Any, tmp_path: Path) -> None:
    seen: list[str] = []
    prober.reports(tmp_path, HEAD + GOOD, "Good", on_report=lambda report: seen.append(report.stage))
    assert seen[0] == "example"
    assert seen[-1] == "final"
    assert seen.count("final") == 1


def test_a_cancelled_probe_leaves_nothing(make_prober: Callable[..., Any], tmp_path: Path) -> None:
    """Its limit would end it only after minutes."""
    prober = make_prober(wall=300.0)
    prober.run(prober.service.start())
    agent, scratch = prober.agent_pid, Path(prober.service._agents[0].scratch)

    async def cancelled() -> float:
        request = prober.request(tmp_path, HEAD + BAD.format("9**9**8"), "Bad")
        task = asyncio.ensure_future(prober.service.reports(request, quiet))
        await asyncio.sleep(0.3)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - began

    assert prober.run(cancelled()) < 100
    assert descendants(agent) == []
    assert prober.agent_pid == agent
    assert list(scratch.glob("job-*")) == []


def test_a_hundred_cancelled_probes_leave_nothing(
    prober: Any, tmp_path: Path, survivors: Callable[[], list[int]]
) -> None:
    async def storm() -> None:
        request = prober.request(tmp_path, HEAD + BAD.format("while True: pass"), "Bad")
        tasks = [asyncio.ensure_future(prober.service.reports(request, quiet)) for _ in range(100)]
        await asyncio.sleep(0.2)
        for task in tasks:
            task.cancel()
        assert all(
            isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True)
        )

    prober.run(storm())
    assert survivors() == []
    assert prober.service.running == 0
    assert prober.reports(tmp_path, HEAD + GOOD, "Good", on_report=quiet)["Good"].status == "ok"


def test_what_was_found_before_a_cancellation_is_kept(prober: Any, tmp_path: Path) -> None:
    request = prober.request(tmp_path, HEAD + GOOD + BAD.format("while True: pass"), "Good", "Bad")

    async def cancelled() -> None:
        told = asyncio.Event()

        def tell(report: Any) -> None:
            if report.name == "Good" and report.stage == "final":
                told.set()

        task = asyncio.ensure_future(prober.service.reports(request, tell))
        await asyncio.wait_for(told.wait(), 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    prober.run(cancelled())
    assert prober.service.cached(request, "Good").status == "ok"
    assert prober.service.cached(request, "Bad") is None


@pytest.mark.parametrize("changed", [True, False])
def test_a_file_that_changes_during_a_probe_leaves_no_report_that_looks_fresh(
    prober: Any, tmp_path: Path, changed: bool
) -> None:
    files = {"net.py": HEAD + "import parts\n" + GOOD, "parts.py": "x = 1\n"}
    request = prober.request(tmp_path, files, "Good")
    time.sleep(0.1)

    def tell(report: Report) -> None:
        if report.stage == "example" and changed:
            (tmp_path / "parts.py").write_text("x = 2\n")

    (report,) = prober.run(prober.service.reports(request, tell))
    assert report.status == "ok"
    assert (prober.service.cached(request, "Good") is None) is changed


def test_a_comment_above_a_caller_probes_nothing_again(prober: Any, tmp_path: Path) -> None:
    setup = "import torch\nv = torch.ones(7, 4)"
    call = CallEvidence("call", str(tmp_path / "train.py"), 0, setup, CallArguments(), CallArguments(("v",)))
    made = prober.request(tmp_path, HEAD + GOOD, "Good")

    def request(line: int) -> Any:
        evidence = (replace(call, line=line, label=f"call train.py:{line}"),)
        (item,) = made.classes
        return replace(made, classes=(replace(item, asked=replace(item.asked, evidence=evidence)),))

    (first,) = prober.run(prober.service.reports(request(3), quiet))
    assert "call train.py:3" in first.evidence
    moved = prober.service.cached(request(4), "Good")
    assert moved is not None
    assert moved.evidence == tuple(item.replace(":3", ":4") for item in first.evidence)


def test_a_sandbox_that_is_turned_off_says_so(make_prober: Callable[..., Any], tmp_path: Path) -> None:
    prober = make_prober(sandbox="off")
    daemon = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(60)
    os._exit(0)
"""
    prober.imported(tmp_path, daemon)
    assert prober.service.info()["sandbox"]["tier"] == "limits"
    assert descendants(prober.agent_pid) == []


def test_jobs_that_are_too_large_are_told(prober: Any, tmp_path: Path) -> None:
    request = prober.request(
        tmp_path, "x = 1", "Nothing", overlays={str(tmp_path / "big.py"): "#" * wire.MAXIMUM_FRAME}
    )
    (report,) = prober.run(prober.service.reports(request, quiet))
    assert report.status == "unresolved"
    assert "too large" in report.reason.message


def test_a_job_of_many_classes_has_time_for_each() -> None:
    limits = Limits(wall=2.0).of_job(50)
    assert limits.cpu_s >= 100 and limits.wall_ms == 2000
