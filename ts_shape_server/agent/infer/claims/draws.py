"""Sizes that a claim allows, drawn to put it to the test: at its edges, far from the base, and where conditions bind.

The same ones each time. Knows claims as data, and nothing of runs.
"""

from __future__ import annotations

from collections.abc import Iterator

from ts_shape_server.agent.infer.claims.claim import Claim, Free, Sizes, with_value

CONDITIONED_DRAWS = 5
CONDITIONED_REACH = 96
"""So many steps above the base are values looked for that fulfil the conditions."""


def edges(claim: Claim) -> Iterator[Sizes]:
    """A few sizes that the claim allows, the same ones each time: all larger, mixed, all as small as may be."""
    for pattern in ((1, 2, 3), (-1, -1, -1), (40, 30, 20), (3, 1, 2)):
        sizes = list(claim.base)
        for order, item in enumerate(claim.free):
            shift = pattern[order % 3]
            value = item.minimum if shift < 0 else sizes[item.members[0]] + shift * item.multiple_of
            if item.maximum is not None:
                value = min(value, item.maximum)
            for member in item.members:
                sizes[member] = value
        drawn = tuple(sizes)
        if claim.allows(drawn):
            yield drawn
            continue
        for item in claim.free:
            for shift in (1, 2, -1):
                single = list(claim.base)
                for member in item.members:
                    single[member] += shift * item.multiple_of
                if claim.allows(tuple(single)):
                    yield tuple(single)
    for item in claim.free:
        for end in (item.minimum, item.maximum):
            alone = claim.base if end is None else with_value(claim.base, item.members, end)
            if alone != claim.base and claim.allows(alone):
                yield alone


FAR = (301, 110, 733, 517)
"""Sizes far from those of the base, of which none is a multiple of what layers usually ask for."""


def far(claim: Claim) -> Iterator[Sizes]:
    """Sizes far from the base: all dims large, and each alone."""
    large = claim.base
    for order, item in enumerate(claim.free):
        value = item.aligned(FAR[order % len(FAR)])
        if not item.has(value):
            value = claim.base[item.members[0]]
        large = with_value(large, item.members, value)
    if claim.allows(large):
        yield large
    for order, item in enumerate(claim.free):
        alone = with_value(claim.base, item.members, item.aligned(FAR[order % len(FAR)]))
        if claim.allows(alone):
            yield alone


def conditioned(claim: Claim) -> Iterator[Sizes]:
    """Sizes far apart that fulfil the claim's conditions: a deep net may ask more than those that are kept."""
    bound = {slot for condition in claim.conditions for slot in condition.slots}
    rows: list[tuple[Free, list[int]]] = []
    for item in claim.free:
        if not bound.intersection(item.members):
            continue
        start = claim.base[item.members[0]]
        steps = (start + count * item.multiple_of for count in range(1, CONDITIONED_REACH))
        allowed = [value for value in steps if claim.allows(with_value(claim.base, item.members, value))]
        if allowed:
            last = len(allowed) - 1
            rows.append((item, [allowed[last * count // CONDITIONED_DRAWS] for count in range(CONDITIONED_DRAWS)]))
    for count in range(CONDITIONED_DRAWS if rows else 0):
        sizes = claim.base
        for order, (item, row) in enumerate(rows):
            sizes = with_value(sizes, item.members, row[(count + order) % CONDITIONED_DRAWS])
        if claim.allows(sizes):
            yield sizes
        else:
            yield from (with_value(claim.base, item.members, row[count]) for item, row in rows)


def spread(claim: Claim) -> Iterator[Sizes]:
    """Sizes that the claim allows, far from the base, in which no two free dims move in the same draws.

    So what a size inside follows is told apart from what it equals by chance. There are as many as it takes: two for
    three free dims, three for seven.
    """
    for bit in range(len(claim.free).bit_length()):
        sizes = list(claim.base)
        for order, item in enumerate(claim.free):
            if not (order + 1) >> bit & 1:
                continue
            value = 2 * claim.base[item.members[0]] + (2 * order + 1 + bit) * item.multiple_of
            if item.maximum is not None:
                value = min(value, item.aligned(item.maximum))
            for member in item.members:
                sizes[member] = value
        if claim.allows(tuple(sizes)):
            yield tuple(sizes)
