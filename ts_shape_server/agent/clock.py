"""The one clock of a probe, and its limits: what runs over is interrupted, not the probe.

Time is counted so that a busy machine does not change what is found: `now` is the processor time of this process, or
a part of the wall time where that is more, for code that only waits. Every deadline inside a probe is a value of
`now`. A limit holds in the main thread of the child. Knows nothing of what the time is spent on.
"""

from __future__ import annotations

import _thread
import contextlib
import ctypes
import inspect
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from ts_shape_server.contract import wire

CONTENTION = wire.CONTENTION
_SHORTEST = 0.001


class TimeLimit(BaseException):
    """Raised inside the limited stretch. No `Exception`, so that code which catches those lets it through."""


_began = (time.process_time(), time.monotonic())
"""Processor and wall time when the clock was set to zero."""


def restart() -> None:
    """Set the clock to zero: a forked process has another processor time, and each class starts anew."""
    global _began
    _began = (time.process_time(), time.monotonic())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=restart)


def now() -> float:
    """Seconds of work since `restart`; the clock only goes forward."""
    worked, waited = _began
    return max(time.process_time() - worked, (time.monotonic() - waited) / CONTENTION)


class Stopwatch:
    """What a piece of work took, to be told. Decides nothing: a busy machine shows in `wall_ms`."""

    def __init__(self) -> None:
        self._worked, self._waited = time.process_time(), time.monotonic()

    @property
    def wall_ms(self) -> int:
        return int((time.monotonic() - self._waited) * 1000)

    @property
    def core_ms(self) -> int:
        """Processor time of this process, its threads included."""
        return int((time.process_time() - self._worked) * 1000)


_due: list[float] = []
"""When the limits that are in force end, on the clock of `now`, the outermost first."""
IDLE = 0.01
"""A process that gets less of the wall time than this waits for something; a busy machine leaves it more."""
_AGAIN = 0.5
_LOOK_AT_END = 0.05
"""Seconds between two looks at whether a body has ended itself."""
_LOOK = 0.25
"""Seconds between two looks at whether a process waits."""


@dataclass(frozen=True)
class _Patience:
    """Since when a stretch runs, in wall and processor time, and for how many seconds of the former it may wait."""

    started: float
    worked: float
    seconds: float

    def over(self) -> bool:
        passed = time.monotonic() - self.started
        return passed >= self.seconds and time.process_time() - self.worked < IDLE * passed


_patience: list[_Patience] = []


