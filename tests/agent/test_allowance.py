"""The time of a class counts its work: what waits for a busy machine goes on, what waits for nothing is ended."""

from __future__ import annotations

import os
import time

import pytest

from ts_shape_server.agent import clock, guards
from ts_shape_server.agent.sandbox import policy


def allowance(
    monkeypatch: pytest.MonkeyPatch, passed: float, worked: float | None, seconds: float = 10.0
) -> guards.Allowance:
    """An allowance after so many seconds of wall time, in which its process has worked for some."""
    now, before = time.monotonic(), None if worked is None else 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(policy, "worked", lambda pid: before)
    made = guards.Allowance(1, seconds)
    monkeypatch.setattr(time, "monotonic", lambda: now + passed)
    monkeypatch.setattr(policy, "worked", lambda pid: None if worked is None else 100.0 + worked)
    return made


@pytest.mark.parametrize(
    ("passed", "worked", "over"),
    [
        (9.9, 9.9, False),
        (10.0, 10.0, True),
        pytest.param(50.0, 9.0, False, id="a fifth of a busy machine is work that goes on"),
        pytest.param(50.0, 10.1, True, id="the same work is the end everywhere"),
        pytest.param(10.0, 0.01, True, id="it waits"),
        pytest.param(100.1, 9.0, True, id="no machine is as busy as that"),
        pytest.param(10.0, None, True, id="the system does not tell"),
        pytest.param(9.9, None, False, id="the system does not tell, and time is left"),
    ],
)
def test_work_is_what_counts(monkeypatch: pytest.MonkeyPatch, passed: float, worked: float | None, over: bool) -> None:
    assert allowance(monkeypatch, passed, worked).over() is over


def test_what_a_process_has_worked_is_seen_from_outside() -> None:
    before = policy.worked(os.getpid())
    assert before is not None
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    after = policy.worked(os.getpid())
    assert after is not None
    assert 0.05 <= after - before < 5


def test_a_process_that_is_gone_tells_nothing() -> None:
    assert policy.worked(2**22 + 1) is None


def test_one_clock_is_used_on_both_sides() -> None:
    """The child gives up by the same work as its parent, and before it."""
    from ts_shape_server.agent import child

    assert child.OWN_SHARE < 1 < clock.CONTENTION
