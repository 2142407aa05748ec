"""einops patterns as chains of tensor methods: ``b (h d) n -> b h n d`` with a given `h` is
``.unflatten(1, (h, -1)).permute(0, 1, 3, 2)``.

The grammar is that of einops (https://einops.rocks/api/rearrange). Knows text only: no tensors, no source. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_TOKENS = re.compile(r"\s*(\(|\)|\.\.\.|…|->|\w+)")
_REST = "..."
_UNIT = "1"
_REDUCTIONS = {"mean": "mean", "sum": "sum", "max": "amax", "min": "amin"}

Side = tuple[tuple[str, ...], ...]
"""The axes of one side, each with its factors; an axis of length 1 has none."""


def parsed(pattern: str) -> tuple[Side, Side] | None:
    """Both sides of a pattern; None for what einops refuses, or reads otherwise than by names."""
    sides = pattern.split("->")
    if len(sides) != 2:
        return None
    left, right = _side(sides[0]), _side(sides[1])
    return None if left is None or right is None else (left, right)


def _side(text: str) -> Side | None:
    """One side of a pattern."""
    found: list[tuple[str, ...]] = []
    inner: list[str] | None = None
    position = 0
    while text[position:].strip():
        token = _TOKENS.match(text, position)
        if token is None:
            return None
        position, word = token.end(), token.group(1).replace("…", _REST)
        if word == "(" and inner is None:
            inner = []
        elif word == ")" and inner is not None:
            if inner == [_REST]:
                return None
            found.append(tuple(inner))
            inner = None
        elif word in ("(", ")", "->") or not (word in (_REST, _UNIT) or word[0].isalpha()):
            return None
        elif inner is not None:
            inner += [] if word == _UNIT else [word]
        else:
            found.append(() if word == _UNIT else (word,))
    names = [name for axis in found for name in axis]
    return None if inner is not None or len(set(names)) < len(names) else tuple(found)


@dataclass
class _Chain:
    """The methods so far, and the axes of what they give: names, `_UNIT` for a length of 1, `_REST` for any number."""

    axes: list[str]
    methods: list[str]

    def index(self, place: int) -> int:
        """The dimension of an axis: counted from the end where it comes after the ellipsis."""
        after = _REST in self.axes[:place]
        return place - len(self.axes) if after else place

    def split(self, place: int, names: Iterable[str], sizes: Mapping[str, str]) -> None:
        """One axis into factors."""
        lengths = ", ".join(sizes.get(name, "-1") for name in names)
        self.methods.append(f".unflatten({self.index(place)}, ({lengths}))")
        self.axes[place : place + 1] = names

    def merge(self, first: int, last: int) -> None:
        """Neighbours into one axis."""
        end = last - len(self.axes) if self.axes[last] == _REST else self.index(last)
        self.methods.append(f".flatten({self.index(first)}, {end})")
        self.axes[first : last + 1] = ["merged"]

    def squeeze(self, place: int) -> None:
        self.methods.append(f".squeeze({self.index(place)})")
        del self.axes[place]

    def unsqueeze(self, place: int, name: str) -> None:
        """A new axis of length 1 before a place."""
        self.axes.insert(place, name)
        self.methods.append(f".unsqueeze({self.index(place)})")


def methods(pattern: str, sizes: Mapping[str, str], reduction: str = "") -> str | None:
    """The methods that do what ``rearrange`` or ``repeat`` does for a pattern, or ``reduce`` for a `reduction`.

    `sizes` are the lengths of axes as source text. None for what has no such chain.
    """
    sides = parsed(pattern)
    if sides is None:
        return None
    left, right = sides
    names, wanted = _names(left), _names(right)
    if not _sound(left, right, sizes) or (reduction and reduction not in (*_REDUCTIONS, "prod")):
        return None
    new, gone = wanted - names, names - wanted
    if (gone and not reduction) or (new and (reduction or _REST in names)) or not new <= set(sizes) or _REST in gone:
        return None
    chain = _Chain([name for axis in left for name in (_folded(axis),)], [])
    for place in range(len(left) - 1, -1, -1):
        if len(left[place]) > 1:
            chain.split(place, left[place], sizes)
    if gone:
        _reduced(chain, gone, reduction, right)
    _ordered(chain, [name for axis in right for name in (axis or (_UNIT,))], new)
    if new:
        lengths = ", ".join(sizes[name] if name in new else "-1" for name in chain.axes)
        chain.methods.append(f".expand({lengths})")
    _merged(chain, right)
    return "".join(chain.methods)


def _names(side: Side) -> set[str]:
    return {name for axis in side for name in axis}


def _folded(axis: tuple[str, ...]) -> str:
    """What an axis is called before it is split."""
    return axis[0] if len(axis) == 1 else "split" if axis else _UNIT


def _sound(left: Side, right: Side, sizes: Mapping[str, str]) -> bool:
    """Whether each axis that is split has at most one length that is not given, and only such lengths are given."""
    if any(_REST in axis and len(axis) > 1 for axis in left):
        return False
    if any(len([name for name in axis if name not in sizes]) > 1 for axis in left if len(axis) > 1):
        return False
    split = {name for axis in left if len(axis) > 1 for name in axis}
    return set(sizes) <= split | (_names(right) - _names(left))


def _reduced(chain: _Chain, gone: set[str], reduction: str, right: Side) -> None:
    """Some axes reduced; as axes of length 1 where the other side has them in their places."""
    kept = [_UNIT if name in gone else name for name in chain.axes]
    keeps = kept == [name for axis in right for name in (axis or (_UNIT,))] and _UNIT not in chain.axes
    places = [place for place, name in enumerate(chain.axes) if name in gone]
    more = ", keepdim=True" if keeps else ""
    if reduction == "prod":
        for place in reversed(places):
            chain.methods.append(f".prod(dim={chain.index(place)}{more})")
    else:
        dims = ", ".join(str(chain.index(place)) for place in places)
        dims = dims if len(places) == 1 else f"({dims})"
        chain.methods.append(f".{_REDUCTIONS[reduction]}(dim={dims}{more})")
    chain.axes = kept if keeps else [name for name in chain.axes if name not in gone]


def _ordered(chain: _Chain, wanted: list[str], new: set[str]) -> None:
    """The axes in another order; those of length 1, and new ones, where they are wanted."""
    order = [name for name in wanted if name != _UNIT and name not in new]
    if [name for name in chain.axes if name != _UNIT] != order:
        for place in range(len(chain.axes) - 1, -1, -1):
            if chain.axes[place] == _UNIT:
                chain.squeeze(place)
        chain.methods.append(_permuted(chain.axes, order))
        chain.axes = order
    place = 0
    while place < max(len(wanted), len(chain.axes)):
        now = chain.axes[place] if place < len(chain.axes) else ""
        then = wanted[place] if place < len(wanted) else ""
        fills = then == _UNIT or then in new
        if now == then or (now == _UNIT and fills):
            chain.axes[place] = then
            place += 1
        elif fills:
            chain.unsqueeze(place, then)
            place += 1
        else:
            chain.squeeze(place)


def _permuted(axes: list[str], order: list[str]) -> str:
    """The method that brings axes into an order."""
    if _REST not in axes:
        return f".permute({', '.join(str(axes.index(name)) for name in order)})"
    before, after = _Chain(axes, []), _Chain(order, [])
    moves = [(before.index(axes.index(name)), after.index(order.index(name))) for name in order if name != _REST]
    changed = [move for move in moves if move[0] != move[1]]
    if len(changed) == 2 and changed[0] == changed[1][::-1]:
        return f".transpose({min(changed[0])}, {max(changed[0])})"
    sources, targets = (", ".join(map(str, column)) for column in zip(*moves, strict=True))
    return f".movedim(({sources},), ({targets},))" if len(moves) == 1 else f".movedim(({sources}), ({targets}))"


def _merged(chain: _Chain, right: Side) -> None:
    """The factors of each axis merged."""
    end = len(chain.axes)
    for axis in reversed(right):
        start = end - max(len(axis), 1)
        if len(axis) > 1:
            chain.merge(start, end - 1)
        end = start


def equation(pattern: str) -> str | None:
    """einops' names of axes as the letters of ``torch.einsum``; None for a pattern with groups."""
    left, arrow, right = pattern.partition("->")
    operands = [_side(item) for item in left.split(",")]
    result = _side(right)
    if not arrow or result is None or any(item is None for item in operands):
        return None
    sides: list[Side] = [item for item in (*operands, result) if item is not None]
    if any(len(axis) != 1 for side in sides for axis in side):
        return None
    letters: dict[str, str] = {_REST: _REST}
    names = list(dict.fromkeys(axis[0] for side in sides for axis in side if axis[0] != _REST))
    taken = {name for name in names if len(name) == 1}
    for name in names:
        free = [sign for sign in (*name, *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") if sign.isalpha()]
        letter = name if len(name) == 1 else next((sign for sign in free if sign not in taken), "")
        if not letter:
            return None
        taken.add(letter)
        letters[name] = letter
    texts = ["".join(letters[axis[0]] for axis in side) for side in sides]
    return f"{','.join(texts[:-1])}->{texts[-1]}"
