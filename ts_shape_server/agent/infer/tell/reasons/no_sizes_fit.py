"""What a run failed for holds whatever goes in: the condition that torch asked last, with the sizes that layers fix put
in, is true of no sizes at all.

``x + conv2(conv1(x))`` asks that the channels of `x` are those of `conv2`, and `conv1` fixes them to another number.
Each size that is put in is shown to be fixed by a run with another one, which a layer has to refuse.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Any

import sympy

from ts_shape_server.agent import shares, torch_says
from ts_shape_server.agent.clock import TimeLimit, time_limit
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.running import expressions, mismatch
from ts_shape_server.agent.infer.running.session import Outcome
from ts_shape_server.agent.infer.tell.reasons.one_form import are_all_tensors, has_one_form
from ts_shape_server.agent.infer.tell.reasons.other_ways import may_run
from ts_shape_server.agent.infer.tell.reasons.unsolved import Place, Unfound, Unsolved, layer_places, unsolved
from ts_shape_server.contract.report import Fact

_OF_STATES = {0: "states, one for each of its layers and directions,", 2: "features in each state"}
"""What the axes of a recurrent layer's state are."""


@dataclass(frozen=True)
class _Impossible:
    """A call that no input makes run. `wanted` and `got` are the sizes that disagree, None where an equation of several
    sizes has no solution. `axis` is that of a state, from its end or start, where it is the size of one.
    """

    layer: str
    wanted: int | None
    got: int | None
    place: Place | None
    error: BaseException
    axis: int | None = None


def reason(unfound: Unfound) -> Unsolved | None:
    never = _impossible(unfound) if unfound.certain else None
    if never is None or may_run(unfound, unfound.result.inputs, never.layer):
        return None
    facts: dict[str, Fact] = {"layer": never.layer}
    if never.wanted is not None and never.got is not None:
        facts = {**facts, "wanted": never.wanted, "got": never.got}
    told = unsolved(
        unfound.context,
        never.error,
        "shape-mismatch",
        "no-sizes-fit",
        _told(never),
        status="failed",
        place=never.place,
        facts=facts,
        related=layer_places(unfound, never.layer) if "wanted" in facts else (),
    )
    return told


def _told(never: _Impossible) -> str:
    layer = f"`{never.layer}`" if never.layer else "this call"
    if never.wanted is None or never.got is None:
        return f"No input can make {layer} run: {torch_says.clause(never.error)}."
    if never.axis is not None:
        of = _OF_STATES.get(never.axis, "in a batch of states")
        meet = f"{layer} takes {never.wanted} {of} and gets {never.got}"
    elif never.layer:
        meet = f"{layer} takes {never.wanted} features or channels, but what arrives has {never.got}"
    else:
        meet = f"What is put together here has sizes of {never.wanted} and {never.got} where one is needed"
    return f"{meet}: no input can make it run."


def _impossible(unfound: Unfound) -> _Impossible | None:
    """What fails whatever goes in; None where an input may mend it, or where that cannot be told."""
    session, result, context = unfound.session, unfound.result, unfound.context
    if session.real_only or not values.sizes(result.inputs) or not are_all_tensors(unfound):
        return None
    watched = mismatch.FailingLayer(session.module)
    try:
        with time_limit(shares.SYMBOLIC_RUN.of(context.remaining())):
            traced = session.symbolic(result.inputs, [watched])
            if traced.error is None or type(traced.error) is not type(result.outcome.error):
                return None
            layer = watched.entered[-1] if watched.entered else ""
            place = mismatch.call_place(context.source, _line(traced.error, context.path), layer)
            state = torch_says.read(traced.error).get("state-never-fits")
            if state is not None:
                # It is three-dimensional, so what goes in is a batch: nothing else is open.
                sizes = state.number("wanted"), state.number("got")
                return _Impossible(layer, *sizes, place, traced.error, state.number("axis"))
            sides = _sides(unfound, traced) if has_one_form(unfound) else None
    except TimeLimit:
        return None
    if sides is None:
        return None
    taken = mismatch.of_layer(result.outcome.error) if result.outcome.error is not None else None
    wanted, got = sides[::-1] if taken is not None and taken[0] == sides[1] else sides
    return _Impossible(layer, wanted, got, place, traced.error)


def _line(error: BaseException, path: str) -> int | None:
    frames = reversed(traceback.extract_tb(error.__traceback__))
    return next((frame.lineno for frame in frames if frame.filename == path), None)


def _sides(unfound: Unfound, traced: Outcome) -> tuple[int | None, int | None] | None:
    """The two sides of the last condition where it is true of no sizes; numbers, or None for sides that are none."""
    if not traced.guards:
        return None
    last = traced.guards[-1]
    if type(last.expression).__name__ != ("Unequality" if last.value else "Equality"):
        return None
    fixed = _fixed(traced)
    used = {name: fixed[name] for name in expressions.symbol_names(last.expression) if name in fixed}
    put_in = {symbol: used[symbol.name] for symbol in last.expression.free_symbols if symbol.name in used}
    left, right = (sympy.sympify(side).subs(put_in) for side in last.expression.args)
    if sympy.Eq(left, right) is not sympy.false:
        return None
    if not used or not all(_is_refused(unfound, int(name[1:]), size) for name, size in used.items()):
        return None
    numbers = [int(side) if side.is_Integer else None for side in (left, right)]
    return numbers[0], numbers[1]


def _fixed(traced: Outcome) -> dict[str, int]:
    """The symbols that the run came past with one value, and that value."""
    found: dict[str, int] = {}
    for guard in traced.guards[:-1]:
        if type(guard.expression).__name__ != ("Equality" if guard.value else "Unequality"):
            continue
        sides: tuple[Any, ...] = guard.expression.args
        for one, other in (sides, sides[::-1]):
            if one.is_Symbol and other.is_Integer:
                found[one.name] = int(other)
    return found


def _is_refused(unfound: Unfound, slot: int, size: int) -> bool:
    """Whether a layer takes that size alone there."""
    inputs = unfound.result.inputs
    sizes = list(values.sizes(inputs))
    sizes[slot] = size + 1
    error = unfound.session.concrete(values.with_sizes(inputs, sizes)).error
    pair = None if error is None else mismatch.of_layer(error)
    return pair is not None and pair == (size, size + 1)
