"""Waits for several descriptors at once and reads what comes: by `poll`, or by a thread for each where pipes cannot be
polled (Windows).

With threads a process must not be forked: that way goes with children that are processes of their own.
"""

from __future__ import annotations

import os
import queue
import select
import threading
import time
from collections.abc import Callable
from typing import Optional, Protocol

_CHUNK = 1 << 16
_AHEAD = 64
"""So many chunks may lie unread in memory."""

Event = tuple[int, Optional[bytes]]
"""A descriptor and what it gave: bytes, none at its end, None where only its readiness was asked for."""


class Waiter(Protocol):
    """What the agent's loop waits with. A descriptor that was added twice is read once."""

    def add(self, descriptor: int) -> None:
        """Give what can be read from it."""

    def add_end(self, descriptor: int, wait: Callable[[], object]) -> None:
        """Tell when the process has ended that `descriptor` stands for; `wait` returns then."""

    def remove(self, descriptor: int) -> None:
        """Forget it, before it is closed."""

    def wait(self, seconds: float | None) -> list[Event]:
        """What has come, after at most so many seconds; None waits for ever."""


class Polling:
    """By `poll`: no thread, so that the process can be forked."""

    def __init__(self) -> None:
        self._poller = select.poll()
        self._read: set[int] = set()

    def add(self, descriptor: int) -> None:
        self._read.add(descriptor)
        self._poller.register(descriptor, select.POLLIN)

    def add_end(self, descriptor: int, wait: Callable[[], object]) -> None:
        self._poller.register(descriptor, select.POLLIN)

    def remove(self, descriptor: int) -> None:
        self._read.discard(descriptor)
        self._poller.unregister(descriptor)

    def wait(self, seconds: float | None) -> list[Event]:
        found = self._poller.poll(None if seconds is None else max(0.0, seconds) * 1000)
        return [
            (descriptor, os.read(descriptor, _CHUNK) if descriptor in self._read else None) for descriptor, _ in found
        ]


class Threads:
    """By a thread for each descriptor. What comes late from one that was removed is dropped."""

    def __init__(self) -> None:
        self._events: queue.Queue[tuple[object, int, bytes | None]] = queue.Queue(_AHEAD)
        self._known: dict[int, object] = {}

    def add(self, descriptor: int) -> None:
        self._start(descriptor, self._reading)

    def add_end(self, descriptor: int, wait: Callable[[], object]) -> None:
        def waiting(token: object, number: int) -> None:
            wait()
            self._events.put((token, number, None))

        self._start(descriptor, waiting)

    def _start(self, descriptor: int, work: Callable[[object, int], None]) -> None:
        token = self._known[descriptor] = object()
        threading.Thread(target=work, args=(token, descriptor), daemon=True).start()

    def _reading(self, token: object, descriptor: int) -> None:
        # A copy: the number may be closed meanwhile and stand for something else.
        own = os.dup(descriptor)
        data = b"-"
        while data and self._known.get(descriptor) is token:
            try:
                data = os.read(own, _CHUNK)
            except OSError:
                data = b""
            self._events.put((token, descriptor, data))
        os.close(own)

    def remove(self, descriptor: int) -> None:
        self._known.pop(descriptor, None)

    def wait(self, seconds: float | None) -> list[Event]:
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            try:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                token, descriptor, data = self._events.get(timeout=left)
            except queue.Empty:
                return []
            if self._known.get(descriptor) is token:
                return [(descriptor, data)]
