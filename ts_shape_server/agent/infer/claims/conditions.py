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


MOST_PAIRS = 12


def between_equals(places: Sequence[Sequence[int]], sizes: Sequence[int]) -> list[Condition]:
    """Where torch cannot be asked: of two equal sizes at one axis of different tensors one may have to be the larger.

    `places` are by axis. What holds is for runs to say.
    """
    found: list[Condition] = []
    for group in places:
        for number, slot in enumerate(group):
            for other in group[number + 1 :]:
                if sizes[slot] == sizes[other] and len(found) < 2 * MOST_PAIRS:
                    left, right = (sympy.Symbol(f"s{at}", integer=True, positive=True) for at in (slot, other))
                    for asked in (sympy.Le(left, right), sympy.Ge(left, right)):
                        condition = _condition(Guard(asked, True))
                        found += [condition] if condition is not None else []
    return found


def not_both_one(slot: int, other: int) -> Condition | None:
    """Of two sizes one at least is more than one, as of an image that is normalised by itself."""
    left, right = (sympy.Symbol(f"s{at}", integer=True, positive=True) for at in (slot, other))
    return _condition(Guard(sympy.Ge(left * right, 2), True))


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
