"""Narrows a claim by what only real memory shows: an index beyond the tensor that it points into.

Tensors without memory have no values, so a run on them takes every index. Where a module indexes, its claim is tried
at its edges on small real tensors. Knows claims, and nothing of names.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from ts_shape_server.agent.infer import values
from ts_shape_server.agent.infer.claims import LARGE, Claim, Free, Sizes, Trials
from ts_shape_server.agent.infer.limits import TimeLimit, now, time_limit

SECONDS = 1.0
ELEMENTS = 1 << 18
"""Larger inputs are not tried: one torch call on them could not be interrupted."""


def checked(trials: Trials, claim: Claim) -> Claim:
    """`claim`, each range cut to where the module runs on real tensors. Unchanged where that cannot be seen."""
    if trials.session.real_only or not trials.outcome.indexes or not claim.free:
        return claim
    deadline = now() + SECONDS
    known: dict[Sizes, bool] = {}

    def good(sizes: Sizes) -> bool:
        if sizes not in known:
            left = deadline - now()
            if left <= 0 or sum(math.prod(item) for item in _shapes(trials, sizes)) > ELEMENTS:
                return True
            try:
                with time_limit(left):
                    known[sizes] = trials.session.on_real(values.with_sizes(trials.inputs, sizes)).ok
            except TimeLimit:
                return True
        return known[sizes]

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


def _shapes(trials: Trials, sizes: Sizes) -> list[tuple[int, ...]]:
    return [item.dims for item in values.all_tensors(values.with_sizes(trials.inputs, sizes))]


def _cut(trials: Trials, claim: Claim, item: Free, good: Callable[[Sizes], bool]) -> Free:
    start, step = claim.base[item.members[0]], item.multiple_of

    def at(value: int) -> bool:
        return good(trials.moved(item.members, value))

    def edge(bad: int) -> int:
        """The value nearest to `bad` that runs, the base being one that does."""
        runs = start
        while abs(runs - bad) > step:
            middle = (runs + bad) // 2 // step * step
            if middle in (runs, bad):
                break
            runs, bad = (middle, bad) if at(middle) else (runs, middle)
        return runs

    minimum = item.minimum if at(item.minimum) else edge(item.minimum)
    largest = item.maximum if item.maximum is not None else max(LARGE[-1], 2 * start) // step * step
    return replace(item, minimum=minimum, maximum=item.maximum if at(largest) else edge(largest))
