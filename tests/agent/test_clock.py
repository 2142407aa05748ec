"""Time limits count work: a busy machine, or code that waits a little, changes nothing."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest

from ts_shape_server.agent import clock
from ts_shape_server.agent.clock import TimeLimit, now, time_limit


def work(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_work_beyond_the_limit_is_interrupted() -> None:
    with pytest.raises(TimeLimit), time_limit(0.05):
        work(5)


def test_waiting_within_reason_is_not_work() -> None:
    with time_limit(0.1):
        time.sleep(0.3)


def test_waiting_for_ever_is_interrupted() -> None:
    started = time.monotonic()
    with pytest.raises(TimeLimit), time_limit(0.05):
        time.sleep(30)
    assert time.monotonic() - started < 25


def test_a_limit_that_is_swallowed_comes_again() -> None:
    with pytest.raises(TimeLimit), time_limit(0.05):
        try:
            work(5)
        except BaseException:
            pass
        work(20)


def swallow_an_interruption() -> None:
    try:
        work(5)
    except TimeLimit:
        pass


def test_an_error_that_a_limit_was_made_into_is_the_limit() -> None:
    # As torch does it: what strikes while it reads an argument becomes a TypeError without a context.
    with pytest.raises(TimeLimit), time_limit(0.05):
        swallow_an_interruption()
        raise TypeError("empty(): argument 'size' failed to unpack the object at pos 2")


def test_an_error_after_an_inner_limit_is_an_error() -> None:
    with pytest.raises(TypeError), time_limit(30):
        with pytest.raises(TimeLimit), time_limit(0.05):
            work(5)
        raise TypeError("of its own")


def test_the_nearer_of_two_limits_rules_and_the_outer_one_stays() -> None:
    with pytest.raises(TimeLimit), time_limit(0.05), time_limit(5):
        work(5)
    with time_limit(0.2):
        with pytest.raises(TimeLimit), time_limit(0.02):
            work(5)
        with pytest.raises(TimeLimit):
            work(5)


def test_a_forked_process_has_its_own_clock() -> None:
    work(0.2)
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, str(now()).encode())
        os._exit(0)
    os.close(writer)
    os.wait()
    with os.fdopen(reader) as pipe:
        assert 0 <= float(pipe.read()) < 0.1


def test_the_clock_goes_forward_with_work() -> None:
    before = now()
    work(0.05)
    assert now() - before >= 0.04


@pytest.fixture
def without_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform whose processes are not interrupted by a timer."""
    monkeypatch.setattr(clock, "HAS_TIMER", False)
    monkeypatch.delattr(clock, "_arm")


@pytest.mark.usefixtures("without_timer")
def test_without_a_timer_work_is_limited_all_the_same() -> None:
    before = threading.active_count()
    with pytest.raises(TimeLimit), time_limit(0.05):
        work(20)
    with time_limit(20):
        work(0.01)
    assert threading.active_count() == before


@pytest.mark.usefixtures("without_timer")
def test_without_a_timer_the_nearer_of_two_limits_rules_and_a_swallowed_one_comes_again() -> None:
    with time_limit(30):
        with pytest.raises(TimeLimit), time_limit(0.05):
            try:
                work(5)
            except BaseException:
                pass
            work(20)
        work(0.01)


@pytest.mark.usefixtures("without_timer")
def test_without_a_timer_a_limit_that_comes_too_late_is_not_felt_behind_it() -> None:
    for _ in range(50):
        try:
            with time_limit(0.001):
                work(0.001)
        except TimeLimit:
            pass
        work(0.001)


@pytest.mark.usefixtures("without_timer")
def test_without_a_timer_a_limit_that_meets_its_own_end_lets_the_next_one_begin() -> None:
    """Wherever the interruption arrives in it: a lock of `threading` that stayed taken once let no thread start."""
    for number in range(1500):
        try:
            with time_limit(0.0005 + 0.000005 * (number % 200)):
                work(0.001)
        except TimeLimit:
            pass


@pytest.mark.usefixtures("without_timer")
def test_functions_start_under_a_profiler_after_a_limit_without_a_timer() -> None:
    for seconds in (0.02, 20.0):
        try:
            with time_limit(seconds):
                work(0.05)
        except TimeLimit:
            pass
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        sys.setprofile(lambda frame, event, argument: None)
        work(0.001)
        os.write(writer, b"started")
        os._exit(0)
    os.close(writer)
    give_up = threading.Timer(20, os.kill, (child, signal.SIGKILL))
    give_up.start()
    with os.fdopen(reader) as pipe:
        assert pipe.read() == "started"
    give_up.cancel()
    os.waitpid(child, 0)


def test_a_timer_that_somebody_else_has_set_goes_on() -> None:
    previous, _ = signal.setitimer(signal.ITIMER_REAL, 50)
    try:
        with time_limit(5), time_limit(2):
            work(0.05)
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 40 < left < 50
    finally:
        signal.setitimer(signal.ITIMER_REAL, previous)


def test_a_body_that_ends_itself_is_not_interrupted_unless_it_does_not_come_to_that() -> None:
    began, ended_at = clock.now(), []
    with pytest.raises(clock.TimeLimit), clock.time_limit(0.05), clock.ending_itself():
        while clock.now() < began + 0.15:
            pass
        ended_at.append(clock.now())
        clock.end_if_due()
    assert ended_at, "it was interrupted inside of a step"
    with pytest.raises(clock.TimeLimit), clock.time_limit(0.05), clock.ending_itself():
        while True:
            pass


def test_an_error_after_a_swallowed_limit_inside_is_no_limit() -> None:
    with pytest.raises(ValueError, match="of its own"), time_limit(60):
        with time_limit(0.05):
            swallow_an_interruption()
        raise ValueError("of its own")
