"""Sizes that only have a sum are split as the constructor's arguments say.

``self.q = nn.Linear(obs + act, 1)`` over ``torch.cat([obs, act], -1)`` runs for every split of its features; the
author has `obs` of the one and `act` of the other. Unchanged where the arguments say no split. Knows nothing of claims.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from ts_shape_server.agent import runs
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.guesses.values import DictGuess, Guess, Inputs, RecordGuess
from ts_shape_server.agent.infer.inputs.search import Found
from ts_shape_server.agent.infer.running.session import Session

MOST_PARTS, MOST_NUMBERS = 3, 8
"""Inputs that share a sum, and arguments that are looked at."""
_SHORTEST = 2
"""Letters of a word by which an argument and an input are told to belong together."""
_PLAIN = frozenset({"dim", "size", "num", "features", "channels", "in", "out", "hidden", "input", "width", "len"})
"""Words that say nothing of which input is meant."""


def as_arguments_say(session: Session, found: Found, plan: Mapping[str, str]) -> Found:
    """The find with the sizes that have a fixed sum as the constructor's arguments have them, where that runs.

    `plan` has the expressions of the arguments that are passed; the others have their defaults.
    """
    names, places = _leaf_names(found.inputs), _axes(found.inputs, -1)
    parts = _with_one_sum(session, found.inputs, places)
    if not parts:
        # Features come last, channels behind the batch.
        places = _axes(found.inputs, 1)
        parts = _with_one_sum(session, found.inputs, places)
    known = numbers(session, plan) if parts else []
    sizes = values.sizes(found.inputs)
    for chosen in _assignments(parts, [names[index] for index in parts], known, sum(sizes[places[i]] for i in parts)):
        changed = {places[index]: size for index, size in zip(parts, chosen)}
        inputs = values.with_sizes(found.inputs, [changed.get(slot, size) for slot, size in enumerate(sizes)])
        if inputs == found.inputs:
            return found
        outcome = session.concrete(inputs)
        if outcome.ok:
            return replace(found, inputs=inputs, outcome=replace(outcome, wishes=found.outcome.wishes))
    return found


def _leaf_names(inputs: Inputs) -> list[str]:
    """For each tensor the name that it goes by: that of its parameter, or its key."""
    found: list[str] = []

    def walk(name: str, guess: Guess) -> None:
        if isinstance(guess, (DictGuess, RecordGuess)):
            for key, item in guess.items:
                walk(key, item)
        else:
            found.extend(name for _ in values.tensors(guess))

    for item in inputs:
        walk(item.name, item.guess)
    return found


def _axes(inputs: Inputs, axis: int) -> dict[int, int]:
    """The place of the size on that axis of each tensor that is not given and has features or channels there, by the
    tensor's index.
    """
    places, slot = {}, 0
    for index, (tensor, owner) in enumerate(zip(values.all_tensors(inputs), values.owners(inputs))):
        slot += len(tensor.dims)
        if len(tensor.dims) > (1 if axis < 0 else 2) and not owner.given:
            places[index] = slot - 1 if axis < 0 else slot - len(tensor.dims) + axis
    return places


def _with_one_sum(session: Session, inputs: Inputs, places: Mapping[int, int]) -> list[int]:
    """The tensors whose last sizes only change together: one by as much as another one the other way."""
    sizes = values.sizes(inputs)

    def runs_with(change: Mapping[int, int]) -> bool:
        moved = [size + change.get(slot, 0) for slot, size in enumerate(sizes)]
        return min(moved) > 0 and session.concrete(values.with_sizes(inputs, moved)).ok

    for first, second in itertools.combinations(places, 2):
        if runs_with({places[first]: 1}) or runs_with({places[second]: 1}):
            continue
        if not any(runs_with({places[first]: step, places[second]: -step}) for step in (1, -1)):
            continue
        others = [
            index
            for index in places
            if index not in (first, second)
            and not runs_with({places[index]: 1})
            and any(runs_with({places[index]: step, places[first]: -step}) for step in (1, -1))
        ]
        return sorted([first, second, *others])[:MOST_PARTS]
    return []


def numbers(session: Session, plan: Mapping[str, str]) -> list[tuple[str, int]]:
    """The whole numbers among the constructor's arguments, in their order."""
    found: list[tuple[str, int]] = []
    try:
        parameters = list(inspect.signature(session.cls).parameters.values())
    except (TypeError, ValueError):
        return found
    for parameter in parameters:
        value = parameter.default
        if parameter.name in plan:
            try:
                value = runs.evaluate(plan[parameter.name], session.namespace)
            except Exception:
                continue
        if type(value) is int and value > 0:
            found.append((parameter.name, value))
    return found[:MOST_NUMBERS]


def _assignments(
    parts: list[int], names: list[str], numbers: list[tuple[str, int]], total: int
) -> Iterator[tuple[int, ...]]:
    """Sizes for the parts that have the sum, those of arguments whose names fit first, then in the arguments' order."""
    if not parts:
        return
    ways = [way for way in itertools.permutations(numbers, len(parts)) if sum(size for _, size in way) == total]
    ways.sort(key=lambda way: -sum(_belong(argument, name) for (argument, _), name in zip(way, names)))
    yield from (tuple(size for _, size in way) for way in ways)


def _belong(argument: str, name: str) -> bool:
    """Whether the names of an argument and of an input have the beginning of a word in common: `act_dim`, `action`."""
    left, right = (
        [word for word in re.findall(r"[a-z]+", text.lower()) if word not in _PLAIN] for text in (argument, name)
    )
    return any(
        min(len(one), len(other)) >= _SHORTEST and (one.startswith(other) or other.startswith(one))
        for one in left
        for other in right
    )
