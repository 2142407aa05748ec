"""Whether what a run failed for holds whatever goes in: the condition that torch asked last, with the sizes that layers
fix put in, is true of no sizes at all.

``x + conv2(conv1(x))`` asks that the channels of `x` are those of `conv2`, and `conv1` fixes them to another number.
Each size that is put in is shown to be fixed by a run with another one, which a layer has to refuse. Runs; says nothing
in words.
"""

from __future__ import annotations

import functools
import traceback
from dataclasses import dataclass
from typing import Any

import sympy
from torch import nn

from ts_shape_server.agent import runs, shares, torch_says
from ts_shape_server.agent.clock import TimeLimit, time_limit
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.guesses.first_tensors import ranked
from ts_shape_server.agent.infer.inputs import search
from ts_shape_server.agent.infer.running import expressions, mismatch
from ts_shape_server.agent.infer.running.session import Outcome, Session

Place = tuple[int, int, int, int]
OTHER_RANKS = (1, 2, 3, 4, 5)
_RANK_KINDS = (
    "rank-wanted",
    "ranks-differ",
    "rank-too-high",
    "more-dims-needed",
    "fewer-dims-needed",
    "axis-out-of-range",
)
"""What an error says that is about how many dims there are."""


@dataclass(frozen=True)
class Impossible:
    """A call that no input makes run. `wanted` and `got` are the sizes that disagree, None where an equation of several
    sizes has no solution. `axis` is that of a state, from its end or start, where it is the size of one.
    """

    layer: str
    wanted: int | None
    got: int | None
    place: Place | None
    error: BaseException
    axis: int | None = None


def of(session: Session, result: search.NotFound, context: Context) -> Impossible | None:
    """What fails whatever goes in; None where an input may mend it, or where that cannot be told."""
    if session.real_only or not values.sizes(result.inputs) or not _are_all_tensors(session, result):
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
                return Impossible(layer, *sizes, place, traced.error, state.number("axis"))
            sides = _never(session, result, traced) if _has_one_form(session, result) else None
    except TimeLimit:
        return None
    if sides is None:
        return None
    taken = mismatch.of_layer(result.outcome.error) if result.outcome.error is not None else None
    wanted, got = sides[::-1] if taken is not None and taken[0] == sides[1] else sides
    return Impossible(layer, wanted, got, place, traced.error)


def state_in_a_tuple(session: Session, result: search.NotFound) -> str:
    """The recurrent layer that has one state and gets a tuple, as an LSTM does; empty where that is not what failed."""
    error = result.outcome.error
    if error is None or not _are_all_tensors(session, result) or "tensor-needed" not in torch_says.read(error):
        return ""
    states: dict[int, bool] = {}

    def look(layer: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        state = keywords.get("hx", arguments[1] if len(arguments) > 1 else None)
        states[id(layer)] = isinstance(state, tuple)

    layers = [item for item in session.module.modules() if isinstance(item, (nn.GRU, nn.RNN))]
    handles = [item.register_forward_pre_hook(look, with_kwargs=True) for item in layers]
    watched = mismatch.FailingLayer(session.module)
    try:
        session.concrete(result.inputs, [watched])
    finally:
        for handle in handles:
            handle.remove()
    name = watched.entered[-1] if watched.entered else ""
    return name if name and states.get(id(session.module.get_submodule(name))) else ""


def _are_all_tensors(session: Session, result: search.NotFound) -> bool:
    """Whether tensors are all that goes in, and every parameter gets one: a flag, a number or what may be left out can
    lead another way.
    """
    given = {item.name for item in result.inputs if isinstance(item.guess, values.TensorGuess)}
    try:
        names = set(runs.forward_signature(session.cls).parameters)
    except (TypeError, ValueError):
        return False
    return bool(given) and names == given


def _line(error: BaseException, path: str) -> int | None:
    frames = reversed(traceback.extract_tb(error.__traceback__))
    return next((frame.lineno for frame in frames if frame.filename == path), None)


def _has_one_form(session: Session, result: search.NotFound) -> bool:
    """Whether the number of dims of each tensor is known: a layer takes that one alone, or `forward` unpacks it, and
    any other number is refused for being another one.
    """
    wishes = result.outcome.wishes

    def known(index: int, tensor: values.TensorGuess) -> bool:
        rank = len(tensor.dims)
        wish = wishes.get(index)
        unpacked = len(tensor.axes) == rank and all(tensor.axes)
        return unpacked or (wish is not None and (wish.later or (wish.rank if wish.firm else None)) == rank)

    tensors = values.all_tensors(result.inputs)
    if not all(known(index, tensor) for index, tensor in enumerate(tensors)):
        return False
    for index, tensor in enumerate(tensors):
        for rank in OTHER_RANKS:
            if rank == len(tensor.dims):
                continue
            error = session.concrete(
                values.with_tensor(result.inputs, index, functools.partial(ranked, rank=rank))
            ).error
            if error is None or not any(kind in torch_says.read(error) for kind in _RANK_KINDS):
                # It goes another way with so many dims.
                return False
    return True


def _never(session: Session, result: search.NotFound, traced: Outcome) -> tuple[int | None, int | None] | None:
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
    if not used or not all(_is_refused(session, result, int(name[1:]), size) for name, size in used.items()):
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


def _is_refused(session: Session, result: search.NotFound, slot: int, size: int) -> bool:
    """Whether a layer takes that size alone there."""
    sizes = list(values.sizes(result.inputs))
    sizes[slot] = size + 1
    error = session.concrete(values.with_sizes(result.inputs, sizes)).error
    pair = None if error is None else mismatch.of_layer(error)
    return pair is not None and pair == (size, size + 1)
