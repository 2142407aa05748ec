"""Rewriters are asked by kind: each names kinds that exist, and only those that know a refusal are asked about it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import ts_shape_server
from ts_shape_server.agent.torch_says import compiler
from ts_shape_server.analysis.rewrites import ANY, RULES, asked, indexed_loops, indexing, values
from ts_shape_server.contract.report import Failure, ReportedComplaint

SCRIPT = Path(ts_shape_server.__file__).parent / "agent" / "script"


def kinds_told() -> set[str]:
    """The ids that the agent gives to what it tells: the texts of `kind=…`, and the first arguments of `_trap` and of
    the functions like it, the second one of `finding`.
    """
    found: set[str] = set()
    for path in SCRIPT.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "kind" and isinstance(node.value, ast.Constant):
                found.add(node.value.value)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_trap", "_failure"):
                found |= {node.args[0].value} if node.args and isinstance(node.args[0], ast.Constant) else set()
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "finding":
                found |= {item.value for item in node.args[1:2] if isinstance(item, ast.Constant)}
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.rewriter.__name__)
def test_the_kinds_that_a_rule_names_exist(rule: object) -> None:
    assert set(rule.kinds) <= compiler.KINDS | kinds_told()  # type: ignore[attr-defined]


def test_only_those_that_know_a_refusal_are_asked() -> None:
    anyway = [rule.rewriter for rule in RULES if rule.kinds == ANY]
    index = Failure(
        "script-error", "words", kind="module-list-index", complaints=(ReportedComplaint("module-list-index"),)
    )
    assert [item for item in asked(index) if item not in anyway] == [indexed_loops.over_modules, indexing.chosen]


def test_what_torch_complains_of_is_asked_about_too() -> None:
    found = Failure("script-error", "words", kind="untyped-parameter", complaints=(ReportedComplaint("truth-value"),))
    assert values.truth in asked(found)
    assert values.truth not in asked(Failure("script-error", "Could not cast value of type None to bool"))
