"""From one run that works to all sizes that do: which dims are free, which move together, by what condition.

Torch's guards propose, runs decide. Every dim is moved alone and with those it is tied to; a guard becomes a
constraint only if it separates the sizes that ran from those that did not. What no guard explains narrows the claim.
The same procedure works without guards, with plainer claims. Knows nothing of names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sympy

from ts_shape_server.agent.infer import draws, expressions, values
from ts_shape_server.agent.infer.claim import Claim, Condition, Free, Sizes
from ts_shape_server.agent.infer.limits import TimeLimit, now, time_limit
from ts_shape_server.agent.infer.session import Outcome, Session
from ts_shape_server.agent.infer.symbolic import Guard
from ts_shape_server.agent.infer.values import Inputs

LARGE = (256, 2048)
_INDEX_LIMIT = (1 << 31) - 1
VERIFYING_SHARE = 0.25
"""Part of the time that is kept for runs at sizes drawn from the finished claim."""


@dataclass
class Trials:
    """Runs at other sizes, remembered. One counts as good if it ran and gave the rows and ranks that the first gave."""

    session: Session
    inputs: Inputs
    outcome: Outcome
    deadline: float
    known: dict[Sizes, bool] = field(default_factory=dict)
    cost: float = 0.0
    _rows_are_batch: bool | None = None

    def good(self, sizes: Sizes) -> bool:
        """Whether these sizes run. False once time is up: what was not seen is not claimed."""
        if sizes in self.known:
            return self.known[sizes]
        left = self.deadline - now()
        if left <= 0 or min(sizes, default=1) < 1:
            return False
        started = now()
        try:
            with time_limit(left):
                outcome = self.session.concrete(values.with_sizes(self.inputs, sizes))
        except TimeLimit:
            return False
        self.cost = 0.5 * (self.cost or now() - started) + 0.5 * (now() - started)
        result = outcome.ok and _same_ranks(self.outcome, outcome)
        if result and self.rows_are_batch:
            result = _rows(outcome) == sizes[0]
        self.known[sizes] = result
        return result

    def fails(self, sizes: Sizes) -> bool:
        """Whether these sizes are known not to run."""
        return not self.good(sizes) and sizes in self.known

    def left(self) -> float:
        """Seconds of work until time is up."""
        return self.deadline - now()

    def halvings(self, searches: int) -> int:
        """How often each of so many searches may halve its interval in the time that is left."""
        runs = (self.deadline - now()) / max(self.cost, 1e-4)
        return max(1, min(12, int(runs / (4 * max(1, searches)))))

    @property
    def rows_are_batch(self) -> bool:
        """Whether the first output has a row for each item of the first input, here and for one item more.

        Then other sizes that give other rows are no inputs: a `view` has moved items between rows.
        """
        if self._rows_are_batch is None:
            tensors = values.all_tensors(self.inputs)
            self._rows_are_batch = False
            if tensors and len(tensors[0].dims) >= 2 and _rows(self.outcome) == self.base[0]:
                joined = [slot for slot in _first_axes(self.inputs) if self.base[slot] == self.base[0]]
                for slots in ((0,), tuple(joined)):
                    more = self.moved(slots, self.base[0] + 1)
                    try:
                        with time_limit(max(0.1, self.deadline - now())):
                            outcome = self.session.concrete(values.with_sizes(self.inputs, more))
                    except TimeLimit:
                        break
                    if outcome.ok:
                        self._rows_are_batch = _rows(outcome) == more[0]
                        break
        return self._rows_are_batch

    @property
    def base(self) -> Sizes:
        return values.sizes(self.inputs)

    def moved(self, slots: Iterable[int], value: int) -> Sizes:
        chosen = set(slots)
        return tuple(value if slot in chosen else size for slot, size in enumerate(self.base))


def _same_ranks(first: Outcome, second: Outcome) -> bool:
    left, right = list(leaves(first.output)), list(leaves(second.output))
    return len(left) == len(right) and all(
        getattr(a, "ndim", None) == getattr(b, "ndim", None) for a, b in zip(left, right)
    )


def _rows(outcome: Outcome) -> int | None:
    """The first size of the first output, if that is a tensor of two dims or more."""
    output = next(leaves(outcome.output), None)
    return int(output.shape[0]) if output is not None and getattr(output, "ndim", 0) >= 2 else None


def _first_axes(inputs: Inputs) -> Iterator[int]:
    offset = 0
    for tensor in values.all_tensors(inputs):
        if tensor.dims:
            yield offset
        offset += len(tensor.dims)


def leaves(value: Any) -> Iterator[Any]:
    """The parts of a nested output that are no containers, from left to right."""
    if isinstance(value, dict):
        for part in value.values():
            yield from leaves(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from leaves(part)
    else:
        yield value


def generalise(trials: Trials, guards: Sequence[Guard]) -> Claim:
    """All that the module accepts around the found sizes, as far as the time allows to see."""
    base = trials.base
    conditions = [item for item in map(_condition, guards) if item is not None and item.holds(base)]
    free: list[Free] = []
    whole, trials.deadline = trials.deadline, trials.deadline - VERIFYING_SHARE * (trials.deadline - now())
    for members in _ties(trials, conditions):
        step = _step(trials, members)
        if step is not None:
            free.append(_seen_range(trials, members, step))
    _move_pairs(trials, free)
    free = [_downward(trials, item, conditions) for item in free]
    together = _largest_together(trials, free)
    free = [_upward(trials, item, conditions, together) for item in free]
    trials.deadline = whole
    kept = _needed(trials, free, conditions)
    claim = Claim(base, tuple(free), tuple(kept), None)
    return _verified(trials, claim, conditions)


def _condition(guard: Guard) -> Condition | None:
    names = sorted(expressions.symbol_names(guard.expression), key=lambda name: int(name[1:]))
    slots = tuple(int(name[1:]) for name in names)
    try:
        truth = expressions.compiled(guard.expression, names)
    except (expressions.Untranslatable, SyntaxError, TypeError, RecursionError):
        return None
    wanted = guard.value

    def holds(sizes: Sequence[int]) -> bool:
        try:
            return bool(truth(*(sizes[slot] for slot in slots))) is wanted
        except (ZeroDivisionError, OverflowError):
            return False

    expression = guard.expression
    if not wanted:
        expression = sympy.Not(expression)
    return Condition(expression, slots, holds)


def _ties(trials: Trials, conditions: Sequence[Condition]) -> list[tuple[int, ...]]:
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
    for slot in range(len(base)):
        if not _movable(trials, (slot,)):
            alike = [other for other in grouped if axes[other] == axes[slot] and base[other] == base[slot]]
            same = [other for other in grouped if root(other) == root(slot)]
            together = next((other for other in [*same, *alike] if _joins(trials, grouped[other], slot)), None)
            if together is not None:
                grouped[together].append(slot)
                continue
        grouped[slot] = [slot]
    _join_many(trials, grouped, [[root(slot) for slot in range(len(base))], list(zip(axes, base))])
    return [tuple(members) for members in grouped.values()]


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


def _step(trials: Trials, members: tuple[int, ...]) -> int | None:
    """In which steps the places move together; None if they do not."""
    start = trials.base[members[0]]

    def good(value: int) -> bool:
        return trials.good(trials.moved(members, value))

    if good(start + 1):
        return 1
    divisors = [step for step in range(2, min(start, 256) + 1) if start % step == 0]
    steps = (step for step in divisors if good(start + step) and good(start + 3 * step))
    return next(steps, 1 if good(start - 1) else None)


def _seen_range(trials: Trials, members: tuple[int, ...], step: int) -> Free:
    """The values of the places that ran, all others as in the base."""
    others = [slot for slot in range(len(trials.base)) if slot not in members]
    ran = [
        sizes[members[0]]
        for sizes, good in trials.known.items()
        if good and all(sizes[slot] == trials.base[slot] for slot in others) and sizes[members[0]] % step == 0
    ]
    start = trials.base[members[0]]
    return Free(members, min([start, *ran]), max([start, *ran]), step)


def _downward(trials: Trials, item: Free, conditions: Sequence[Condition]) -> Free:
    """The smallest value that runs, if those that run are an interval in steps: one step first, then by halving."""
    step = item.multiple_of

    def good(value: int) -> bool:
        return trials.good(trials.moved(item.members, value))

    low, high = step, item.minimum
    if low >= high or good(low):
        return replace(item, minimum=min(low, high))
    proposed = _last_allowed(trials, item, conditions, high, low)
    if proposed is not None:
        return replace(item, minimum=proposed)
    for _ in range(trials.halvings(len(trials.base))):
        middle = (low + high) // 2 // step * step
        if middle <= low:
            break
        if good(middle):
            high = middle
        else:
            low = middle
    return replace(item, minimum=high)


def _last_allowed(trials: Trials, item: Free, conditions: Sequence[Condition], start: int, end: int) -> int | None:
    """The last value that the conditions allow between `start` and `end`, if they forbid all others and runs agree."""
    step = item.multiple_of if end > start else -item.multiple_of
    allowed = [
        all(condition.holds(trials.moved(item.members, value)) for condition in conditions)
        for value in range(start, end, step)
    ]
    if all(allowed) or True in allowed[allowed.index(False) :]:
        return None
    forbidden = start + step * allowed.index(False)
    # A condition may be no more than a number that torch has fixed on its way: larger steps would show it.
    beyond = [forbidden + step * count for count in range(4)] + [forbidden * 2 if step > 0 else forbidden // 2]
    if not all(trials.fails(trials.moved(item.members, value)) for value in beyond if value > 0):
        return None
    return forbidden - step if trials.good(trials.moved(item.members, forbidden - step)) else None


def _largest_together(trials: Trials, free: Sequence[Free]) -> int:
    """How many of the steps of `LARGE` all free dims take at once: one run then stands for one of each."""
    if trials.session.real_only or len(free) < 2:
        return 0
    for count in range(len(LARGE)):
        sizes = trials.base
        for item in free:
            sizes = draws.with_value(sizes, item.members, _large(item)[count])
        if not trials.good(sizes):
            return count
    return len(LARGE)


def _large(item: Free) -> list[int]:
    """Values that only a bound would refuse."""
    return [max(value, 2 * (item.maximum or item.minimum)) // item.multiple_of * item.multiple_of for value in LARGE]


def _upward(trials: Trials, item: Free, conditions: Sequence[Condition], together: int) -> Free:
    """The largest value that runs; none where torch's own conditions, or a run, allow a large one.

    `together`: so many large values were taken by all free dims at once.
    """
    step = item.multiple_of
    start = item.maximum or item.minimum
    large = _large(item)
    if together == len(large) or (together and trials.left() <= 0):
        return replace(item, maximum=None)
    # Where 32-bit indices do not suffice, torch takes another way and does not refuse.
    stated = [item for item in conditions if expressions.largest_number(item.expression) < _INDEX_LIMIT]
    if stated and all(condition.holds(trials.moved(item.members, value)) for condition in stated for value in large):
        return replace(item, maximum=None)
    proposed = _last_allowed(trials, item, stated, start, large[0])
    if proposed is not None:
        return replace(item, maximum=proposed)
    low = start
    for number, value in enumerate(large):
        if number < together or trials.good(trials.moved(item.members, value)):
            low = value
            continue
        high = value
        for _ in range(trials.halvings(len(trials.base))):
            middle = (low + high) // 2 // step * step
            if middle <= low:
                break
            if trials.good(trials.moved(item.members, middle)):
                low = middle
            else:
                high = middle
        return replace(item, maximum=low)
    return replace(item, maximum=None)


def _move_pairs(trials: Trials, free: list[Free]) -> None:
    """Free the places that only move two at a time (the sides of an image whose area is bound)."""
    covered = {member for item in free for member in item.members}
    offset = 0
    for tensor in values.all_tensors(trials.inputs):
        inner = [offset + axis for axis in range(2, len(tensor.dims)) if offset + axis not in covered]
        offset += len(tensor.dims)
        if len(inner) >= 2:
            members = tuple(inner)
            if len({trials.base[slot] for slot in members}) == 1:
                step = _step(trials, members)
                if step is not None:
                    free.append(_seen_range(trials, members, step))


def _needed(trials: Trials, free: list[Free], conditions: Sequence[Condition]) -> list[Condition]:
    """The conditions that separate what ran from what did not.

    An equation between sizes is kept even where the ranges alone say as much: it is the reason for the ranges.
    """
    good = [sizes for sizes, ran in trials.known.items() if ran]
    open_conditions = [item for item in conditions if all(item.holds(sizes) for sizes in good)]
    open_conditions.sort(key=_plainness)
    places = {item.members[0] for item in free}
    unbounded = [Free(item.members, 1, None, item.multiple_of) for item in free]
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


def _plainness(condition: Condition) -> tuple[int, int, int]:
    kind = {"Equality": 0, "Unequality": 2}.get(type(condition.expression).__name__, 1)
    text = str(condition.expression)
    return kind, text.count("Mod"), len(text)


def _verified(trials: Trials, claim: Claim, conditions: Sequence[Condition]) -> Claim:
    """`claim` after draws from it ran; a free dim that made a draw fail is narrowed to its base value."""
    for _ in range(8):
        drawn = list(draws.edges(claim))
        failed = next((sizes for sizes in drawn if trials.fails(sizes)), None)
        # What conditions leave out is seen from all that fails, not from the first.
        conditioned = [sizes for sizes in draws.conditioned(claim) if trials.fails(sizes)]
        failed = failed or next(iter(conditioned), None)
        if failed is None:
            second = next((sizes for sizes in drawn if sizes != claim.base and trials.known.get(sizes)), None)
            return Claim(claim.base, claim.free, claim.conditions, second)
        kept = _needed(trials, list(claim.free), conditions)
        if len(kept) > len(claim.conditions):
            claim = Claim(claim.base, claim.free, tuple(kept), None)
            continue
        moved = [item for item in claim.free if failed[item.members[0]] != claim.base[item.members[0]]]
        alone = [item for item in moved if trials.fails(trials.moved(item.members, failed[item.members[0]]))]
        guilty = max(alone or moved, key=lambda item: min(item.members), default=None)
        wider = _wider_step(trials, guilty) if guilty is not None else None
        free = tuple(
            (wider,) if item is guilty and wider is not None else () if item is guilty else (item,)
            for item in claim.free
        )
        claim = Claim(claim.base, tuple(item for part in free for item in part), claim.conditions, None)
    return Claim(claim.base, (), (), None)


def _wider_step(trials: Trials, item: Free) -> Free | None:
    """`item` in larger steps that all ran; None if there are none, or if it moves in such steps already."""
    if item.multiple_of > 1:
        return None
    start = trials.base[item.members[0]]
    for step in range(2, min(start, 64) + 1):
        if start % step == 0 and all(
            trials.good(trials.moved(item.members, start + step * count)) for count in (1, 2, 3)
        ):
            return Free(item.members, start, None if item.maximum is None else item.maximum // step * step, step)
    return None


def narrowed(claim: Claim, free: tuple[Free, ...]) -> Claim:
    """`claim` with only these dims free, the others as in the base."""
    fewer = replace(claim, free=free, second=None)
    second = claim.second if claim.second is not None and fewer.allows(claim.second) else None
    return replace(fewer, second=second)
