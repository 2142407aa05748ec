"""The examples in the docstrings of rewrites: the edit is the one that is written there. Without torch."""

from __future__ import annotations

import ast

import pytest
from rewrite_examples import Example, examples

from ts_shape_server.analysis.modules import find_classes
from ts_shape_server.analysis.rewrites.situation import Place, Situation
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.report import Failure, ReportedComplaint, TorchScript

PURE = [item for item in examples() if item.refused is not None]


def made(example: Example) -> set[str]:
    """The files that the rewrite makes, with the refusal at any expression of any function."""
    assert example.refused is not None
    kind, facts = example.refused
    failure = Failure("script-error", "words", kind=kind, facts=facts, complaints=(ReportedComplaint(kind, facts),))
    source = SourceText(example.before)
    classes, _ = find_classes(source)
    situation = Situation(source, classes, "net.py", "Net", TorchScript(), called=example.called)
    found: set[str] = set()
    for node in ast.walk(situation.tree):
        function, statement = situation.function_of(node), situation.statement_of(node)
        if not isinstance(node, (ast.expr, ast.stmt, ast.arg)) or function is None or statement is None:
            continue
        place = Place(failure, node, statement, function, situation.owner(function))
        for rewriter in example.rewriters:
            found |= {source.apply(list(rewrite.edits)) for rewrite in rewriter(situation, place)}
    return found


@pytest.mark.parametrize("example", PURE, ids=str)
def test_the_edit_is_that_of_the_docstring(example: Example) -> None:
    found = made(example)
    assert found == set() if example.after is None else example.after in found


def test_there_are_examples() -> None:
    assert {item.module.rpartition(".")[2] for item in PURE} >= {"einops_calls"}
