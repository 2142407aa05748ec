"""A repair of one class stays only if it does no harm to the others of the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Location, Range
from ts_shape_server.contract.report import Annotation, Failure, Report, ScriptAttempt, TorchScript
from ts_shape_server.probing.requests import Trial
from ts_shape_server.repair import combined, edits_between, harmless, moved, reached, repair_file

TEXT = """
from torch import nn

def scaled(x, times):
    return x * times

class First(nn.Module):
    def forward(self, x):
        return scaled(x, 2)

class Second(nn.Module):
    def forward(self, x):
        return scaled(x, 3)

class Third(nn.Module):
    def forward(self, x):
        return x
"""
FIXED = TEXT.replace("times):", "times: int):")
"""What the repair of `First` makes."""
REFUSED = Failure("script-error", "`times` is taken for a Tensor", None, "")
SCRIPTS = TorchScript(script=ScriptAttempt(True))
UNKNOWN = TorchScript()


def failing() -> TorchScript:
    needed = (Annotation("", "scaled", "times", "int", True),)
    return TorchScript(script=ScriptAttempt(False, (REFUSED,)), annotations=needed)


def report(name: str, state: TorchScript, status: str = "ok") -> Report:
    return Report(path="net.py", name=name, line=1, status=status, torchscript=state)


async def check(states: dict[str, TorchScript], others: Sequence[Report], named: bool) -> tuple[str, list[str]]:
    """The text after the repair of `First`, and which classes were probed for it; each class ends in its state."""
    asked: list[str] = []

    async def attempt(about: Report, text: str) -> Trial:
        state = states[about.name]
        return Trial(state.script.ok is True, "", state)

    async def reports_of(names: Sequence[str]) -> Sequence[Report]:
        asked.extend(names)
        return [item for item in others if item.name in names]

    first = report("First", failing())
    text, _ = await repair_file(TEXT, [first] if named else [first, *others], attempt, 10, reports_of)
    return text, asked


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    ("second", "after", "expected"),
    [
        (report("Second", failing()), SCRIPTS, FIXED),
        (report("Second", failing()), failing(), FIXED),
        (report("Second", failing()), UNKNOWN, TEXT),
        (report("Second", SCRIPTS), failing(), TEXT),
        (report("Second", UNKNOWN, "unresolved"), UNKNOWN, FIXED),
    ],
)
async def test_a_repair_stays_if_the_classes_that_it_reaches_agree(
    named: bool, second: Report, after: TorchScript, expected: str
) -> None:
    text, asked = await check({"First": SCRIPTS, "Second": after}, [second], named)
    assert text == expected
    assert asked == (["Second"] if named else [])


async def test_only_classes_that_a_change_reaches_are_asked() -> None:
    assert reached(TEXT, FIXED, "First") == ["Second"]
    assert reached(TEXT, TEXT + "\n# a comment\n", "First") == []


@pytest.mark.parametrize(("interface", "expected"), [(False, True), (True, False)])
async def test_a_changed_signature_does_not_reach_a_class_that_does_not_run(interface: bool, expected: bool) -> None:
    async def attempt(about: Report, text: str) -> Trial:
        raise AssertionError("a class that does not run is not tried")

    reports: list[Any] = [report("First", failing()), report("Second", UNKNOWN, "unresolved")]
    assert await harmless(TEXT, FIXED, reports[0], reports, attempt, interface) is expected


@pytest.mark.parametrize(
    ("state", "interface", "expected"),
    [(failing(), False, True), (failing(), True, False), (SCRIPTS, False, False)],
)
async def test_a_class_that_cannot_be_compared_stands_in_the_way_of_what_it_may_lose(
    state: TorchScript, interface: bool, expected: bool
) -> None:
    async def attempt(about: Report, text: str) -> Trial:
        return Trial(False, "the probe took too long", UNKNOWN, compared=False)

    reports = [report("First", failing()), report("Second", state)]
    assert await harmless(TEXT, FIXED, reports[0], reports, attempt, interface) is expected


async def test_a_class_that_is_refused_for_more_reasons_stands_in_the_way() -> None:
    more = TorchScript(script=ScriptAttempt(False, (REFUSED, replace(REFUSED, kind="variadic"))))
    reports = [report("First", failing()), report("Second", failing())]

    async def attempt(about: Report, text: str) -> Trial:
        return Trial(False, "", more)

    assert not await harmless(TEXT, FIXED, reports[0], reports, attempt)


async def test_repairs_that_do_not_go_together_are_left_out_of_all() -> None:
    async def attempt(about: Report, text: str) -> Trial:
        return Trial(False, "", UNKNOWN)

    first, second = report("First", failing()), report("Second", failing())
    edits = edits_between(TEXT, FIXED)
    assert SourceText(TEXT).apply(edits) == FIXED
    assert await combined(TEXT, [(first, edits)], [first, second], attempt) == ()
    assert await combined(TEXT, [(first, edits)], [first], attempt) == edits


@pytest.mark.parametrize(("state", "kept"), [(SCRIPTS, 2), (UNKNOWN, 1), (failing(), 1)])
async def test_a_repair_is_tried_again_beside_one_that_reaches_its_class(state: TorchScript, kept: int) -> None:
    """`Second` has a repair of its own, and that of `First` changes what it calls."""
    first, second = report("First", failing()), report("Second", failing())
    own = edits_between(TEXT, TEXT.replace("scaled(x, 3)", "scaled(x, 4)"))
    both = FIXED.replace("scaled(x, 3)", "scaled(x, 4)")

    async def attempt(about: Report, text: str) -> Trial:
        return Trial(True, "", state if text == both else SCRIPTS)

    edits = await combined(TEXT, [(first, edits_between(TEXT, FIXED)), (second, own)], [first, second], attempt)
    assert len(edits) == kept


@pytest.mark.parametrize(
    ("line", "there"),
    [(1, 1), (3, 2), (5, 4), (4, 3)],
    ids=["above the change", "in a changed line", "below the change", "below an added line"],
)
def test_what_is_left_stands_at_the_lines_of_the_file_on_disk(line: int, there: int) -> None:
    repaired, on_disk = "a\nnew\nb1\nc\nd\n", "a\nb\nc\nd\n"
    place = Location("net.py", Range(line, 2, line, 5))
    other = Location("other.py", Range(line, 2, line, 5))
    left = [Failure("script-error", "words", place, related=(other,)), Failure("script-error", "words", None)]
    found = moved(left, "net.py", repaired, on_disk)
    assert [item.location and item.location.range.line for item in found] == [there, None]
    assert found[0].related == (other,)
    assert moved(left, "net.py", repaired, repaired) == tuple(left)
