"""One file with classes that hang does not hold up another: what is looked at goes first, and a class has its share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ts_shape_server.contract.asked import ClassAsked
from ts_shape_server.contract.jobs import ProbeClaim
from ts_shape_server.contract.report import Report
from ts_shape_server.probing import service as services
from ts_shape_server.probing.agents import Done, State
from ts_shape_server.probing.interpreter import Interpreter
from ts_shape_server.probing.requests import ClassRequest, FileRequest, Options
from ts_shape_server.probing.service import ProbeService
from ts_shape_server.probing.turns import Turns

SECONDS = 60.0
"""Only what never comes is waited for so long."""


class Agent:
    """Reports at once on every class but on those that hang; `begun` are all that it has begun."""

    begun: list[str]

    def __init__(self, *given: object) -> None:
        self.trouble, self.hello, self.state = "", None, State.READY

    async def run(self, job: Any, limits: object, on_claim: Callable[[ProbeClaim], None]) -> tuple[Done, str]:
        for item in job.classes:
            Agent.begun.append(item.name)
            on_claim(ProbeClaim(item.name, "load", begin=True))
            on_claim(ProbeClaim(item.name, "run", begin=True))
            if item.name.startswith("Hangs"):
                await asyncio.Event().wait()
            await asyncio.sleep(0)
            on_claim(ProbeClaim(item.name, report=Report("", item.name, 1, "ok", stage="final")))
        return Done("finished", "", 1), ""

    async def stop(self) -> None:
        return None


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> ProbeService:
    monkeypatch.setattr(services, "Agent", Agent)
    monkeypatch.setattr(services, "SHARE_SECONDS", 0.01)
    monkeypatch.setattr(Agent, "begun", [], raising=False)
    made = ProbeService(Options())
    made.interpreter = Interpreter("python", "3.12", "2.9", "test")
    return made


def asked(service: ProbeService, folder: Path, name: str, *classes: str) -> asyncio.Task[tuple[Report, ...]]:
    items = tuple(ClassRequest(ClassAsked(each), each) for each in classes)
    request = FileRequest(str(folder / name), str(folder), {}, items)
    return asyncio.ensure_future(service.reports(request, lambda report: None))


async def ended(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not true():
            await asyncio.sleep(0.001)

    await asyncio.wait_for(wait(), SECONDS)


@pytest.mark.parametrize("looked_at", ["hangs.py", "other.py", ""])
async def test_classes_that_hang_make_way_for_another_file(
    service: ProbeService, tmp_path: Path, looked_at: str
) -> None:
    """Only the file that is looked at goes on before the others."""
    service.look_at(str(tmp_path / looked_at))
    hangs = asked(service, tmp_path, "hangs.py", *(f"Hangs{number}" for number in range(60)))
    await until(lambda: Agent.begun == ["Hangs0"])
    other = asked(service, tmp_path, "other.py", "Good")
    if looked_at == "hangs.py":
        await asyncio.sleep(0.1)
        assert (other.done(), Agent.begun) == (False, ["Hangs0"])
        service.look_at(str(tmp_path / "other.py"))
    (report,) = await asyncio.wait_for(other, SECONDS)
    assert report.status == "ok"
    assert Agent.begun[:2] == ["Hangs0", "Good"]
    await ended(hangs)


async def test_a_class_makes_way_once_and_comes_last_then(service: ProbeService, tmp_path: Path) -> None:
    first = asked(service, tmp_path, "first.py", "Hangs", "Good")
    await until(lambda: Agent.begun == ["Hangs"])
    others = [asked(service, tmp_path, f"other{number}.py", "Other") for number in range(2)]
    await asyncio.wait_for(asyncio.gather(*others), SECONDS)
    await until(lambda: Agent.begun.count("Hangs") == 2)
    assert Agent.begun == ["Hangs", "Other", "Other", "Good", "Hangs"]
    last = asked(service, tmp_path, "last.py", "Last")
    await asyncio.sleep(0.1)
    assert Agent.begun[-1] == "Hangs"
    await ended(first, last)


async def test_a_file_that_hangs_by_itself_is_left_alone(service: ProbeService, tmp_path: Path) -> None:
    alone = asked(service, tmp_path, "alone.py", "Hangs", "Good")
    await until(lambda: Agent.begun == ["Hangs"])
    await asyncio.sleep(0.1)
    assert Agent.begun == ["Hangs"]
    await ended(alone)
    assert service.running == 0


async def test_the_order_of_those_who_wait() -> None:
    turns: Turns[str] = Turns()
    turns.looked_at = "seen"
    turns.give("agent")
    assert await turns.take("any", True) == "agent"
    order: list[str] = []

    async def wait(name: str, path: str, waited_for: bool, again: bool = False) -> None:
        agent = await turns.take(path, waited_for, again)
        order.append(name)
        turns.give(agent)

    waits = [
        wait("a fix", "other", False),
        wait("a report", "other", True),
        wait("again", "seen", True, True),
        wait("a fix that is seen", "seen", False),
        wait("what is seen", "seen", True),
    ]
    tasks = [asyncio.ensure_future(item) for item in waits]
    await asyncio.sleep(0)
    cancelled = asyncio.ensure_future(wait("cancelled", "seen", True))
    await asyncio.sleep(0)
    await ended(cancelled)
    turns.give("agent")
    await asyncio.wait_for(asyncio.gather(*tasks), SECONDS)
    assert order == ["what is seen", "a fix that is seen", "a report", "again", "a fix"]
    assert turns.any_free


async def test_the_file_that_a_person_has_moved_to_goes_first() -> None:
    """Also where it and others began to wait while the person was at another one."""
    turns: Turns[str] = Turns()
    turns.looked_at = "left"
    order: list[str] = []

    async def wait(path: str) -> None:
        agent = await turns.take(path, True)
        order.append(path)
        turns.give(agent)

    tasks = [asyncio.ensure_future(wait(path)) for path in ("other", "left", "moved to")]
    await asyncio.sleep(0)
    turns.looked_at = "moved to"
    turns.give("agent")
    await asyncio.wait_for(asyncio.gather(*tasks), SECONDS)
    assert order == ["moved to", "other", "left"]


async def test_an_agent_that_comes_with_a_cancellation_is_not_lost() -> None:
    turns: Turns[str] = Turns()
    task = asyncio.ensure_future(turns.take("any", True))
    await asyncio.sleep(0)
    turns.give("agent")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.wait_for(turns.take("any", True), SECONDS) == "agent"
