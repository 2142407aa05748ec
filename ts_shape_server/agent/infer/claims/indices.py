"""Narrows values and sizes by what only real memory shows: an index beyond the tensor that it points into.

Tensors without memory have no values, so a run on them takes every index, and random values of a small tensor may miss
the one that is too large. Where a module indexes, its inputs are tried full of their largest value, and its claim at
its edges, on small real tensors. Knows claims, and nothing of names.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.clock import TimeLimit, now, time_limit
from ts_shape_server.agent.infer.claims.claim import Claim, Free, Sizes
from ts_shape_server.agent.infer.claims.ranges import LARGE, Surroundings
from ts_shape_server.agent.infer.claims.trials import Trials
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.inputs.search import Found
from ts_shape_server.agent.infer.running.session import Session

SECONDS = 1.0
ELEMENTS = 1 << 18
"""Inputs that are larger, and larger than twice those that ran, are not tried: one torch call on them could not be
interrupted.
"""


FAR = 1000
"""A value that no length, class or flag of a small tensor has: what runs with it takes any."""


def bounded(session: Session, found: Found) -> Found:
    """The find with the values of its integer tensors as wide as a tensor full of one of them runs.

    Unchanged where nothing limits them, where no value that is tried runs, or where they only run all alike.
    """
    inputs = found.inputs
    deadline = now() + SECONDS
    for index, tensor in enumerate(values.all_tensors(inputs)):
        if "int" not in tensor.dtype:
            continue
        try:
            with time_limit(deadline - now()):
                if tensor.limited_above and tensor.high > tensor.low:
                    inputs = _tied(session, _narrowed(session, inputs, index, tensor), index)
                elif not tensor.limited_above:
                    inputs = _widened(session, inputs, index, tensor)
        except TimeLimit:
            break
    return found if inputs is found.inputs else replace(found, inputs=inputs)


def _full_of(inputs: values.Inputs, index: int, value: int) -> values.Inputs:
    return values.with_tensor(inputs, index, lambda guess: replace(guess, low=value, high=value))


def _narrowed(session: Session, inputs: values.Inputs, index: int, tensor: values.TensorGuess) -> values.Inputs:
    """The largest value at most the known one that is within what it points into."""

    def runs(value: int) -> bool:
        error = session.quickly(_full_of(inputs, index, value)).error
        return error is None or "index-out-of-range" not in torch_says.read(error)

    low, high = tensor.low, tensor.high
    if runs(high) or not runs(low):
        return inputs
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if runs(middle) else (low, middle)
    return values.with_tensor(inputs, index, lambda guess: replace(guess, high=low, limited_above=True))


def _widened(session: Session, inputs: values.Inputs, index: int, tensor: values.TensorGuess) -> values.Inputs:
    """The values beside those that ran for which it runs, where there are others for which it does not."""

    def runs(value: int) -> bool:
        return session.quickly(_full_of(inputs, index, value)).ok

    if not runs(tensor.high):
        return inputs
    high, beyond = tensor.high, FAR
    above = not runs(beyond)
    while above and beyond - high > 1:
        middle = (high + beyond) // 2
        high, beyond = (middle, beyond) if runs(middle) else (high, middle)
    low = next((value for value in range(min(tensor.low, 1) + 1) if runs(value)), tensor.low)
    below = not runs(low - 1)
    if not above and not below:
        return inputs
    follows = _followed(session, inputs, index, high) if above else None
    wider = values.with_tensor(
        inputs,
        index,
        lambda guess: replace(guess, low=low, high=high, limited_below=below, limited_above=above, follows=follows),
    )
    return wider if all(session.quickly(wider, draw).ok for draw in values.draws(wider)) else inputs


def _tied(session: Session, inputs: values.Inputs, index: int) -> values.Inputs:
    """The largest value bound to the size with which it grows, if there is one."""
    high = values.all_tensors(inputs)[index].high
    if not session.quickly(_full_of(inputs, index, high)).ok:
        return inputs
    follows = _followed(session, inputs, index, high)
    return values.with_tensor(inputs, index, lambda guess: replace(guess, follows=follows))


FURTHER = 3
"""Steps by which a size is made larger, to see whether the largest value grows as much."""


def _followed(session: Session, inputs: values.Inputs, index: int, high: int) -> int | None:
    """The place of the size with which the largest value grows: of the longest sequence, or of how many nodes there
    are. None where there is none, or the value is far from all sizes.
    """
    if any(len(group) > 1 for group in values.groups(inputs)):
        return None
    base = values.sizes(inputs)
    for slot, size in enumerate(base):
        if size - high not in (0, 1):
            continue
        larger = values.with_sizes(inputs, [*base[:slot], size + FURTHER, *base[slot + 1 :]])
        if session.quickly(_full_of(larger, index, high + FURTHER)).ok:
            return slot
    return None


def _holds_integers(tensor: values.TensorGuess) -> bool:
    return "int" in tensor.dtype and tensor.high > tensor.low


def _full(inputs: values.Inputs) -> values.Inputs:
    """`inputs` with integer tensors that are full of their largest value."""
    return values.map_tensors(
        inputs, lambda _, guess: replace(guess, low=guess.high) if _holds_integers(guess) else guess
    )


def checked(trials: Trials, claim: Claim) -> Claim:
    """`claim`, each range cut to where the module runs on real tensors. Unchanged where that cannot be seen."""
    if not trials.outcome.indexes or not claim.free:
        return claim
    deadline = now() + SECONDS
    most = max(ELEMENTS, 2 * _elements(trials, claim.base))
    known: dict[Sizes, bool] = {}
    full = _full(trials.inputs)
    kinds = [trials.inputs] if full == trials.inputs else [trials.inputs, full]

    def good(sizes: Sizes) -> bool:
        if sizes not in known:
            left = deadline - now()
            if left <= 0 or _elements(trials, sizes) > most:
                return True
            try:
                with time_limit(left):
                    known[sizes] = all(trials.session.on_real(values.with_sizes(kind, sizes)).ok for kind in kinds)
            except TimeLimit:
                return True
        return known[sizes]

    if not good(claim.base):
        if len(kinds) == 1:
            return claim
        known.clear()
        del kinds[1:]
        if not good(claim.base):
            return claim
    free = tuple(_cut(trials, claim, item, good) for item in claim.free)
    smallest = list(claim.base)
    for item in free:
        for member in item.members:
            smallest[member] = item.minimum
    narrower = replace(claim, free=free)
    if narrower.allows(tuple(smallest)) and not good(tuple(smallest)):
        free = tuple(replace(item, minimum=claim.base[item.members[0]]) for item in free)
        narrower = replace(claim, free=free)
    second = claim.second if claim.second is not None and narrower.allows(claim.second) else None
    return replace(narrower, second=second)


def _elements(trials: Trials, sizes: Sizes) -> int:
    return sum(math.prod(item.dims) for item in values.all_tensors(values.with_sizes(trials.inputs, sizes)))


def _cut(trials: Trials, claim: Claim, item: Free, good: Callable[[Sizes], bool]) -> Free:
    start, step = claim.base[item.members[0]], item.multiple_of

    around = Surroundings.of(claim.free, claim.conditions)

    def at(value: int) -> bool:
        sizes = around.at(trials, item, value)
        # What a condition forbids is told as that, and is no limit of this dim.
        return sizes is None or good(sizes)

    def edge(bad: int) -> int:
        """The value nearest to `bad` that runs, the base being one that does."""
        runs = start
        while abs(runs - bad) > step:
            middle = item.aligned((runs + bad) // 2)
            if middle in (runs, bad):
                break
            runs, bad = (middle, bad) if at(middle) else (runs, middle)
        return runs

    minimum = item.minimum if at(item.minimum) else edge(item.minimum)
    largest = item.maximum if item.maximum is not None else item.aligned(max(LARGE[-1], 2 * start))
    return replace(item, minimum=minimum, maximum=item.maximum if at(largest) else edge(largest))
