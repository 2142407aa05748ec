"""Kernels and containers that lack a layer or refuse it: the tier falls, says so, and probing follows the setting.

The calls are really missing: the agent starts behind a filter of its own that answers as such a system would.
"""

from __future__ import annotations

import errno
import platform
from pathlib import Path
from typing import Any

import pytest
import weakened

from ts_shape_server.agent.sandbox import policy
from ts_shape_server.probing import agents

pytestmark = [
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers of system calls are those of x86_64"),
    pytest.mark.skipif(policy.available().tier != policy.FULL, reason="the kernel lacks a layer anyway"),
]

_BEHIND = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def answers(machine, pid):
    step = seccomp._step
    for number, first, error in {missing}:
        yield step(0x20, 0)
        yield step(0x15, number, 0, 3 if first is not None else 1)
        if first is not None:
            yield step(0x20, 16)
            yield step(0x15, first, 0, 1)
        yield step(0x06, 0x00050000 | error)
    yield step(0x06, 0x7FFF0000)
real, seccomp.program = seccomp.program, answers
seccomp._assembled.cache_clear()
libc.prctl(38, 1, 0, 0, 0)
seccomp.restrict(libc, 0)
seccomp.program = real
seccomp._assembled.cache_clear()
"""
GOOD = "from torch import nn\nclass Good(nn.Linear):\n    def __init__(self): super().__init__(4, 3)\n"

LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
PRCTL, GET_FILTER, SET_FILTER = 157, 21, 22
PIDFD_OPEN = 434

Missing = list[tuple[int, "int | None", int]]
CASES: dict[str, tuple[Missing, str, str]] = {
    "an old kernel without Landlock": ([(LANDLOCK_CREATE, None, errno.ENOSYS)], "partial", "landlock"),
    "Landlock turned off at boot": ([(LANDLOCK_CREATE, None, errno.EOPNOTSUPP)], "partial", "landlock"),
    "a container that refuses Landlock": ([(LANDLOCK_CREATE, None, errno.EPERM)], "partial", "landlock"),
    "a kernel that takes no rule": ([(LANDLOCK_ADD, None, errno.EINVAL)], "limits", "landlock"),
    "a kernel that does not restrict": ([(LANDLOCK_RESTRICT, None, errno.EPERM)], "limits", "landlock"),
    "a kernel without filters": ([(PRCTL, GET_FILTER, errno.EINVAL)], "partial", "seccomp"),
    "a container that refuses filters": ([(PRCTL, SET_FILTER, errno.EPERM)], "limits", "seccomp"),
    "neither": ([(LANDLOCK_CREATE, None, errno.ENOSYS), (PRCTL, GET_FILTER, errno.EINVAL)], "limits", "landlock"),
    "no handles of processes": ([(PIDFD_OPEN, None, errno.ENOSYS)], "full", ""),
}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test loads torch anew, which a machine with other work may be slow at."""
    monkeypatch.setattr(agents, "START_SECONDS", 200.0)


@pytest.mark.parametrize("case", CASES)
def test_a_missing_call_lowers_the_tier_and_probes_go_on(tmp_path: Path, case: str) -> None:
    missing, tier, layer = CASES[case]
    made = weakened.prober(tmp_path, _BEHIND.format(missing=missing), wall=60.0, sandbox="bestEffort")
    try:
        (tmp_path / "work").mkdir()
        report = made.reports(tmp_path / "work", GOOD, "Good", on_report=lambda report: None)["Good"]
        assert report.status == "ok", report.reason
        told: Any = made.service.info()["sandbox"]
        assert told["tier"] == tier
        assert layer == "" or told["layers"][layer] != policy.ON
    finally:
        made.close()


@pytest.mark.parametrize("case", ["an old kernel without Landlock", "a container that refuses filters"])
def test_where_the_full_sandbox_is_required_nothing_runs_without_it(tmp_path: Path, case: str) -> None:
    missing, tier, layer = CASES[case]
    made = weakened.prober(tmp_path, _BEHIND.format(missing=missing), wall=60.0, sandbox="required")
    try:
        (tmp_path / "work").mkdir()
        source = f"open({str(tmp_path / 'ran')!r}, 'w')\n{GOOD}"
        report = made.reports(tmp_path / "work", source, "Good", on_report=lambda report: None)["Good"]
        assert (report.status, report.reason.code if report.reason else "") == ("unresolved", "sandbox")
        assert report.reason is not None and f"tier `{tier}`" in report.reason.message
        assert layer in report.reason.message
        assert not (tmp_path / "ran").exists()
    finally:
        made.close()