@contextmanager
def waiting_limit(seconds: float) -> Iterator[None]:
    """Like `time_limit`, and after so many seconds of wall time too if the body only waits: for data, for nothing."""
    _patience.append(_Patience(time.monotonic(), time.process_time(), seconds))
    try:
        with time_limit(seconds):
            yield
    finally:
        _patience.pop()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeLimit` in the body after so many seconds of work. Limits nest; the nearer deadline rules."""
    due = now() + max(seconds, 0.0)
    _due.append(min(due, _due[-1]) if _due else due)
    _struck_before.append(_struck)
    put_back = [keep() for keep in _kept]
    try:
        with _alarm() if HAS_TIMER else _watch():
            yield
    except BaseException as error:
        if not came_of_a_limit(error):
            raise
        _struck_before[:] = [_struck] * len(_struck_before)
        _let_go(error)
        for back in put_back:
            back()
        raise TimeLimit().with_traceback(error.__traceback__) from error
    finally:
        _struck_before.pop()
        _due.pop()
        if _struck_before:
            # What struck in here has arrived, or the body has swallowed it: an error that follows is no limit.
            _struck_before[-1] = _struck


_struck = 0
"""How often a body was interrupted."""
_struck_before: list[int] = []
"""For each limit in force, how often when it began, or when an interruption last arrived."""


def _let_go(error: BaseException) -> None:
    """Clear the frames of an error and of those that it came of: a generator that was interrupted on its way out does
    the rest of its work when it is let go, which is to be now and not later.
    """
    current: BaseException | None = error
    while current is not None:
        traceback.clear_frames(current.__traceback__)
        current = current.__context__


def came_of_a_limit(error: BaseException) -> bool:
    """Whether it is a `TimeLimit`, or was raised while one was on its way out: by a `with` that it found half done, or
    by C++ that makes an error of its own of what strikes while it asks Python.
    """
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, TimeLimit):
        seen = seen.__context__
    return seen is not None or (bool(_struck_before) and _struck > _struck_before[-1])


_kept: list[Callable[[], Callable[[], None]]] = []
_together: list[str] = [__name__]
PATIENCE_WITHIN = 2.0
"""Seconds of work for which steps that belong together put an interruption off; they take milliseconds."""


def keep_together(*modules: str) -> None:
    """Interrupt no function of these modules and of those below them, nor what they call, while that is soon over."""
    _together.extend(modules)


def _put_off(frame: FrameType | None, due: float) -> bool:
    return now() < due + PATIENCE_WITHIN and within_steps_that_belong_together(frame)


def within_steps_that_belong_together(frame: FrameType | None) -> bool:
    """Whether such a function is on the stack of `frame`, or a context is being entered or left by a generator."""
    if frame is not None and _enters_or_leaves(frame):
        return True
    while frame is not None:
        if _module_of(frame).startswith(tuple(_together)):
            return True
        frame = frame.f_back
    return False


def _enters_or_leaves(frame: FrameType) -> bool:
    if _module_of(frame) == contextlib.__name__:
        return True
    generates = frame.f_code.co_flags & inspect.CO_GENERATOR
    return bool(generates) and frame.f_back is not None and _module_of(frame.f_back) == contextlib.__name__


def _module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))


def keep_through_interruptions(keep: Callable[[], Callable[[], None]]) -> None:
    """Have a state of the process put back where a limit ends a stretch. `keep` gives what puts it back."""
    _kept.append(keep)


GRACE = 0.5
"""Seconds of work that a body which ends itself has for that before it is interrupted all the same."""
_ending_themselves: list[None] = []


@contextmanager
def ending_itself() -> Iterator[None]:
    """A body that calls `end_if_due` between its steps.

    It is interrupted only if it does not come to that: an interruption inside of torch may leave torch's own stacks
    of modes in disorder, which ends the process.
    """
    _ending_themselves.append(None)
    try:
        yield
    finally:
        _ending_themselves.pop()


def end_if_due() -> None:
    """Raise `TimeLimit` if a limit that is in force has passed."""
    if _due and now() >= _due[-1]:
        raise TimeLimit


def _may_end_itself(due: float) -> bool:
    return bool(_ending_themselves) and now() < due + GRACE


HAS_TIMER = hasattr(signal, "setitimer")
"""Whether the platform interrupts a process by a timer, and with it calls that wait; Windows does not."""


@contextmanager
def _alarm() -> Iterator[None]:
    """The limit by a timer of the process. A timer that somebody else has set goes on behind it."""
    handler = signal.signal(signal.SIGALRM, _interrupt)
    others, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    began = time.monotonic()
    _arm()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if len(_due) > 1:
            _arm(-2)
        elif others:
            signal.setitimer(signal.ITIMER_REAL, max(_SHORTEST, others - (time.monotonic() - began)))


def _arm(which: int = -1) -> None:
    left = max(_SHORTEST, _due[which] - now())
    signal.setitimer(signal.ITIMER_REAL, min(left, _LOOK) if _patience else left)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if not _due:
        return
    waiting = any(patience.over() for patience in _patience)
    if now() < _due[-1] and not waiting:
        _arm()
        return
    if _may_end_itself(_due[-1]) and not waiting:
        signal.setitimer(signal.ITIMER_REAL, _LOOK_AT_END)
        return
    if _put_off(frame, _due[-1]):
        signal.setitimer(signal.ITIMER_REAL, _SHORTEST)
        return
    # Where this is swallowed, in a weak reference's callback or by a bare `except`, it comes again.
    signal.setitimer(signal.ITIMER_REAL, _AGAIN)
    _strikes()
    raise TimeLimit


def _strikes() -> None:
    global _struck
    _struck += 1


@contextmanager
def _watch() -> Iterator[None]:
    """The limit by a thread that raises in this one. A call that waits is not interrupted, only what comes after it.

    The thread is a bare one, and what the two share are lists and locks that no interruption leaves half taken:
    `threading` holds locks of its own while threads start and end, and one that is interrupted there lets no other
    thread start again.
    """
    body, level, due, patience = threading.get_ident(), len(_due), _due[-1], tuple(_patience)
    ended: list[bool] = []
    gone: list[bool] = []
    raised: list[float] = []
    wake, left = _thread.allocate_lock(), _thread.allocate_lock()
    wake.acquire()
    left.acquire()

    def look() -> None:
        pause = _SHORTEST
        while not wake.acquire(timeout=pause) and not ended and len(_due) >= level:
            pause = min(max(_SHORTEST, due - now()), _LOOK)
            waiting = any(item.over() for item in patience)
            if now() >= due and _may_end_itself(due) and not waiting:
                pause = _LOOK_AT_END
            elif now() >= due and _put_off(sys._current_frames().get(body), due):
                pause = _SHORTEST
            elif now() >= due or waiting:
                raised.append(now())
                _strikes()
                _raise_in(body)
                pause = _AGAIN
        gone.append(True)
        left.release()

    _thread.start_new_thread(look, ())
    try:
        yield
    finally:
        _see_off(ended, gone, wake, left)
        if raised:
            _receive(body)


def _raise_in(thread: int) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(TimeLimit))


def _see_off(ended: list[bool], gone: list[bool], wake: _thread.LockType, left: _thread.LockType) -> None:
    """Tell the thread that it may end, and wait until it has, whatever is raised in this one meanwhile."""
    while not gone:
        try:
            ended.append(True)
            if wake.locked():
                wake.release()
            left.acquire(timeout=_LOOK)
        except (TimeLimit, RuntimeError):
            # RuntimeError: the thread was woken by what an interrupted turn of this loop had done already.
            continue


def _receive(body: int) -> None:
    """Take what was raised too late to arrive in the body, so that it does not arrive behind it.

    It is replaced by one that certainly arrives here. Taking it back (NULL for the exception) leaves CPython's flag
    for it set, and a function that CPython 3.11 enters with that flag set while it is profiled never starts.
    """
    try:
        _raise_in(body)
        while True:
            pass
    except TimeLimit:
        return
