"""Smaller sizes of a claim, for runs that only look at code: what TorchScript makes of a class is the same for a small
image and a large one, and is run a dozen times. Knows nothing of TorchScript.
"""

from __future__ import annotations

from collections.abc import Iterator

from ts_shape_server.agent.infer.claims.claim import Claim, Sizes, with_value
from ts_shape_server.agent.infer.claims.trials import Trials
from ts_shape_server.agent.infer.guesses import values

ENOUGH = 50_000_000
"""Products of a run that is light."""
PARTS = (2, 4, 8, 16)
"""What the free sizes are divided by, one after the other."""
SMALLEST = 8
"""Sizes up to here stay: a batch, a short sequence, and what a small example has anyway."""


def sizes(trials: Trials, claim: Claim) -> tuple[Sizes, Sizes | None] | None:
    """Sizes that the claim allows at which a run takes fewer products, and others next to them; None where the
    example is light, or where no smaller sizes run.
    """
    work = trials.outcome.work
    if work <= ENOUGH:
        return None
    best: Sizes | None = None
    for part in PARTS:
        smaller = _divided(claim, part)
        if smaller == claim.base or not claim.allows(smaller):
            continue
        outcome = trials.session.concrete(values.with_sizes(trials.inputs, smaller))
        if outcome.ok and outcome.work < work:
            best, work = smaller, outcome.work
        if work <= ENOUGH:
            break
    if best is None:
        return None
    beside = (other for other in _beside(claim, best) if claim.allows(other))
    second = next((other for other in beside if _runs(trials, other)), None)
    return best, second


def _runs(trials: Trials, sizes: Sizes) -> bool:
    return trials.session.concrete(values.with_sizes(trials.inputs, sizes)).ok


def _divided(claim: Claim, part: int) -> Sizes:
    """The base with its large free sizes divided."""
    found = claim.base
    for item in claim.free:
        size = claim.base[item.members[0]]
        if size > SMALLEST:
            found = with_value(
                found, item.members, max(item.minimum, min(size, item.aligned(max(SMALLEST, size // part))))
            )
    return found


def _beside(claim: Claim, start: Sizes) -> Iterator[Sizes]:
    """Sizes that differ from these in every free dim, then in one."""
    every = start
    for item in claim.free:
        every = with_value(every, item.members, start[item.members[0]] + item.multiple_of)
    yield every
    for item in claim.free:
        yield with_value(start, item.members, start[item.members[0]] + item.multiple_of)
