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
from ts_shape_server.probing.rounds import Tiers
from ts_shape_server.probing.service import ProbeService
from ts_shape_server.probing.turns import Turns

SECONDS = 60.0
"""Only what never comes is waited for so long."""


class Agent:
    """Reports at once on every class but on those that hang, and on those that are held once they are let go; `begun`
    are all that it has begun. `parents` come before all others.
    """

    begun: list[str]
    let_go: set[str]
    parents: set[str]

    def __init__(self, *given: object) -> None:
        self.trouble, self.hello, self.state = "", None, State.READY

    async def run(self, job: Any, limits: object, on_claim: Callable[[ProbeClaim], None]) -> tuple[Done, str]:
        for item in sorted(job.classes, key=lambda each: each.name not in Agent.parents):
            Agent.begun.append(item.name)
            on_claim(ProbeClaim(item.name, "load", begin=True))
            on_claim(ProbeClaim(item.name, "run", begin=True))
            if item.name.startswith("Hangs"):
                await asyncio.Event().wait()
            if item.name.startswith("Held"):
                await until(lambda name=item.name: name in Agent.let_go)
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
    monkeypatch.setattr(Agent, "let_go", set(), raising=False)
    monkeypatch.setattr(Agent, "parents", set(), raising=False)
    made = ProbeService(Options())
    made.interpreter = Interpreter("python", "3.12", "2.9", "test")
    return made


def asked(
    service: ProbeService, folder: Path, name: str, *classes: str, tiers: Callable[[], Tiers] = tuple
) -> asyncio.Task[tuple[Report, ...]]:
    items = tuple(ClassRequest(ClassAsked(each), each) for each in classes)
    request = FileRequest(str(folder / name), str(folder), {}, items)
    return asyncio.ensure_future(service.reports(request, lambda report: None, tiers))


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


async def test_no_class_makes_way_where_nobody_looks_at_a_file(service: ProbeService, tmp_path: Path) -> None:
    """As on the command line: all of it is waited for, and what makes way is begun twice."""
    service.options = Options(preempts=False)
    first = asked(service, tmp_path, "first.py", "Held0", "Good")
    await until(lambda: Agent.begun == ["Held0"])
    other = asked(service, tmp_path, "other.py", "Other")
    await asyncio.sleep(0.1)
    Agent.let_go = {"Held0"}
    await asyncio.wait_for(asyncio.gather(first, other), SECONDS)
    assert Agent.begun == ["Held0", "Good", "Other"]


HELD = tuple(f"Held{number}" for number in range(5))


@pytest.fixture
def patient(service: ProbeService, monkeypatch: pytest.MonkeyPatch) -> ProbeService:
    """Of a service in which no class has its share before the test is over."""
    monkeypatch.setattr(services, "SHARE_SECONDS", 4 * SECONDS)
    return service


async def test_what_a_person_is_at_and_sees_goes_first(patient: ProbeService, tmp_path: Path) -> None:
    Agent.let_go = set(HELD)
    await asked(patient, tmp_path, "net.py", *HELD, tiers=lambda: ({"Held3"}, {"Held2", "Held1", "Held3"}))
    assert Agent.begun == ["Held3", "Held1", "Held2", "Held0", "Held4"]


async def test_a_jump_to_another_class_has_it_come_next(patient: ProbeService, tmp_path: Path) -> None:
    """The class that is under way comes to its end: only what has just begun is put off."""
    tiers: list[set[str]] = [{"Held0"}]
    task = asked(patient, tmp_path, "net.py", *HELD, tiers=lambda: tuple(tiers))
    await until(lambda: Agent.begun == ["Held0"])
    tiers[:] = [{"Held4"}]
    Agent.let_go = {"Held0"}
    await until(lambda: Agent.begun == ["Held0", "Held1", "Held4"])
    Agent.let_go = set(HELD)
    reports = await asyncio.wait_for(task, SECONDS)
    assert [item.name for item in reports] == list(HELD)
    assert Agent.begun == ["Held0", "Held1", "Held4", "Held1", "Held2", "Held3"]


async def test_what_comes_before_the_class_that_a_person_is_at_is_begun_once_more_only(
    patient: ProbeService, tmp_path: Path
) -> None:
    """The class that makes it has to come before it."""
    Agent.parents = {"Held1"}
    tiers: list[set[str]] = [{"Held0"}]
    task = asked(patient, tmp_path, "net.py", *HELD, tiers=lambda: tuple(tiers))
    await until(lambda: Agent.begun == ["Held1"])
    tiers[:] = [{"Held4"}]
    Agent.let_go = {"Held1"}
    await until(lambda: Agent.begun == ["Held1", "Held0", "Held4"])
    Agent.parents = {"Held3"}
    tiers[:] = [{"Held2"}]
    Agent.let_go = {"Held1", "Held4"}
    await until(lambda: Agent.begun[3:] == ["Held0", "Held3"])
    Agent.let_go = set(HELD)
    await asyncio.wait_for(task, SECONDS)
    assert Agent.begun[5:] == ["Held2", "Held0"]


async def test_a_jump_from_a_class_that_hangs_needs_no_other_file(service: ProbeService, tmp_path: Path) -> None:
    tiers: list[set[str]] = [{"Hangs"}]
    task = asked(service, tmp_path, "net.py", "Hangs", "Good", "Last", tiers=lambda: tuple(tiers))
    await until(lambda: Agent.begun == ["Hangs"])
    tiers[:] = [{"Last"}]
    await until(lambda: len(Agent.begun) == 4)
    assert Agent.begun == ["Hangs", "Last", "Good", "Hangs"]
    await ended(task)


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
