"""From one run that works to all sizes that do: which dims are free, which move together, by what condition.

Torch's guards propose, runs decide. Every dim is moved alone and with those it is tied to; a guard becomes a
constraint only if it separates the sizes that ran from those that did not. What no guard explains narrows the claim.
The same procedure works without guards, with plainer claims. Knows nothing of names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ts_shape_server.agent import shares
from ts_shape_server.agent.infer.claims import conditions as stated
from ts_shape_server.agent.infer.claims import draws, ranges, regimes, ties
from ts_shape_server.agent.infer.claims.claim import Claim, Condition, Free, Sizes
from ts_shape_server.agent.infer.claims.trials import Trials
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.running.symbolic import Guard

GOOD_RUNS = 16
"""What a claim takes for an image, of which most runs are whole: its ranges, and draws from it."""
SMALL_STEPS = 32
"""Steps up to here are tried where they are no divisors of the size: odd sizes, one more than multiples of three."""
PATCHES = (2, 4, 8, 16, 32)
"""Steps in which the sides of images are smaller, where they cannot be larger."""
CUT_STEPS = 2
"""A dim of which fewer sizes run beside the base than these is fixed."""


def generalise(trials: Trials, guards: Sequence[Guard]) -> Claim:
    """All that the module accepts around the found sizes, as far as the time allows to see.

    `trials` may have another base afterwards: a size that runs by chance is no example.
    """
    trials.put_off(GOOD_RUNS)
    claim = _around_base(trials, guards)
    better = _better_base(trials, claim)
    if better is not None and trials.begin_at(better):
        again = _around_base(trials, guards)
        if len(_roomy(again)) > len(_roomy(claim)):
            return again
        trials.begin_at(claim.base)
    return claim


def _places_by_axis(trials: Trials) -> list[list[int]]:
    """For each axis its places in the tensors that have it."""
    places: list[list[int]] = []
    slot = 0
    for tensor in values.all_tensors(trials.inputs):
        for axis in range(len(tensor.dims)):
            places += [[]] if axis == len(places) else []
            places[axis].append(slot)
            slot += 1
    return places


def _roomy(claim: Claim) -> set[int]:
    """The places that have more than a few sizes."""
    return {
        member
        for item in claim.free
        if item.maximum is None or item.maximum - item.minimum > CUT_STEPS * item.multiple_of
        for member in item.members
    }


def _around_base(trials: Trials, guards: Sequence[Guard]) -> Claim:
    base = trials.base
    conditions = [item for item in stated.all_of(guards) if item.holds(base)]
    if trials.session.real_only:
        conditions += stated.between_equals(_places_by_axis(trials), base)
    free: list[Free] = []
    whole, trials.deadline = trials.deadline, trials.deadline - shares.VERIFYING.of(trials.left())
    for members in ties.groups(trials, conditions):
        step = _step(trials, members, conditions)
        if step is not None:
            free.append(ranges.seen(trials, members, *step))
    _move_pairs(trials, free, conditions)
    if trials.session.real_only:
        conditions = [item for item in conditions if not any(regimes.runs_without(trials, item))]
    free = _ranged(trials, free, conditions)
    trials.leave_open(sizes for sizes in tuple(trials.gave) if all(item.holds(sizes) for item in conditions))
    needed = _regime(trials, free, conditions)
    free, needed = regimes.as_ranges(trials, free, needed)
    trials.deadline = whole
    kept = _with(needed, _needed(trials, free, conditions))
    free = _without_implied(trials, free, kept)
    claim = Claim(base, tuple(free), tuple(kept), None)
    return _verified(trials, claim, conditions)


def _ranged(trials: Trials, free: list[Free], conditions: Sequence[Condition]) -> list[Free]:
    """The dims with how small and how large each may be where the others leave it room."""
    around = ranges.Surroundings.of(free, conditions)
    single = [item for item in conditions if item not in around.joint]
    lowered: list[Free] = []
    for item in free:
        lowered.append(ranges.downward(trials, item, single, [other.minimum for other in lowered], around))
    if around.joint:
        # What was bound to another dim has more room beside the smallest of that.
        around = ranges.Surroundings.of(lowered, conditions)
        lowered = [ranges.downward(trials, item, single, (), around) for item in lowered]
        around = ranges.Surroundings.of(lowered, conditions)
    together = ranges.largest_together(trials, lowered)
    return [ranges.upward(trials, item, single, together, around) for item in lowered]


def _regime(trials: Trials, free: Sequence[Free], conditions: list[Condition]) -> list[Condition]:
    """The conditions on whose other side something else happens; what other ways ask is added to `conditions`."""
    found = regimes.needed(trials, free, conditions)
    more = regimes.followed(trials, found.others, conditions)
    if not more:
        return list(found.conditions)
    conditions += more
    firm = [item for item in found.conditions if item not in found.mixed]
    again = regimes.needed(trials, free, [*found.mixed, *more], firm)
    # What the other way asks must fail on this one too, else it says nothing of this one.
    return list(found.conditions) if again.mixed else [*firm, *again.conditions]


def _with(first: Sequence[Condition], more: Sequence[Condition]) -> list[Condition]:
    return list({str(item.expression): item for item in (*first, *more)}.values())


def _without_implied(trials: Trials, free: Sequence[Free], kept: Sequence[Condition]) -> list[Free]:
    """The dims without the largest sizes that the conditions state anyway."""
    around = ranges.Surroundings.of(free, kept)
    return [
        replace(item, maximum=None)
        if item.maximum is not None
        and around.joint
        and around.at(trials, item, item.maximum + item.multiple_of) is None
        else item
        for item in free
    ]


def _step(trials: Trials, members: tuple[int, ...], conditions: Sequence[Condition]) -> tuple[int, int] | None:
    """In which steps the places move together, and what is left over of the sizes by them; None if they do not."""
    start = trials.base[members[0]]
    own = [item for item in conditions if set(item.slots) <= set(members)]

    def good(value: int) -> bool:
        return trials.good(trials.moved(members, value))

    def allowed(value: int) -> bool:
        return all(item.holds(trials.moved(members, value)) for item in own)

    if good(start + 1):
        return 1, 0
    for step in range(2, min(max(start, SMALL_STEPS), 256) + 1):
        divides = start % step == 0
        if not divides and (not own or step > SMALL_STEPS or not allowed(start + step)):
            continue
        if good(start + step) and good(start + 3 * step) and (divides or good(start + 2 * step)):
            return step, start % step
    for step in PATCHES if ties.is_side(trials, members[0]) else ():
        # The found size may be the largest, where places are taken from a table.
        if start % step == 0 and start > 2 * step and good(start - step) and good(start - 2 * step):
            return (1, 0) if good(start - 1) else (step, 0)
    return (1, 0) if good(start - 1) else None


def _move_pairs(trials: Trials, free: list[Free], conditions: Sequence[Condition]) -> None:
    """Free the places that only move two at a time (the sides of an image whose area is bound)."""
    covered = {member for item in free for member in item.members}
    offset = 0
    for tensor in values.all_tensors(trials.inputs):
        inner = [offset + axis for axis in range(2, len(tensor.dims)) if offset + axis not in covered]
        offset += len(tensor.dims)
        if len(inner) >= 2:
            members = tuple(inner)
            if len({trials.base[slot] for slot in members}) == 1:
                step = _step(trials, members, conditions)
                if step is not None:
                    free.append(ranges.seen(trials, members, *step))


def _needed(trials: Trials, free: list[Free], conditions: Sequence[Condition]) -> list[Condition]:
    """The conditions that separate what ran from what did not.

    An equation between sizes is kept even where the ranges alone say as much: it is the reason for the ranges.
    """
    good = [sizes for sizes, ran in trials.known.items() if ran]
    open_conditions = [item for item in conditions if all(item.holds(sizes) for sizes in good)]
    open_conditions.sort(key=regimes.plainness)
    places = {item.members[0] for item in free}
    unbounded = [replace(item, minimum=1, maximum=None) for item in free]
    claim, wide = Claim(trials.base, tuple(free), (), None), Claim(trials.base, tuple(unbounded), (), None)
    kept: list[Condition] = []
    for sizes, ran in trials.known.items():
        if ran or not wide.allows(sizes) or not all(item.holds(sizes) for item in kept):
            continue
        for item in open_conditions:
            equation = type(item.expression).__name__ == "Equality" and len(places & set(item.slots)) > 1
            if not item.holds(sizes) and (equation or claim.allows(sizes)):
                kept.append(item)
                break
    return kept


def _verified(trials: Trials, claim: Claim, conditions: Sequence[Condition]) -> Claim:
    """`claim` after draws from it ran; a free dim that made a draw fail is narrowed, to its base value at last."""
    for _ in range(8):
        drawn = list(draws.edges(claim))
        failed = next((sizes for sizes in (*drawn, *draws.far(claim)) if _is_wrong(trials, sizes)), None)
        # What conditions leave out is seen from all that fails, not from the first.
        conditioned = [sizes for sizes in draws.conditioned(claim) if _is_wrong(trials, sizes)]
        failed = failed or next(iter(conditioned), None)
        if failed is None:
            second = next((sizes for sizes in drawn if sizes != claim.base and trials.known.get(sizes)), None)
            return Claim(claim.base, claim.free, claim.conditions, second)
        kept = _with(claim.conditions, _needed(trials, list(claim.free), conditions))
        if len(kept) > len(claim.conditions):
            claim = Claim(claim.base, claim.free, tuple(kept), None)
            continue
        moved = [item for item in claim.free if failed[item.members[0]] != claim.base[item.members[0]]]
        alone = [item for item in moved if _is_wrong(trials, trials.moved(item.members, failed[item.members[0]]))]
        apart = None if alone else _not_both_one(trials, moved, failed)
        if apart is not None and apart.holds(claim.base) and not apart.holds(failed):
            claim = Claim(claim.base, claim.free, (*claim.conditions, apart), None)
            continue
        guilty = max(alone or moved, key=lambda item: min(item.members), default=None)
        if guilty is None:
            break
        fewer = _wider_step(trials, guilty) or (_cut(trials, guilty, failed) if guilty in alone else None)
        free = (
            tuple(item for item in claim.free if item is not guilty)
            if fewer is None
            else tuple(fewer if item is guilty else item for item in claim.free)
        )
        claim = Claim(claim.base, free, claim.conditions, None)
    return Claim(claim.base, (), (), None)


def _not_both_one(trials: Trials, moved: Sequence[Free], failed: Sizes) -> Condition | None:
    """The condition that two dims are not both one, where each may be and both together fail."""
    ones = [item for item in moved if failed[item.members[0]] == 1]
    for number, item in enumerate(ones):
        for other in ones[number + 1 :]:
            alone = [trials.moved(each.members, 1) for each in (item, other)]
            both = tuple(
                1 if slot in (*item.members, *other.members) else size for slot, size in enumerate(trials.base)
            )
            if not trials.good(both) and all(trials.good(sizes) for sizes in alone):
                return stated.not_both_one(item.members[0], other.members[0])
    return None


def _is_wrong(trials: Trials, sizes: Sizes) -> bool:
    """Whether sizes were seen to fail, or to give something else than the run on symbols states."""
    return trials.fails(sizes) or not trials.as_stated(sizes)


def _cut(trials: Trials, item: Free, failed: Sizes) -> Free | None:
    """`item` up to the last size that runs before those that failed; None where that is next to the base."""
    start, value = trials.base[item.members[0]], failed[item.members[0]]
    runs, fails = start, value
    # A search that is cut short would leave nothing but the base.
    trials.put_off(2 * ranges.HALVINGS)
    while abs(runs - fails) > item.multiple_of:
        middle = item.aligned((runs + fails) // 2)
        middle = middle if middle not in (runs, fails) else middle + item.multiple_of
        if middle in (runs, fails):
            break
        sizes = trials.moved(item.members, middle)
        if _is_wrong(trials, sizes):
            fails = middle
        elif trials.known.get(sizes):
            runs = middle
        else:
            return None
    if abs(runs - start) < CUT_STEPS * item.multiple_of:
        return None
    return replace(item, maximum=runs) if value > start else replace(item, minimum=runs)


def _better_base(trials: Trials, claim: Claim) -> Sizes | None:
    """Sizes next to the base from which a dim moves that does not move from the base itself."""
    roomy = _roomy(claim)
    for slot, start in enumerate(claim.base):
        if slot in roomy:
            continue
        for value in (start + 1, start - 1):
            for step in (2, 4, 8):
                further = [trials.moved((slot,), value + step * count) for count in (0, 1, 2, 3)]
                if value > 1 and further[0] in trials.known and all(trials.good(sizes) for sizes in further):
                    return further[0]
    return None


def _wider_step(trials: Trials, item: Free) -> Free | None:
    """`item` in larger steps that all ran; None if there are none, or if it moves in such steps already."""
    if item.multiple_of > 1:
        return None
    start = trials.base[item.members[0]]

    def between(step: int) -> bool:
        """Whether a size between two steps fails: else what failed lies beyond a limit."""
        return any(_is_wrong(trials, trials.moved(item.members, start + offset)) for offset in range(1, step))

    for step in range(2, min(start, 64) + 1):
        runs = all(trials.good(trials.moved(item.members, start + step * count)) for count in (1, 2, 3))
        if runs and between(step):
            wider = Free(item.members, start, None, step, start % step)
            wider = wider if item.maximum is None else replace(wider, maximum=wider.aligned(item.maximum))
            return ranges.downward(trials, wider, ())
    return None


def narrowed(claim: Claim, free: tuple[Free, ...]) -> Claim:
    """`claim` with only these dims free, the others as in the base."""
    fewer = replace(claim, free=free, second=None)
    second = claim.second if claim.second is not None and fewer.allows(claim.second) else None
    return replace(fewer, second=second)
