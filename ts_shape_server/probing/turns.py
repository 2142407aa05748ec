"""Whose turn it is to have an agent: what is looked at goes first, then the reports of files, then what tries fixes.

Knows nothing of what is asked of an agent. All of it is about order: nothing here decides what an answer says.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Agent = TypeVar("Agent")


@dataclass(eq=False)
class _Waiter(Generic[Agent]):
    path: str
    waited_for: bool
    again: bool
    number: int
    agent: asyncio.Future[Agent] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Turns(Generic[Agent]):
    """Agents that are free, and who waits for one. `looked_at` is the path of the file that a person is at."""

    def __init__(self) -> None:
        self._free: deque[Agent] = deque()
        self._waiting: list[_Waiter[Agent]] = []
        self._numbers = itertools.count()
        self.looked_at = ""

    @property
    def any_free(self) -> bool:
        return bool(self._free)

    async def take(self, path: str, waited_for: bool, again: bool = False) -> Agent:
        """An agent for a question about a file; `waited_for`: somebody waits, and it does not only try fixes. `again`:
        it has had one before, so that others are not to wait until it is through.
        """
        if self._free:
            return self._free.popleft()
        waiter: _Waiter[Agent] = _Waiter(path, waited_for, again, next(self._numbers))
        self._waiting.append(waiter)
        try:
            return await waiter.agent
        except asyncio.CancelledError:
            if waiter.agent.done() and not waiter.agent.cancelled():
                self.give(waiter.agent.result())
            raise
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def give(self, agent: Agent) -> None:
        """An agent is free: the first in the order of this moment gets it."""
        waiting = [waiter for waiter in self._waiting if not waiter.agent.done()]
        if not waiting:
            self._free.append(agent)
            return
        first = min(waiting, key=self._order)
        self._waiting.remove(first)
        first.agent.set_result(agent)

    def _order(self, waiter: _Waiter[Agent]) -> tuple[bool, bool, int]:
        return waiter.again or waiter.path != self.looked_at, not waiter.waited_for, waiter.number

    def others_wait(self, path: str) -> bool:
        """Whether somebody waits for what concerns another file, unless it is this one that a person is at."""
        others = {waiter.path for waiter in self._waiting if waiter.waited_for and waiter.path != path}
        return self.looked_at in others or (bool(others) and path != self.looked_at)
