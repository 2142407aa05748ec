"""A pytest plugin that makes one rule do nothing once the tests are collected: that of ``TS_SHAPE_WITHOUT``.

What the tests are parametrized with stays: only what the rule does is gone. See `scripts.mutation`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from ts_shape_server.agent.infer.constructor import moves as argument_moves
from ts_shape_server.agent.infer.inputs import moves
from ts_shape_server.agent.script import refusals
from ts_shape_server.agent.torch_says import compiler, reading
from ts_shape_server.analysis import rewrites


def rules() -> dict[str, Callable[[], None]]:
    """What makes each rule do nothing, by the name of the rule."""
    found: dict[str, Callable[[], None]] = {}
    for move in moves.ALL:
        found[f"move {move.name}"] = _silenced(move, "of_inputs", "of_value", "of_tensor")
    for argument_move in argument_moves.ALL:
        found[f"argument move {argument_move.name}"] = _silenced(argument_move, "of_plan", "of_argument")
    for rule in rewrites.RULES:
        found[f"rewrite {rule.rewriter.__module__.rpartition('.')[2]}.{rule.rewriter.__name__}"] = _silenced(
            rule, "rewriter"
        )
    for refusal in refusals.BY_KIND.values():
        if refusal.neutralised is not None:
            found[f"neutraliser {refusal.kind}"] = _silenced(refusal, "neutralised")
    for number, row in enumerate(reading.TABLE):
        found[f"row {number} {row.kind}"] = _unread(row)
    for number, row in enumerate((*compiler.REFUSALS, *compiler.MENTIONS)):
        found[f"compiler row {number} {row.kind}"] = _unread(row)
    return found


def _silenced(rule: Any, *parts: str) -> Callable[[], None]:
    def silence() -> None:
        for part in parts:
            function = getattr(rule, part)
            if function is not None:
                object.__setattr__(rule, part, _nothing_instead_of(function))

    return silence


def _nothing_instead_of(function: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
    def nothing(*arguments: Any, **keywords: Any) -> Iterator[Any]:
        return iter(())

    # Tests find a rule's module and its example by these.
    nothing.__module__, nothing.__name__, nothing.__doc__ = function.__module__, function.__name__, function.__doc__
    return nothing


def _unread(row: Any) -> Callable[[], None]:
    def unread() -> None:
        for rows in reading._by_kind.values():
            if row in rows:
                rows.remove(row)
        compiler.REFUSALS = tuple(item for item in compiler.REFUSALS if item is not row)
        compiler.MENTIONS = tuple(item for item in compiler.MENTIONS if item is not row)
        reading._complaints.cache_clear()
        compiler._read.cache_clear()

    return unread


def pytest_collection_finish() -> None:
    name = os.environ.get("TS_SHAPE_WITHOUT")
    if name:
        rules()[name]()
