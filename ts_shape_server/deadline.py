"""Waiting with a deadline, in a way in which no cancellation gets lost.

`asyncio.wait_for` of Python 3.10 and 3.11 answers with the result and forgets the cancellation where both come in the
same turn of the loop (cpython #86296): a cancelled probe went on to its end. Knows nothing of what is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import TypeVar

Result = TypeVar("Result")


async def within(work: Awaitable[Result], seconds: float) -> Result:
    """What `work` gives. `asyncio.TimeoutError` after so many seconds; then, and when the waiting is cancelled, `work`
    is cancelled and has ended.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        await _end(task)
        raise
    if task.done():
        return task.result()
    await _end(task)
    if task.cancelled():
        raise asyncio.TimeoutError
    return task.result()


async def _end(task: asyncio.Future[Result]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait({task})
