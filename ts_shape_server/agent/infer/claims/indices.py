"""Narrows values and sizes by what only real memory shows: an index beyond the tensor that it points into.

Tensors without memory have no values, so a run on them takes every index, and random values of a small tensor may miss
the one that is too large. Where a module indexes, its inputs are tried full of their largest value, and its claim at
its edges, on small real tensors. Knows claims, and nothing of names.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import replace

from ts_shape_server.agent import shares, torch_says
from ts_shape_server.agent.clock import TimeLimit, now, time_limit
from ts_shape_server.agent.infer.claims.claim import Claim, Free, Sizes, with_value
from ts_shape_server.agent.infer.claims.ranges import LARGE, Surroundings
from ts_shape_server.agent.infer.claims.trials import Trials
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.inputs.search import Found
from ts_shape_server.agent.infer.running.session import Session

ELEMENTS = 1 << 18
"""Inputs that are larger, and larger than twice those that ran, are not tried: one torch call on them could not be
interrupted.
"""


FAR = 1000
"""A value that no length, class or flag of a small tensor has: what runs with it takes any."""


MOST_TRIED = 8
"""Small values up to here are tried one by one for the least that runs."""


def bounded(session: Session, found: Found) -> Found:
    """The find with the values of its integer tensors as wide as a tensor full of one of them runs.

    Unchanged where nothing limits them, where no value that is tried runs, or where they only run all alike.
    """
    inputs = found.inputs
    deadline = now() + shares.INDICES
    for index, tensor in enumerate(values.all_tensors(inputs)):
        if "int" not in tensor.dtype:
            continue
        try:
            with time_limit(deadline - now()):
                if tensor.limited_above and tensor.high > tensor.low:
                    inputs = _lowered(session, _narrowed(session, inputs, index, tensor), index)
                    inputs = _tied(session, inputs, index)
                elif not tensor.limited_above:
                    inputs = _widened(session, inputs, index, tensor)
        except TimeLimit:
            break
    with contextlib.suppress(TimeLimit), time_limit(deadline - now()):
        inputs = _mixed(session, inputs)
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


def _lowered(session: Session, inputs: values.Inputs, index: int) -> values.Inputs:
    """The least value, which is that of an example by accident where nothing asks for it, made as small as it runs."""
    tensor = values.all_tensors(inputs)[index]
    if tensor.limited_below:
        return inputs
    least = _least(tensor.low, lambda value: session.quickly(_full_of(inputs, index, value)).ok)
    return values.with_tensor(inputs, index, lambda guess: replace(guess, low=least, limited_below=True))


def _least(low: int, runs: Callable[[int], bool]) -> int:
    """The smallest value that runs, of few, else the known one."""
    return next((value for value in range(min(low, MOST_TRIED)) if runs(value)), low)


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
    low = _least(tensor.low, runs)
    below = not runs(low - 1)
    if not above and not below:
        return inputs
    follows = _followed(session, inputs, index, high) if above else None
    wider = values.with_tensor(
        inputs,
        index,
        lambda guess: replace(guess, low=low, high=high, limited_below=below, limited_above=above, follows=follows),
    )
    return wider if _runs_mixed(session, wider) else inputs


def _mixed(session: Session, inputs: values.Inputs) -> values.Inputs:
    """Inputs that run with differing values, as they may not where it runs with a tensor full of each: the corners of a
    box are ordered. The values are fewer then, and no limit.
    """
    if _runs_mixed(session, inputs):
        return inputs
    for index, tensor in enumerate(values.all_tensors(inputs)):
        if "int" not in tensor.dtype:
            continue
        fewer = tensor
        while fewer.high > fewer.low and not _runs_mixed(session, _alone(inputs, index, fewer)):
            fewer = replace(fewer, high=(fewer.low + fewer.high) // 2, limited_above=False, follows=None)
        inputs = values.map_tensors(inputs, _in_place_of(index, fewer)) if fewer is not tensor else inputs
    return inputs


def _alone(inputs: values.Inputs, index: int, tensor: values.TensorGuess) -> values.Inputs:
    """Inputs in which one integer tensor has differing values, and each other is full of its least."""

    def changed(number: int, other: values.TensorGuess) -> values.Guess:
        return tensor if number == index else replace(other, high=other.low) if "int" in other.dtype else other

    return values.map_tensors(inputs, changed)


def _runs_mixed(session: Session, inputs: values.Inputs) -> bool:
    """Whether it runs with values drawn from all that are claimed."""
    return all(session.quickly(inputs, draw).ok for draw in values.draws(inputs))


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
    are. None where there is none, where the value is far from all sizes, or where it takes several sizes that may grow
    alone, as between nodes of two kinds.
    """
    if any(len(group) > 1 for group in values.groups(inputs)):
        return None
    base = values.sizes(inputs)
    axes = [axis for tensor in values.all_tensors(inputs) for axis in range(len(tensor.dims))]
    names = [
        tensor.axes[axis] if axis < len(tensor.axes) else None
        for tensor in values.all_tensors(inputs)
        for axis in range(len(tensor.dims))
    ]
    for slot, size in enumerate(base):
        if size - high not in (0, 1):
            continue
        alike = [other for other in range(len(base)) if (axes[other], base[other]) == (axes[slot], size)]
        named = [other for other in alike if names[other] == names[slot]]
        for slots in ([slot], named, alike):
            if _grows(session, inputs, slots, index, high + FURTHER) and not any(
                _grows(session, inputs, [one], index, high) for one in slots if len(slots) > 1
            ):
                return slot
    return None


