"""What to run a claim with: sizes that it allows, and sizes that it excludes by one of its parts alone.

Arithmetic over `claims`, the same each time. Sizes stay small, so that a run costs what the example costs.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.parity.claims import COUNT, Claim, Draw, Leaf, Unreadable, Value

DRAWS = 4
ELEMENTS = 1 << 17
"""A draw may have as many elements in its inputs, or four times as many as the example."""
TRIES = 3000
_SEED = 0


@dataclass(frozen=True)
class Break:
    """Inputs that a part of the claim excludes. `exact` False: outputs may have other fixed sizes than the claimed."""

    kind: str
    claim: str
    inputs: dict[str, Any]
    draw: Draw
    exact: bool


def elements(claim: Claim, draw: Draw) -> int:
    """How many numbers the inputs of a draw hold."""
    count = draw.get(COUNT)
    each = sum(math.prod(claim.sizes(leaf, draw)) for leaf in claim.leaves)
    return each * (count if isinstance(count, int) and claim.counts else 1)


def _room(claim: Claim) -> int:
    return max(4 * elements(claim, claim.base), ELEMENTS)


def allowed(claim: Claim) -> list[Draw]:
    """Up to `DRAWS` draws other than the example: the smallest, the next, a middle and a larger one."""
    chance = random.Random(_SEED)
    found: list[Draw] = []
    for pattern in (_smallest, _next, _middle, _larger):
        draw: Draw | None = pattern(claim, chance)
        if draw is None or not _fits(claim, draw):
            draw = _searched(claim, chance)
        for _ in range(8):
            if draw is None or (draw != claim.base and draw not in found):
                break
            draw = _searched(claim, chance)
        if draw is not None and draw != claim.base and draw not in found:
            found.append(draw)
    return found


def _fits(claim: Claim, draw: Draw) -> bool:
    try:
        return claim.broken(draw) is None and elements(claim, draw) <= _room(claim)
    except Unreadable:
        return False


def _smallest(claim: Claim, chance: random.Random) -> Draw:
    return {name: item.first for name, item in claim.symbols.items()}


def _next(claim: Claim, chance: random.Random) -> Draw:
    """Each symbol another number of steps on from the example, so that no two are equal by chance."""
    result = dict(claim.base)
    for order, name in enumerate(claim.free):
        item = claim.symbols[name]
        start = _number(claim.base[name])
        value = start + item.multiple_of * (1 + order % 3)
        result[name] = value if item.allows(value) else _clipped(claim, name, value)
        items = _items(claim, name)
        if items > 1:
            spread = tuple(_number(result[name]) + item.multiple_of * number for number in range(items))
            result[name] = spread if all(map(item.allows, spread)) else result[name]
    return result


def _middle(claim: Claim, chance: random.Random) -> Draw:
    result = dict(claim.base)
    for name in claim.free:
        item = claim.symbols[name]
        result[name] = _stepped(claim, name, chance.randint(item.first, max(item.first, _number(claim.base[name]))))
    return result


def _larger(claim: Claim, chance: random.Random) -> Draw:
    """Up to twice the example, the later symbols smaller where that is more than there is room for."""
    result = dict(claim.base)
    for name in claim.free:
        start = _number(claim.base[name])
        result[name] = _clipped(claim, name, chance.randint(start + 1, 2 * start + 1))
        if elements(claim, result) > _room(claim):
            result[name] = claim.base[name]
    return result


def _searched(claim: Claim, chance: random.Random) -> Draw | None:
    """Any draw that the claim allows; None where chance does not find one soon."""
    if not claim.free:
        return None
    for attempt in range(TRIES):
        near = attempt % 2
        result: dict[str, Value] = dict(claim.base)
        for name in claim.free:
            item, start = claim.symbols[name], _number(claim.base[name])
            reach = 3 * item.multiple_of if near else max(start, 3 * item.multiple_of)
            value = chance.randint(max(item.first, start - reach), max(item.first, start + reach))
            result[name] = _stepped(claim, name, value)
        if result != claim.base and _fits(claim, result):
            return result
    return None


def _number(value: Value) -> int:
    return value[0] if isinstance(value, tuple) else value


def _stepped(claim: Claim, name: str, value: int) -> int:
    step = max(1, claim.symbols[name].multiple_of)
    return _clipped(claim, name, value // step * step)


def _clipped(claim: Claim, name: str, value: int) -> int:
    item = claim.symbols[name]
    step = max(1, item.multiple_of)
    value = max(value // step * step, item.first)
    return value if item.maximum is None else min(value, item.maximum // step * step)


def _items(claim: Claim, name: str) -> int:
    """How many items of a list have their own value of a symbol; 1 where they share it."""
    return max((leaf.item + 1 for leaf in claim.leaves if name in leaf.varies and leaf.item is not None), default=1)


# ---- breaking


def breaks(claim: Claim) -> Iterator[Break]:
    """Inputs that the claim excludes, each by one part of it."""
    yield from _fixed(claim)
    for name in claim.free:
        if name != COUNT or not claim.counts:
            yield from _bounds(claim, name)
    chance = random.Random(_SEED)
    for text in claim.constraints:
        for draw in _violating(claim, text, chance):
            yield Break("equation", text, claim.inputs(draw), draw, True)
    yield from _dtypes(claim)


def _fixed(claim: Claim) -> Iterator[Break]:
    """Every dim with one size only: one larger, doubled, and together with its equals at the same axis."""
    places: dict[tuple[str, int], list[Leaf]] = {}
    for leaf in claim.leaves:
        for axis, claimed in enumerate(leaf.claimed):
            if isinstance(claimed, int) or (claimed in claim.symbols and claim.symbols[claimed].fixed):
                places.setdefault((leaf.place, axis), []).append(leaf)
    for (place, axis), leaves in places.items():
        size = leaves[0].seen[axis]
        words = f"{place}: dim {axis} is {leaves[0].claimed[axis]}"
        for value in dict.fromkeys((size + 1, 2 * size)):
            yield _moved(claim, "fixed dim", words, [(leaf, axis) for leaf in leaves], value)
        equals = [
            (leaf, other)
            for (_, other), group in places.items()
            for leaf in group
            if leaf.seen[other] == size and (other == axis or len(leaf.seen) - other == len(leaves[0].seen) - axis)
        ]
        if len({leaf.place for leaf, _ in equals}) > 1:
            yield _moved(claim, "fixed dims together", words, equals, size + 1)


def _moved(claim: Claim, kind: str, words: str, places: list[tuple[Leaf, int]], value: int) -> Break:
    sizes = {leaf.path: list(leaf.seen) for leaf, _ in places}
    for leaf, axis in places:
        sizes[leaf.path][axis] = value
    return Break(kind, words, claim.with_sizes(sizes), claim.base, False)


def _bounds(claim: Claim, name: str) -> Iterator[Break]:
    item = claim.symbols[name]
    step = max(1, item.multiple_of)
    start = _number(claim.base[name])
    if item.first - step >= 1:
        yield from _at(claim, "minimum", f"{name} >= {item.minimum}", name, item.first - step)
    if item.maximum is not None:
        yield from _at(claim, "maximum", f"{name} <= {item.maximum}", name, item.maximum // step * step + step)
    if step > 1:
        for value in dict.fromkeys((start + 1, start + step // 2)):
            if value % step:
                yield from _at(claim, "multiple", f"{name} is a multiple of {step}", name, value)


def _at(claim: Claim, kind: str, words: str, name: str, value: int) -> Iterator[Break]:
    draw = {**claim.base, name: value}
    try:
        if elements(claim, draw) <= 4 * _room(claim):
            yield Break(kind, words, claim.inputs(draw), draw, True)
    except Unreadable:
        return


def _violating(claim: Claim, text: str, chance: random.Random) -> Iterator[Draw]:
    """Up to two draws that only this constraint excludes, the nearest to the example that chance finds."""
    others = [item for item in claim.constraints if item != text]
    found: list[tuple[int, Draw]] = []
    for attempt in range(TRIES):
        draw: dict[str, Value] = dict(claim.base)
        for name in claim.free:
            start, step = _number(claim.base[name]), max(1, claim.symbols[name].multiple_of)
            reach = step * (1 + attempt * 8 // TRIES) if attempt % 2 else max(start, step)
            draw[name] = _stepped(claim, name, chance.randint(max(1, start - reach), start + reach))
        if claim.holds(text, draw) or not all(claim.holds(item, draw) for item in others):
            continue
        if elements(claim, draw) <= _room(claim):
            moved = sum(abs(_number(draw[name]) - _number(claim.base[name])) for name in claim.free)
            if (moved, draw) not in found:
                found.append((moved, draw))
    found.sort(key=lambda pair: pair[0])
    for _, chosen in found[:2]:
        yield chosen


def _dtypes(claim: Claim) -> Iterator[Break]:
    """Whole numbers where floats are claimed, floats where whole numbers are, and a number beyond the claimed ones."""
    seen: set[str] = set()
    for leaf in claim.leaves:
        if leaf.place in seen:
            continue
        seen.add(leaf.place)
        paths = {other.path for other in claim.leaves if other.place == leaf.place}
        integer = "int" in leaf.dtype
        other = "float32" if integer or leaf.dtype == "bool" else "int64"
        changed = _changed(claim, paths, {"dtype": other, "low": 0, "high": 1})
        yield Break("dtype", f"{leaf.place}: {leaf.dtype}", changed, claim.base, True)
        if integer and leaf.high is not None:
            beyond = _changed(claim, paths, {"low": leaf.high + 1, "high": leaf.high + 1})
            yield Break("largest value", f"{leaf.place} <= {leaf.high}", beyond, claim.base, True)


def _changed(claim: Claim, paths: set[tuple[str | int, ...]], change: dict[str, Any]) -> dict[str, Any]:
    def walk(value: Any, path: tuple[str | int, ...]) -> Any:
        if "tensor" in value:
            return {**value, **change} if path in paths else value
        for kind in ("list", "tuple"):
            if kind in value:
                return {kind: [walk(item, (*path, number)) for number, item in enumerate(value[kind])]}
        if "dict" in value:
            return {"dict": {key: walk(item, (*path, key)) for key, item in value["dict"].items()}}
        return value

    return {name: walk(value, (name,)) for name, value in claim.example.items()}
