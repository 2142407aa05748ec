"""From the guards before a failure to sizes that would have gone the other way.

Small integer systems, solved by evaluating compiled conditions: bisection where an equation is monotone in one size,
enumeration where it is not. A batch size is changed last, and a divisor must hold for a batch of one. Pure.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.guesses.values import Inputs
from ts_shape_server.agent.infer.running import expressions
from ts_shape_server.agent.infer.running.symbolic import Guard

ALIKE = 64
"""Among so many values that solve an equation in a row, the one that halves most often is what people use."""
LARGEST = 1 << 22
ENUMERATED = 1024
PAIRED = 64
CLIP = 3
"""Axes of a clip: its frames and two sides."""
CUSTOMARY_FRAMES = (16, 8, 32)
"""What nets for clips are written for, where one equation ties the frames to the sides."""
LOOKED_BACK = 12
HELD, MENDED = 48, 3
"""Equations before the failure that a solution is held against, and sizes that are changed so that they hold again."""


@dataclass(frozen=True)
class Places:
    """Which of the sizes are batches, and which belong together as the spatial axes of one tensor.

    A clip's frames stand before its sides, all three together.
    """

    batch: frozenset[int]
    spatial: tuple[tuple[int, ...], ...]
    fixed: frozenset[int] = frozenset()


def places(inputs: Inputs) -> Places:
    """Which sizes are batches, which belong together in space, and which are known: of evidence those without name."""
    batch: set[int] = set()
    spatial: list[tuple[int, ...]] = []
    fixed: set[int] = set()
    slot = 0
    for item in inputs:
        for tensor in values.tensors(item.guess):
            rank = len(tensor.dims)
            if rank >= 2:
                batch.add(slot)
            if rank >= 4:
                spatial.append(tuple(range(slot + 2, slot + rank)))
            if item.given:
                named = [axis < len(tensor.axes) and bool(tensor.axes[axis]) for axis in range(rank)]
                fixed.update(slot + axis for axis in range(rank) if not named[axis])
            slot += rank
    return Places(frozenset(batch), tuple(spatial), frozenset(fixed))


def flips(guards: Sequence[Guard], sizes: Sequence[int], places: Places) -> list[tuple[int, ...]]:
    """New sizes that make one of the last guards come out the other way, most promising first."""
    likely: list[tuple[int, ...]] = []
    unlikely: list[tuple[int, ...]] = []
    asked = 0
    for guard in list(guards)[: -LOOKED_BACK - 1 : -1]:
        condition = _condition(guard, not guard.value)
        if condition is None:
            continue
        bound = _bound(guards) if asked == 0 else frozenset()
        solutions = _solutions(condition, sizes, places, bound)
        if asked == 0:
            solutions = _with_mended(condition, list(solutions), guards, sizes, places)
        for found in solutions:
            shrinks_to_one = any(new == 1 and old != 1 for new, old in zip(found, sizes))
            (unlikely if shrinks_to_one else likely).append(found)
        asked += 1
        if asked == 1 and not likely:
            # The condition that failed asks for a one: that is likelier than what the ones before it would change.
            likely, unlikely = unlikely, likely
    return list(dict.fromkeys([*likely, *unlikely]))


def _with_mended(
    condition: _Condition,
    solutions: Sequence[tuple[int, ...]],
    guards: Sequence[Guard],
    sizes: Sequence[int],
    places: Places,
) -> Iterator[tuple[int, ...]]:
    """The solutions, each after the one in which the equations that the run came past hold as they did.

    ``s1 + s3 == 16`` held; where `s1` has to be another size, `s3` is too.
    """
    held = _held(guards, condition)
    for found in solutions:
        mended = _mended(found, held, sizes, places) if held else None
        if mended is not None and condition.holds(mended):
            yield mended
        yield found


def _bound(guards: Sequence[Guard]) -> frozenset[int]:
    """The sizes that the run came past as being a number: ``s1 == 3``."""
    found: set[int] = set()
    for guard in guards[-2 : -HELD - 2 : -1]:
        equation = type(guard.expression).__name__ == ("Equality" if guard.value else "Unequality")
        condition = _condition(guard, guard.value) if equation else None
        if condition is not None and len(condition.slots) == 1:
            found.update(condition.slots)
    return frozenset(found)


def _held(guards: Sequence[Guard], condition: _Condition) -> list[_Condition]:
    """The equations of several sizes that held, and that have one of those in them that the failure is about."""
    found: dict[Any, _Condition] = {}
    for guard in list(guards)[-2 : -HELD - 2 : -1]:
        equation = type(guard.expression).__name__ == ("Equality" if guard.value else "Unequality")
        if not equation or guard.expression in found:
            continue
        names = expressions.symbol_names(guard.expression)
        if len(names) < 2 or not any(f"s{slot}" in names for slot in condition.slots):
            continue
        kept = _condition(guard, guard.value)
        if kept is not None:
            found[guard.expression] = kept
    return list(found.values())


def _mended(
    found: tuple[int, ...], held: Sequence[_Condition], sizes: Sequence[int], places: Places
) -> tuple[int, ...] | None:
    """A solution with other sizes changed so that all `held` hold; None where they do, or where that is not found."""
    changed = {slot for slot, (old, new) in enumerate(zip(sizes, found)) if old != new}
    mended = found
    for _ in range(MENDED):
        broken = next((item for item in held if not item.holds(mended)), None)
        if broken is None:
            break
        open_slots = [slot for slot in broken.slots if slot not in changed | places.fixed | places.batch]
        ways = (way for slot in open_slots for way in _along(broken, mended, (slot,), places.batch)[:1])
        way = next(ways, None)
        if way is None:
            return None
        changed |= {slot for slot, (old, new) in enumerate(zip(mended, way)) if old != new}
        mended = way
    return mended if mended != found and all(item.holds(mended) for item in held) else None


def replaced(sizes: Sequence[int], places: Places, wanted: int, got: int) -> list[tuple[int, ...]]:
    """New sizes where two that an error names disagree: each place that has one of them gets the other."""
    found: list[tuple[int, ...]] = []
    for old, new in ((got, wanted), (wanted, got)):
        slots = [
            slot
            for slot, size in enumerate(sizes)
            if size == old and slot not in places.batch and slot not in places.fixed
        ]
        found += [_with(sizes, (slot,), new) for slot in slots]
        if len(slots) > 1:
            found.append(_with(sizes, slots, new))
    return found


def scaled(sizes: Sequence[int], places: Places, wanted: int, got: int) -> list[tuple[int, ...]]:
    """New sizes where a size that an error names is a multiple of one size, or the sum of the like sizes of tensors.

    For runs that leave no equation: each is a try.
    """
    found: list[tuple[int, ...]] = []
    open_slots = [slot for slot in range(len(sizes)) if slot not in places.batch and slot not in places.fixed]
    for value in dict.fromkeys(sizes[slot] for slot in open_slots):
        slots = tuple(slot for slot in open_slots if sizes[slot] == value)
        if value < 2 or got < value or got % value or wanted % (got // value):
            continue
        new = wanted // (got // value)
        if len(slots) > 1:
            found.append(_with(sizes, slots, new))
        found += [_with(sizes, (slot,), new) for slot in slots]
    return found


@dataclass(frozen=True)
class _Condition:
    """A guard compiled over all sizes. `difference` is left minus right of an equation."""

    slots: tuple[int, ...]
    holds: Callable[[Sequence[int]], bool]
    difference: Callable[[Sequence[int]], int] | None


def _condition(guard: Guard, wanted: bool) -> _Condition | None:
    """`guard` where its truth is the `wanted` one."""
    names = sorted(expressions.symbol_names(guard.expression), key=lambda name: int(name[1:]))
    slots = tuple(int(name[1:]) for name in names)
    try:
        truth = expressions.compiled(guard.expression, names)
        difference = None
        if type(guard.expression).__name__ in ("Equality", "Unequality"):
            left, right = guard.expression.args
            difference = expressions.compiled(left - right, names)
    except (expressions.Untranslatable, SyntaxError, TypeError, RecursionError):
        return None

    def holds(sizes: Sequence[int]) -> bool:
        try:
            return bool(truth(*(sizes[slot] for slot in slots))) is wanted
        except (ZeroDivisionError, OverflowError):
            return False

    evaluate = None
    if difference is not None:
        chosen = difference

        def evaluate(sizes: Sequence[int]) -> int:
            try:
                return int(chosen(*(sizes[slot] for slot in slots)))
            except ZeroDivisionError:
                return 1

    return _Condition(slots, holds, evaluate)


def _solutions(
    condition: _Condition, sizes: Sequence[int], places: Places, bound: frozenset[int]
) -> Iterator[tuple[int, ...]]:
    """Sizes that meet a condition. Those that are `bound` are known from elsewhere in the run."""
    free = [slot for slot in condition.slots if slot not in places.fixed]
    inner = [slot for slot in free if slot not in places.batch]
    together = [tuple(slot for slot in group if slot in free) for group in places.spatial]
    unknowns = [group for group in together if len(group) > 1]
    unknowns += [(slot,) for slot in inner]
    found = False
    clips = [group for group in together if len(group) == CLIP]
    for frames, *sides in clips:
        for count in CUSTOMARY_FRAMES:
            yield from _along(condition, _with(sizes, (frames,), count), tuple(sides), places.batch)
    if not bound.intersection(inner) and _is_sum_of_like(condition, sizes, inner):
        # Two parts of one vector: with nothing else known, neither is the larger.
        yield from _along(condition, sizes, tuple(inner), places.batch)
    for unknown in unknowns:
        for solution in _along(condition, sizes, unknown, places.batch):
            found = True
            yield solution
    if not found and len(inner) >= 2:
        for solution in _pairs(condition, sizes, inner, places.batch):
            found = True
            yield solution
    if not found:
        for slot in free:
            if slot in places.batch:
                yield from _along(condition, sizes, (slot,), frozenset())


def _is_sum_of_like(condition: _Condition, sizes: Sequence[int], slots: Sequence[int]) -> bool:
    """Whether an equation is about the sum of several sizes that are the same so far: ``s1 + s3 == 24``."""
    if condition.difference is None or len(slots) < 2 or len({sizes[slot] for slot in slots}) > 1:
        return False
    start = condition.difference(sizes)
    step = condition.difference(_with(sizes, slots[:1], sizes[slots[0]] + 1)) - start
    further = [_with(sizes, slots[:count], sizes[slots[0]] + 5) for count in range(1, len(slots) + 1)]
    alone = [_with(sizes, (slot,), sizes[slot] + 1) for slot in slots]
    sums = all(condition.difference(one) - start == step for one in alone)
    return (
        step != 0
        and sums
        and all(condition.difference(one) - start == 5 * step * count for count, one in enumerate(further, 1))
    )


def _along(
    condition: _Condition, sizes: Sequence[int], unknown: tuple[int, ...], batch: frozenset[int]
) -> list[tuple[int, ...]]:
    """Solutions with all of `unknown` set to one value: the nearest on both sides, and the smallest."""

    def at(value: int) -> tuple[int, ...]:
        return _with(sizes, unknown, value)

    def accepted(value: int) -> bool:
        return all(condition.holds(variant) for variant in _batches(at(value), condition.slots, batch))

    exact = _root(condition, at)
    values = [value for value in range(1, ENUMERATED + 1) if accepted(value)] if exact is None else []
    values = [value for value in values if value > 1] or values
    if exact is not None and accepted(exact):
        values = list(itertools.takewhile(accepted, range(exact, exact + ALIKE)))
        return [at(value) for value in dict.fromkeys((_roundest(values), exact))]
    start = sizes[unknown[0]]
    above = [value for value in values if value >= start][:2]
    below = [value for value in values if value < start][-1:]
    row = [
        value for order, value in enumerate(value for value in values if value >= start) if value == above[0] + order
    ]
    chosen = [*([_roundest(row)] if row else []), *above[:1], *below, *values[:1], *above[1:]]
    return [at(value) for value in dict.fromkeys(chosen)]


def _roundest(values: Sequence[int]) -> int:
    """The one that halves most often."""
    return max(values, key=lambda value: (value & -value, -value))


def _root(condition: _Condition, at: Callable[[int], tuple[int, ...]]) -> int | None:
    """The smallest value at which a monotone equation holds; None where it is not one or has no root."""
    difference = condition.difference
    if difference is None or condition.holds(at(1)):
        return None
    samples = [difference(at(value)) for value in (1, 2, 3, 8, 64, 513, 4096, LARGEST)]
    rising = all(left <= right for left, right in zip(samples, samples[1:]))
    falling = all(left >= right for left, right in zip(samples, samples[1:]))
    if not (rising or falling) or samples[0] == samples[-1]:
        return None
    sign = 1 if rising else -1
    low, high = 1, LARGEST
    if sign * difference(at(high)) < 0:
        return None
    while low < high:
        middle = (low + high) // 2
        if sign * difference(at(middle)) >= 0:
            high = middle
        else:
            low = middle + 1
    return low if condition.holds(at(low)) else None


def _pairs(
    condition: _Condition, sizes: Sequence[int], inner: Sequence[int], batch: frozenset[int]
) -> Iterator[tuple[int, ...]]:
    """A few solutions in two sizes, for equations that no single one solves."""
    left, right = inner[-2], inner[-1]
    count = 0
    for total in range(2, 2 * PAIRED):
        for first in range(max(1, total - PAIRED), min(total, PAIRED + 1)):
            candidate = _with(_with(sizes, (left,), first), (right,), total - first)
            if condition.holds(candidate) and all(
                condition.holds(variant) for variant in _batches(candidate, condition.slots, batch)
            ):
                yield candidate
                count += 1
                if count == 3:
                    return


def _batches(sizes: tuple[int, ...], slots: Sequence[int], batch: frozenset[int]) -> Iterator[tuple[int, ...]]:
    """`sizes`, and the same with each batch that matters here set to one, and to three."""
    yield sizes
    concerned = tuple(slot for slot in slots if slot in batch)
    if concerned:
        yield _with(sizes, concerned, 1)
        yield _with(sizes, concerned, 3)


def _with(sizes: Sequence[int], slots: Sequence[int], value: int) -> tuple[int, ...]:
    changed: list[Any] = list(sizes)
    for slot in slots:
        changed[slot] = value
    return tuple(changed)