def _grows(session: Session, inputs: values.Inputs, slots: list[int], index: int, value: int) -> bool:
    """Whether it runs with these sizes larger, and a tensor full of that value."""
    larger = [size + FURTHER if slot in slots else size for slot, size in enumerate(values.sizes(inputs))]
    return session.quickly(_full_of(values.with_sizes(inputs, larger), index, value)).ok


SHORT = 4
"""A size that is small enough to claim it beside values that go up to it."""


def with_room(claim: Claim, inputs: values.Inputs) -> tuple[Claim, values.Inputs]:
    """`claim` and `inputs` with limits that hold at all sizes: values that go as far as a size go as far as a short
    one, and that size is no shorter.
    """
    free, changed = list(claim.free), inputs
    for index, tensor in enumerate(values.all_tensors(inputs)):
        number = next((at for at, item in enumerate(free) if tensor.follows in item.members), None)
        if tensor.follows is None:
            continue
        high = tensor.high
        if number is not None:
            item, size = free[number], claim.base[tensor.follows]
            least = item.aligned(max(item.minimum, min(size, SHORT) + item.multiple_of - 1))
            high = tensor.high + least - size
            high, least = (high, least) if high >= max(tensor.low, 1) else (tensor.high, size)
            free[number] = replace(item, minimum=max(item.minimum, least))
        kept = replace(tensor, low=min(tensor.low, high), high=high, follows=None)
        changed = values.map_tensors(changed, _in_place_of(index, kept))
    return replace(claim, free=tuple(free)), changed


def _in_place_of(index: int, kept: values.TensorGuess) -> Callable[[int, values.TensorGuess], values.Guess]:
    return lambda at, tensor: kept if at == index else tensor


def _holds_integers(tensor: values.TensorGuess) -> bool:
    return "int" in tensor.dtype and tensor.high > tensor.low


def _full(inputs: values.Inputs) -> values.Inputs:
    """`inputs` with integer tensors that are full of their largest value."""
    return values.map_tensors(
        inputs, lambda _, guess: replace(guess, low=guess.high) if _holds_integers(guess) else guess
    )


def checked(trials: Trials, claim: Claim) -> Claim:
    """`claim`, each range cut to where the module runs on real tensors. Unchanged where that cannot be seen.

    Where nothing is looked up, that is done if the smallest sizes or the second ones fail: some of torch's functions
    check their arguments only on real tensors.
    """
    looks_up = trials.outcome.indexes
    if not claim.free or not (looks_up or (trials.small and not trials.session.real_only)):
        return claim
    deadline = now() + shares.INDICES
    most = max(ELEMENTS, 2 * _elements(trials, claim.base))
    known: dict[Sizes, bool] = {}
    full = _full(trials.inputs)
    kinds = [trials.inputs] if full == trials.inputs else [trials.inputs, full]
    run = trials.session.on_real if looks_up else trials.session.quickly

    def good(sizes: Sizes) -> bool:
        if sizes not in known:
            left = deadline - now()
            if left <= 0 or _elements(trials, sizes) > most:
                return True
            try:
                with time_limit(left):
                    known[sizes] = all(run(values.with_sizes(kind, sizes)).ok for kind in kinds)
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
    if not looks_up and all(good(sizes) for sizes in (_smallest(claim), claim.second) if sizes is not None):
        return claim
    claim = _of_one_size(claim, good)
    free = tuple(_cut(trials, claim, item, good) for item in claim.free)
    narrower = replace(claim, free=free)
    smallest = _smallest(narrower)
    if smallest is not None and not good(smallest):
        free = tuple(replace(item, minimum=claim.base[item.members[0]]) for item in free)
        narrower = replace(claim, free=free)
    second = claim.second if claim.second is not None and narrower.allows(claim.second) else None
    return replace(narrower, second=second)


def _of_one_size(claim: Claim, good: Callable[[Sizes], bool]) -> Claim:
    """`claim` with two dims of one size as one where places that are found along the first are looked up along the
    second: longer than that it may not be, and together they may.
    """
    free = list(claim.free)
    for item in claim.free:
        for other in claim.free:
            start, step = claim.base[item.members[0]], max(item.multiple_of, other.multiple_of)
            if item is other or item not in free or other not in free or claim.base[other.members[0]] != start:
                continue
            longer = 4 * start * step
            if not (item.has(longer) and other.has(longer)):
                continue
            alone = with_value(claim.base, item.members, longer)
            both = with_value(alone, other.members, longer)
            if claim.allows(alone) and not good(alone) and good(both):
                tied = replace(item, members=tuple(sorted((*item.members, *other.members))))
                tied = replace(tied, minimum=max(item.minimum, other.minimum), multiple_of=step)
                free = [tied if each is item else each for each in free if each is not other]
                break
    return claim if len(free) == len(claim.free) else replace(claim, free=tuple(free), second=None)


def _smallest(claim: Claim) -> Sizes | None:
    """All free dims as small as each may be; None where the claim does not allow that."""
    sizes = claim.base
    for item in claim.free:
        sizes = with_value(sizes, item.members, item.minimum)
    return sizes if claim.allows(sizes) else None


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
