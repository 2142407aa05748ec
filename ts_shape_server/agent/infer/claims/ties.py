"""Which sizes have to move together: those that a guard says are equal, and those that move only so.

Runs decide; a name only tells a mask. It says nothing of how far a size may go.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from ts_shape_server.agent.infer.claims.claim import Condition
from ts_shape_server.agent.infer.claims.trials import Trials
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.guesses.first_tensors import tells_of_steps


def groups(trials: Trials, conditions: Sequence[Condition]) -> list[tuple[int, ...]]:
    """Places grouped by what has to move together: equal by a guard, or equal at the same axis, and not movable
    alone.
    """
    base = trials.base
    parent = list(range(len(base)))

    def root(slot: int) -> int:
        while parent[slot] != slot:
            slot = parent[slot]
        return slot

    for condition in conditions:
        if type(condition.expression).__name__ == "Equality" and len(condition.slots) == 2:
            left, right = condition.expression.args
            if left.is_Symbol and right.is_Symbol:
                parent[root(condition.slots[0])] = root(condition.slots[1])
    axes = [axis for tensor in values.all_tensors(trials.inputs) for axis in range(len(tensor.dims))]
    grouped: dict[int, list[int]] = {}
    known = _of_one_size(trials)
    whole = _whole(trials)
    for slot in range(len(base)):
        if slot in whole:
            continue
        if slot in known:
            if known[slot][0] == slot:
                grouped[slot] = known[slot]
            continue
        if not _movable(trials, (slot,)):
            alike = [other for other in grouped if axes[other] == axes[slot] and base[other] == base[slot]]
            same = [other for other in grouped if root(other) == root(slot)]
            together = next((other for other in [*same, *alike] if _joins(trials, grouped[other], slot)), None)
            if together is not None:
                grouped[together].append(slot)
                continue
        grouped[slot] = [slot]
    for slot in [first for first, members in grouped.items() if not _movable(trials, tuple(members))]:
        # It may not be the larger of the two, which moves without it.
        larger = [
            other for other in grouped if other != slot and (axes[other], base[other]) == (axes[slot], base[slot])
        ]
        found = next((other for other in larger if _movable(trials, (*grouped[other], *grouped[slot]))), None)
        if found is not None:
            grouped[min(slot, found)] = sorted([*grouped.pop(slot), *grouped.pop(found)])
    _join_many(trials, grouped, [[root(slot) for slot in range(len(base))], list(zip(axes, base))])
    return [tuple(members) for members in grouped.values()]


def _whole(trials: Trials) -> set[int]:
    """Places that have as many parts as are needed, of which more would run without being looked at."""
    named = [
        (tensor.axes[axis] if axis < len(tensor.axes) else None, size)
        for tensor in values.all_tensors(trials.inputs)
        for axis, size in enumerate(tensor.dims)
    ]
    return {
        slot
        for slot, (name, size) in enumerate(named)
        if isinstance(name, values.Whole) and not trials.good(trials.moved((slot,), size - 1))
    }


def _of_one_size(trials: Trials) -> dict[int, list[int]]:
    """Places whose axes are known to have one size, each with all of them; those alone which move so."""
    names = [
        tensor.axes[axis] if axis < len(tensor.axes) else None
        for tensor in values.all_tensors(trials.inputs)
        for axis in range(len(tensor.dims))
    ]
    alike: dict[tuple[str, str, int], list[int]] = {}
    for slot, name in enumerate(names):
        if isinstance(name, values.OneSize):
            alike.setdefault((name, name.of, trials.base[slot]), []).append(slot)
    together = [moved for members in alike.values() if len(members) > 1 for moved in _with_partner(trials, members)]
    together += _of_levels(trials)
    together += _one_for_each_item(trials, {slot for members in together for slot in members})
    together += _one_for_each_step(trials, {slot for members in together for slot in members})
    return {slot: members for members in together for slot in members}


def _with_partner(trials: Trials, members: list[int]) -> Iterator[list[int]]:
    """The places that have one size, with another that has to move with them, as the nodes do whose features are
    joined; nothing where they do not move.
    """
    size = trials.base[members[0]]
    alike = [[slot] for slot, other in enumerate(trials.base) if other == size and slot not in members]
    for partner in ([], *alike):
        if _movable(trials, (*members, *partner)):
            yield sorted([*members, *partner])
            return


def _one_for_each_step(trials: Trials, taken: set[int]) -> list[list[int]]:
    """The lengths of a sequence and of what is told of each of its steps, as tags and flags are, where the sequence may
    not be longer than those. That they are longer runs, and is not meant.
    """
    tensors = values.all_tensors(trials.inputs)
    owners = values.owners(trials.inputs)
    starts = [sum(len(tensor.dims) for tensor in tensors[:index]) for index in range(len(tensors))]
    long = [start + 1 for start, tensor in zip(starts, tensors) if len(tensor.dims) == 3 and "int" not in tensor.dtype]
    told = [
        start + 1
        for start, tensor, owner in zip(starts, tensors, owners)
        if len(tensor.dims) == 2 and tells_of_steps(owner.name, tensor.dtype)
    ]
    steps = [slot for slot in told if long and trials.base[slot] == trials.base[long[0]]]
    if len(long) != 1 or not steps or taken.intersection([*long, *steps]):
        return []
    size = trials.base[long[0]]
    more, fewer = trials.moved(long, size + 1), trials.moved(steps, size - 1)
    one = [*long, *steps]
    if size < 2 or trials.good(more) or trials.good(fewer) or not trials.good(trials.moved(one, size + 1)):
        return []
    needed = [slot for slot in steps if not trials.good(trials.moved((slot,), size - 1))]
    return [sorted([*long, *needed])] if needed and trials.good(trials.moved([*long, *needed], size + 1)) else []


def _of_levels(trials: Trials) -> list[list[int]]:
    """The batch of the feature maps of several levels. That each has one of its own runs where nothing joins them, and
    is not meant.
    """
    starts = list(itertools.accumulate((len(tensor.dims) for tensor in values.all_tensors(trials.inputs)), initial=0))
    batches = [[starts[index] for index in level] for level in values.levels_of(trials.inputs)]
    return [members for members in batches if _movable(trials, tuple(members))]


def _one_for_each_item(trials: Trials, taken: set[int]) -> list[list[int]]:
    """The places of the batch, where integers that tell something of each item (lengths) may not be fewer than items.

    More of them may run, and are not meant.
    """
    base, tensors = trials.base, values.all_tensors(trials.inputs)
    starts = [sum(len(tensor.dims) for tensor in tensors[:index]) for index in range(len(tensors))]
    if not tensors or len(tensors[0].dims) < 2 or not trials.rows_are_batch:
        return []
    alike = [(start, tensor) for start, tensor in zip(starts, tensors) if tensor.dims[:1] == base[:1]]
    told = [start for start, tensor in alike if len(tensor.dims) == 1 and "int" in tensor.dtype]
    for members in ([0, *told], [start for start, _ in alike]):
        more = trials.moved((0,), base[0] + 1)
        if told and not taken.intersection(members) and trials.fails(more) and _movable(trials, tuple(members)):
            return [members]
    items = [start for start, tensor in alike if len(tensor.dims) > 1]
    return [] if taken.intersection(items) else _with_one_item_more(trials, items)


def _with_one_item_more(trials: Trials, starts: list[int]) -> list[list[int]]:
    """The batches of several inputs, where the first does not get an item more without the others.

    ``k.view(q.size(0), -1, heads, width)`` takes items of `k` in other numbers, as long as they fill it; nobody means
    that.
    """
    more = trials.base[0] + 1
    if len(starts) < 2 or not trials.fails(trials.moved((0,), more)) or not trials.good(trials.moved(starts, more)):
        return []

    def needed(start: int) -> bool:
        return trials.fails(trials.moved([other for other in starts if other != start], more))

    members = [0, *(start for start in starts[1:] if needed(start))]
    return [members] if len(members) > 1 and trials.good(trials.moved(members, more)) else []


def _join_many(trials: Trials, grouped: dict[int, list[int]], alike: Sequence[Sequence[Any]]) -> None:
    """Join places that move three or more at a time, as a batch does that all inputs have.

    `alike` holds, for each way in which places can belong together, a key for each place.
    """
    for keys in alike:
        fixed = [slot for slot, members in grouped.items() if not _movable(trials, tuple(members))]
        for key in dict.fromkeys(keys[slot] for slot in fixed):
            owners = [slot for slot in fixed if keys[slot] == key]
            members = [member for owner in owners for member in grouped[owner]]
            if len(owners) > 1 and len(members) > 2 and _movable(trials, tuple(members)):
                for owner in owners[1:]:
                    del grouped[owner]
                grouped[owners[0]] = members


def _joins(trials: Trials, members: list[int], slot: int) -> bool:
    """Whether `slot` moves with `members`, which do not move without it."""
    return not _movable(trials, tuple(members)) and _movable(trials, (*members, slot))


def _movable(trials: Trials, members: tuple[int, ...]) -> bool:
    start = trials.base[members[0]]
    return any(trials.good(trials.moved(members, value)) for value in (start + 1, start * 2, start - 1) if value > 1)


def is_side(trials: Trials, slot: int) -> bool:
    """Whether a place is the size of an image along one of its sides."""
    for tensor in values.all_tensors(trials.inputs):
        if slot < len(tensor.dims):
            return len(tensor.dims) >= 4 and slot >= 2
        slot -= len(tensor.dims)
    return False
