"""Which fixed dims follow a constructor argument: built a second time with another value, they move with it.

Only numbers that were guessed are tried, arguments or those that a module among the arguments is made of: a dim that
the author or a caller has fixed is told as the number it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from ts_shape_server.agent import shares
from ts_shape_server.agent.clock import TimeLimit, time_limit
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer.constructor import arguments
from ts_shape_server.agent.infer.facts import open_numbers
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.inputs import search
from ts_shape_server.agent.infer.running import instances
from ts_shape_server.agent.infer.running.session import Session

MAXIMUM = 8


@dataclass(frozen=True)
class Named:
    """Names of arguments by place in the sizes and by size in the outputs, and the value that each stands for."""

    places: Mapping[int, str]
    outputs: Mapping[int, str]
    values: Mapping[str, int]


NONE = Named({}, {}, {})


def find(
    cls: type[nn.Module],
    plan: Mapping[str, str],
    sources: Mapping[str, str],
    inner: Mapping[str, int],
    session: Session,
    found: search.Found,
    context: Context,
) -> Named:
    """The names that hold; none of them when time runs out. `inner` are guesses in what makes the modules."""
    guessed = {
        name: value
        for name, value in arguments.int_arguments(dict(plan)).items()
        if sources.get(name) == "guess" and value > 1
    }
    guessed = {**{name: value for name, value in inner.items() if value > 1 and name not in plan}, **guessed}
    try:
        with time_limit(shares.ARGUMENT_NAMES.of(context.remaining())):
            return _find(cls, plan, guessed, session, found)
    except TimeLimit:
        return NONE


def _find(
    cls: type[nn.Module],
    plan: Mapping[str, str],
    guessed: Mapping[str, int],
    session: Session,
    found: search.Found,
) -> Named:
    base = values.sizes(found.inputs)
    output = search.first_tensor(found.outcome.output)
    sizes = [int(size) for size in output.shape] if output is not None else []
    places: dict[int, str] = {}
    outputs: dict[int, str] = {}
    for name, value in list(guessed.items())[:MAXIMUM]:
        slots = [slot for slot, size in enumerate(base) if size == value and slot not in places]
        if not slots and value not in sizes:
            continue
        other = value * 2
        try:
            changed = instances.build(cls, _with(plan, name, value, other), session.namespace, not session.real_only)
        except Exception:
            continue
        moved = tuple(other if slot in slots else size for slot, size in enumerate(base))
        for attempt in dict.fromkeys((moved, base)):
            outcome = changed.concrete(values.with_sizes(found.inputs, attempt))
            if outcome.ok:
                _note(name, value, other, slots if attempt != base else [], sizes, outcome.output, places, outputs)
                break
    named = {*places.values(), *outputs.values()}
    return Named(places, outputs, {name: guessed[name] for name in named})


def _with(plan: Mapping[str, str], name: str, value: int, other: int) -> dict[str, str]:
    """The plan with another number for an argument, or in what makes the arguments that are modules."""
    if name in plan:
        return {**plan, name: str(other)}
    return {key: open_numbers.changed(text, name, value, other) for key, text in plan.items()}


def _note(
    name: str,
    value: int,
    other: int,
    slots: list[int],
    sizes: list[int],
    output: Any,
    places: dict[int, str],
    outputs: dict[int, str],
) -> None:
    for slot in slots:
        places[slot] = name
    after = search.first_tensor(output)
    if after is None or len(after.shape) != len(sizes):
        return
    following = [now for before, now in zip(sizes, after.shape) if before == value]
    if following and all(int(now) == other for now in following):
        outputs.setdefault(value, name)
