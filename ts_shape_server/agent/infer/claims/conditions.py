"""Torch's guards as conditions over all sizes of the inputs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sympy

from ts_shape_server.agent.infer.claims.claim import Condition
from ts_shape_server.agent.infer.running import expressions
from ts_shape_server.agent.infer.running.symbolic import Guard


def all_of(guards: Sequence[Guard]) -> Iterator[Condition]:
    """The conditions that the guards state, in their order, each true where the guards were evaluated."""
    for guard in guards:
        found = _condition(guard)
        if found is not None:
            yield found


def _condition(guard: Guard) -> Condition | None:
    names = sorted(expressions.symbol_names(guard.expression), key=lambda name: int(name[1:]))
    slots = tuple(int(name[1:]) for name in names)
    try:
        truth = expressions.compiled(guard.expression, names)
    except (expressions.Untranslatable, SyntaxError, TypeError, RecursionError):
        return None
    wanted = guard.value

    def holds(sizes: Sequence[int]) -> bool:
        try:
            return bool(truth(*(sizes[slot] for slot in slots))) is wanted
        except (ZeroDivisionError, OverflowError):
            return False

    expression = guard.expression
    if not wanted:
        expression = sympy.Not(expression)
    return Condition(expression, slots, holds)
