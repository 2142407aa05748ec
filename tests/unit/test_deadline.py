"""Waiting with a deadline: results, timeouts and cancellations arrive, whatever comes in the same turn of the loop."""

from __future__ import annotations

import asyncio

import pytest

from ts_shape_server.deadline import within


async def test_a_cancellation_is_not_lost_where_the_result_comes_in_the_same_turn() -> None:
    loop = asyncio.get_running_loop()
    answer = loop.create_future()
    went_on = False

    async def wait() -> None:
        nonlocal went_on
        await within(answer, 60)
        went_on = True

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    answer.set_result("came")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not went_on


async def test_what_is_waited_for_is_cancelled_after_the_time_and_has_ended() -> None:
    ended = False

    async def work() -> None:
        nonlocal ended
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            ended = True

    with pytest.raises(asyncio.TimeoutError):
        await within(work(), 0)
    assert ended


async def test_a_result_and_an_error_are_passed_on() -> None:
    async def fail() -> None:
        raise ValueError("of its own")

    assert await within(asyncio.sleep(0, "came"), 60) == "came"
    with pytest.raises(ValueError, match="of its own"):
        await within(fail(), 60)
