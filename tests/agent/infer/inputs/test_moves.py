"""Each move by the example in its docstring: inputs before, what the run says, and one of those that it proposes.

An example is also told to all the other moves: none of them proposes the same inputs as early, so that it fails
without the move.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ts_shape_server.agent.infer.facts import checks
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.guesses.values import (
    ConstantGuess,
    DictGuess,
    Guess,
    InputGuess,
    Inputs,
    SequenceGuess,
)
from ts_shape_server.agent.infer.inputs import moves
from ts_shape_server.agent.infer.inputs.moves.move import Attempt, Move, Proposals, move
from ts_shape_server.agent.infer.running.spy import Wish

LAST_RESORTS = {"other-kinds", "other-numbers", "other-ranks", "integers-at-last"}


def tensor(*dims: int, **facts: Any) -> values.TensorGuess:
    return values.TensorGuess(dims, **facts)


def guess(value: object) -> Guess:
    if isinstance(value, (values.TensorGuess, ConstantGuess)):
        return value
    if isinstance(value, (list, tuple)):
        return SequenceGuess(tuple(map(guess, value)), type(value).__name__)
    if isinstance(value, dict):
        return DictGuess(tuple((key, guess(item)) for key, item in value.items()))
    return ConstantGuess(repr(value), "None" if value is None else type(value).__name__)


def inputs(text: str) -> Inputs:
    read = eval(f"dict({text})", {"T": tensor, "C": ConstantGuess})
    return tuple(InputGuess(name, guess(value)) for name, value in read.items())


def wishes(text: str) -> dict[int, Wish]:
    return {0: eval(f"Wish({text})", {"Wish": Wish})} if text else {}


@dataclass(frozen=True)
class Example:
    attempt: Attempt
    after: Inputs


def example(rule: Move, text: str) -> Example:
    found = dict(re.findall(r"^\s*(before|omitted|wishes|real|check|says|after): (.*)$", text, re.MULTILINE))
    kind, _, message = found["says"].partition(": ")
    attempt = Attempt(
        inputs(found["before"]),
        getattr(builtins, kind)(ast.literal_eval(message) if kind == "KeyError" else message),
        omitted=inputs(found.get("omitted", "")),
        wishes=wishes(found.get("wishes", "")),
        real_only="real" in found,
        checked=checks.of_text(found["check"]) if "check" in found else (),
    )
    return Example(attempt, inputs(found["after"]))


def docstring(rule: Move) -> str:
    function = rule.of_inputs or rule.of_value or rule.of_tensor
    assert function is not None and function.__doc__
    return function.__doc__


def plain(found: Inputs) -> Inputs:
    """Inputs without where they come from."""
    return tuple(InputGuess(item.name, item.guess) for item in found)


def proposed(rule: Move, attempt: Attempt) -> Iterator[tuple[int, Inputs]]:
    for priority, found in rule.propose(attempt):
        yield priority, plain(found)


@pytest.mark.parametrize("rule", moves.ALL, ids=lambda rule: rule.name)
def test_a_move_proposes_what_its_example_shows(rule: Move) -> None:
    case = example(rule, docstring(rule))
    assert case.after in [found for _, found in proposed(rule, case.attempt)]


@pytest.mark.parametrize("rule", moves.ALL, ids=lambda rule: rule.name)
def test_no_other_move_proposes_as_early_what_an_example_shows(rule: Move) -> None:
    case = example(rule, docstring(rule))
    mine = min(priority for priority, found in proposed(rule, case.attempt) if found == case.after)
    others = {
        other.name: priority
        for other in moves.ALL
        if other is not rule
        for priority, found in proposed(other, case.attempt)
        if found == case.after
    }
    assert not {name: priority for name, priority in others.items() if priority <= mine}


@pytest.mark.parametrize(
    "rule", [rule for rule in moves.ALL if rule.name not in LAST_RESORTS], ids=lambda rule: rule.name
)
def test_a_move_says_nothing_to_what_it_does_not_know(rule: Move) -> None:
    attempt = Attempt(inputs("x=T(2, 16)"), RuntimeError("it fails"))
    assert list(rule.propose(attempt)) == []


@pytest.mark.parametrize("rule", moves.ALL, ids=lambda rule: rule.name)
def test_what_is_known_is_never_changed(rule: Move) -> None:
    case = example(rule, docstring(rule))
    given = tuple(InputGuess(item.name, item.guess, "pragma", True) for item in case.attempt.inputs)
    attempt = Attempt(given, case.attempt.error, omitted=case.attempt.omitted, wishes=case.attempt.wishes)
    before = [values.sizes(given), *map(values.kind, (item.guess for item in given))]
    for _, found in rule.propose(attempt):
        kept = found[: len(given)]
        assert [values.sizes(kept), *map(values.kind, (item.guess for item in kept))] == before


@pytest.mark.parametrize("rule", moves.ALL, ids=lambda rule: rule.name)
@pytest.mark.parametrize("number", ["0", "1", "-1"])
def test_a_move_is_not_upset_by_any_number_in_a_message(rule: Move, number: str) -> None:
    case = example(rule, docstring(rule)).attempt
    message = str(case.error)
    for found in re.finditer(r"\d+", message):
        error = type(case.error)(message[: found.start()] + number + message[found.end() :])
        attempt = Attempt(
            case.inputs, error, omitted=case.omitted, wishes=case.wishes, real_only=case.real_only, checked=case.checked
        )
        list(rule.propose(attempt))


def test_more_parts_are_no_answer_to_too_many_values() -> None:
    said = ValueError("too many values to unpack (expected 3)")
    attempt = Attempt(inputs("found=T(2, 3, 64, 64), truth=T(2, 3, 64, 64)"), said)
    rule = next(rule for rule in moves.ALL if rule.name == "as-many-parts")
    assert list(rule.propose(attempt)) == []


def test_the_names_of_moves_are_their_own() -> None:
    names = [rule.name for rule in moves.ALL]
    assert len(names) == len(set(names))


def test_a_move_without_an_example_does_not_load() -> None:
    def rule(attempt: Attempt) -> Proposals:
        """It changes something."""
        yield 0, attempt.inputs

    with pytest.raises(TypeError, match="no example"):
        move(rule)


def test_an_input_that_the_failing_line_names_is_changed_first() -> None:
    attempt = Attempt(inputs("x=T(2, 16), y=T(2, 16)"), RuntimeError("a must be 3D"), frozenset({"y"}))
    ranks = {
        tuple(len(item.dims) for item in values.all_tensors(found)): priority
        for rule, priority, found in moves.of_structure(attempt)
        if rule.name == "wanted-rank"
    }
    assert ranks[(2, 3)] < ranks[(3, 2)]
