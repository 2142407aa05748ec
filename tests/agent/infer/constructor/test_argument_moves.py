"""Each move of constructor arguments by the example in its docstring: a plan before, the failing line, what is said,
and one of the plans that it proposes.
"""

from __future__ import annotations

import ast
import builtins
import re

import pytest
from torch import nn

from ts_shape_server.agent.infer.constructor import moves as argument_moves
from ts_shape_server.agent.infer.constructor.arguments import Plan
from ts_shape_server.agent.infer.constructor.moves.move import ArgumentMove, Refusal


class PassesOn(nn.Module):
    def __init__(self, width: int, **others: int) -> None:
        super().__init__()


class MayBeLeftOut(nn.Module):
    def __init__(self, width: int, hidden: int | None = None) -> None:
        super().__init__()


class Basic(nn.Module):
    expansion = 1

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()


class Bottleneck(Basic):
    expansion = 4


CLASSES: dict[str, type] = {"PassesOn": PassesOn, "MayBeLeftOut": MayBeLeftOut}


def example(rule: ArgumentMove) -> tuple[Refusal, Plan]:
    function = rule.of_plan or rule.of_argument
    assert function is not None and function.__doc__
    found = dict(re.findall(r"^\s*(before|cls|namespace|line|says|after): (.*)$", function.__doc__, re.MULTILINE))
    kind, _, message = found["says"].partition(": ")
    quoted = kind == "KeyError" and message.startswith("'")
    error = getattr(builtins, kind)(
        ast.literal_eval(message) if quoted else Shown(message) if kind == "KeyError" else message
    )
    before, after = (eval(f"dict({found[side]})") for side in ("before", "after"))
    names = filter(None, found.get("namespace", "").split(", "))
    namespace = {"__name__": __name__, **{name: globals()[name] for name in names}}
    cls = CLASSES.get(found.get("cls", ""), nn.Module)
    return Refusal(before, error, cls, found.get("line", ""), namespace=namespace), after


class Shown:
    """A key that is no text, as a module."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


@pytest.mark.parametrize("rule", argument_moves.ALL, ids=lambda rule: rule.name)
def test_a_move_proposes_what_its_example_shows(rule: ArgumentMove) -> None:
    refusal, after = example(rule)
    assert after in list(rule.propose(refusal))


@pytest.mark.parametrize("rule", argument_moves.ALL, ids=lambda rule: rule.name)
def test_no_other_move_proposes_what_an_example_shows(rule: ArgumentMove) -> None:
    refusal, after = example(rule)
    assert not [
        other.name for other in argument_moves.ALL if other is not rule and after in list(other.propose(refusal))
    ]


@pytest.mark.parametrize("rule", argument_moves.ALL, ids=lambda rule: rule.name)
def test_a_move_says_nothing_to_what_it_does_not_know(rule: ArgumentMove) -> None:
    assert list(rule.propose(Refusal({"width": "16"}, RuntimeError("it fails")))) == []


@pytest.mark.parametrize("rule", argument_moves.ALL, ids=lambda rule: rule.name)
def test_what_is_given_stands(rule: ArgumentMove) -> None:
    refusal, _ = example(rule)
    given = Refusal(refusal.plan, refusal.error, refusal.cls, refusal.line, refusal.plan)
    if rule.name != "modules-for-what-is-called":
        for plan in rule.propose(given):
            assert {name: plan[name] for name in refusal.plan} == refusal.plan


def test_an_argument_that_the_failing_line_names_is_changed_first() -> None:
    error = TypeError("can't multiply sequence by non-int of type 'str'")
    refusal = Refusal({"a": "'x'", "b": "'x'"}, error, line="self.c = b * 2")
    plans = [plan for _, plan in argument_moves.proposals(refusal)]
    assert plans.index({"a": "'x'", "b": "16"}) < plans.index({"a": "16", "b": "'x'"})


def test_what_a_config_misses_is_all_that_is_tried() -> None:
    refusal, _ = example(argument_moves.ALL[0])
    assert {move.name for move, _ in argument_moves.proposals(refusal)} == {"attribute-of-config"}


def test_after_a_run_sizes_that_disagree_are_made_to_agree() -> None:
    refusal = Refusal({"width": "16"}, RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x16 and 48x5)"))
    assert [plan for _, plan in argument_moves.after_a_run(refusal)] == [{"width": "48"}]


def test_a_keyword_of_python_is_no_argument() -> None:
    refusal = Refusal({"width": "16"}, KeyError("lambda"), PassesOn, "self.weight = others['lambda']")
    assert not [plan for _, plan in argument_moves.proposals(refusal) if "lambda" in plan]
