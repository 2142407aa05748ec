"""What the end of a job means for the classes that it was about."""

from __future__ import annotations

import pytest

from ts_shape_server.contract.asked import ClassAsked
from ts_shape_server.contract.jobs import ProbeClaim
from ts_shape_server.contract.report import Report, Status
from ts_shape_server.probing.agents import Done
from ts_shape_server.probing.requests import ClassRequest, FileRequest
from ts_shape_server.probing.rounds import Round

CLASSES = tuple(ClassRequest(ClassAsked(name, number), name) for number, name in enumerate(("A", "B", "C"), 1))


def begin(name: str, phase: str = "load") -> ProbeClaim:
    return ProbeClaim(name, begin=True, phase=phase)


def report(name: str, stage: str = "final", status: Status = "ok") -> ProbeClaim:
    return ProbeClaim(name, report=Report("", name, 9, status, stage=stage))


def check(claims: list[ProbeClaim], outcome: str, expected: dict[str, str], loading: bool = False) -> Round:
    """The final statuses after these claims and this end; whether the end came while the file was loaded."""
    seen: list[Report] = []
    about = Round(FileRequest("/w/net.py", "/w", {}, CLASSES), CLASSES, seen.append)
    for claim in claims:
        about.claim(claim)
    done = Done(outcome, "of a reason", 5)
    assert about.ended_loading(done) is loading
    about.finish(done)
    assert {name: item.status for name, item in about.final.items()} == expected
    assert all(item.path == "/w/net.py" for item in seen)
    assert [item.name for item in seen if item.stage == "final"] == list(expected)
    return about


A = [begin("A"), begin("A", "run"), report("A")]
B = [begin("B"), begin("B", "run"), report("B")]


def test_all_is_well() -> None:
    check([*A, *B, begin("C"), report("C")], "finished", {"A": "ok", "B": "ok", "C": "ok"})


@pytest.mark.parametrize(
    ("outcome", "status"),
    [("timeout", "timeout"), ("crashed", "crashed"), ("memory", "crashed"), ("finished", "crashed")],
)
def test_the_class_that_was_running_is_the_one_that_did_it(outcome: str, status: str) -> None:
    check([*A, begin("B"), begin("B", "run")], outcome, {"A": "ok", "B": status})


def test_a_report_that_came_before_the_end_stands() -> None:
    about = check([*A, begin("B"), begin("B", "run"), report("B", "example")], "timeout", {"A": "ok", "B": "ok"})
    assert about.final["B"].stage == "final"
    assert "took too long" in about.final["B"].evidence[-1]


def test_an_end_while_loading_gives_another_chance() -> None:
    check([begin("A")], "crashed", {"A": "crashed"}, loading=True)
    check([], "finished", {"A": "crashed"}, loading=True)
    check([*A, begin("B")], "timeout", {"A": "ok", "B": "timeout"}, loading=True)
    check([begin("A")], "sandbox", {"A": "unresolved"})


def test_a_second_final_report_and_one_of_a_stranger_count_for_nothing() -> None:
    lies = [report("A", status="failed"), report("Z"), begin("Z")]
    check([*A, *lies], "crashed", {"A": "ok"})


def test_the_line_is_the_requests_own() -> None:
    assert check([*A, *B, begin("C"), report("C")], "finished", dict.fromkeys("ABC", "ok")).final["C"].line == 3
