"""Spells sizes for the report: numbers, names of free dims, and expressions in those names.

A size that torch states in a roundabout way is told by what it is: if it equals a free dim, or one number, wherever
the claim holds, that is its spelling. Knows the claim and its names, and nothing of how they were found.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Union

import sympy

from ts_shape_server.agent.infer.claims.claim import Claim, Sizes
from ts_shape_server.agent.infer.running import expressions

Dim = Union[int, str]
UNKNOWN = "?"
"""The spelling of a size of which nothing is claimed."""
DRAWS = 12
ROW = 64
"""Sizes in a row: what is a line over a whole period of an expression is one everywhere."""
PLAIN_TERMS = 2
"""A sum of so many terms is short enough to be told as it is."""
MOST_ALIKE = 3
"""Of more runs, one that differs says too little of how a size is made."""
STRIDES = (1, 2, 4, 8, 16, 32)


@dataclass
class Spelling:
    """`names` are by place in the sizes; `samples` are sizes that ran and that the claim allows."""

    claim: Claim
    names: Mapping[int, str]
    samples: Sequence[Sizes]
    _cache: dict[Any, Dim] = field(default_factory=dict)
    _drawn: list[Sizes] = field(default_factory=list)
    _in_row: list[Sizes] = field(default_factory=list)

    def dim(self, size: Any) -> Dim:
        """The contract's spelling of a size: an integer or an expression over ``s0`` …"""
        if isinstance(size, int):
            return size
        if size not in self._cache:
            self._cache[size] = self._spell(size)
        return self._cache[size]

    def _spell(self, size: Any) -> Dim:
        reduced = self.reduced(size)
        if getattr(reduced, "is_number", False):
            return int(reduced)
        if getattr(reduced, "is_Symbol", False):
            return self.symbol_names().get(str(reduced), str(reduced))
        known = self._known(size)
        if known is None:
            known = self._plain(reduced)
        if known is not None:
            return known
        try:
            return _without_repeats(expressions.text(reduced, self.symbol_names()))
        except expressions.Untranslatable:
            return UNKNOWN

    def constraints(self) -> list[str]:
        """The claim's conditions in its names, those that say nothing left out."""
        result: list[str] = []
        for condition in self.claim.conditions:
            reduced = self.reduced(condition.expression)
            if reduced in (sympy.true, sympy.false):
                continue
            try:
                spelled = expressions.text(expressions.balanced(reduced), self.symbol_names())
            except expressions.Untranslatable:
                continue
            if spelled not in result:
                result.append(spelled)
        return result

    def told(self, size: Any, seen: Sequence[int]) -> Dim:
        """The spelling of a size that was `seen` so in the runs at `samples` (nothing seen: as the run states it).

        ``?`` where it moves in a way that nothing here spells: a number would be false.
        """
        stated = self.dim(size)
        if len(seen) != len(self.samples) or (isinstance(stated, int) and len(set(seen)) <= 1):
            return stated
        if not isinstance(size, int) and (stated == UNKNOWN or self._values(size, self.samples) == list(seen)):
            return stated
        fitted = self.fitted(seen, self.samples)
        return UNKNOWN if fitted is None else fitted

    def reduced(self, expression: Any) -> Any:
        """`expression` with fixed places as numbers and tied places as one symbol."""
        replaced: dict[Any, Any] = {}
        first = {member: item.members[0] for item in self.claim.free for member in item.members}
        for symbol in getattr(expression, "free_symbols", ()):
            slot = int(str(symbol)[1:])
            if slot not in first:
                replaced[symbol] = sympy.Integer(self.claim.base[slot])
            elif first[slot] != slot:
                replaced[symbol] = sympy.Symbol(f"s{first[slot]}", integer=True, positive=True)
        reduced = expression.xreplace(replaced) if replaced else expression
        return settled(reduced, {symbol: self._least(symbol) for symbol in getattr(reduced, "free_symbols", ())})

    def _least(self, symbol: Any) -> int:
        """The least that the claim allows for a symbol."""
        slot = int(str(symbol)[1:])
        return next((item.minimum for item in self.claim.free if slot in item.members), 1)

    def symbol_names(self) -> dict[str, str]:
        return {f"s{slot}": name for slot, name in self.names.items()}

    def _known(self, size: Any) -> Dim | None:
        """The free dim or the number that `size` is for all samples."""
        draws = self._draws()
        if len(draws) < 2:
            return None
        seen = self._values(size, draws)
        return None if seen is None else self.fitted(seen, draws, whole=True)

    def _plain(self, size: Any) -> Dim | None:
        """A size as a multiple of one free dim and a shift, where torch states it as a sum of parts that the claim's
        steps make whole: with H % 16 == 12, ``16*((H//4 - 7)//4) + … + H - 184`` is ``H - 184``.
        """
        period = _period(size) if len(size.args) > PLAIN_TERMS else None
        if period is None or period > ROW:
            return None
        draws = [*self._draws(), *self._row()]
        seen = self._values(size, draws)
        if seen is None:
            return None
        for item in self.claim.free:
            own = [draw[item.members[0]] for draw in draws]
            for stride in STRIDES:
                name = self.names[item.members[0]]
                found = _line([value // stride for value in own], seen, name if stride == 1 else f"{name}//{stride}")
                if found is not None:
                    return found
        return None

    def _row(self) -> list[Sizes]:
        """Sizes one step from the next, each free dim alone: what repeats with a period shows there."""
        found = self._in_row
        for item in self.claim.free if not found else ():
            for number in range(ROW):
                value = item.aligned(item.minimum + number * item.multiple_of)
                sizes = list(self.claim.base)
                for member in item.members:
                    sizes[member] = value
                if (item.maximum is None or value <= item.maximum) and self.claim.allows(tuple(sizes)):
                    found.append(tuple(sizes))
        return found

    def _values(self, size: Any, draws: Sequence[Sizes]) -> list[int] | None:
        """What an expression is at these sizes; None where it cannot be evaluated."""
        slots = sorted(int(name[1:]) for name in expressions.symbol_names(size))
        try:
            evaluate: Callable[..., Any] = expressions.compiled(size, [f"s{slot}" for slot in slots])
            return [int(evaluate(*(draw[slot] for slot in slots))) for draw in draws]
        except (expressions.Untranslatable, SyntaxError, TypeError, ZeroDivisionError, OverflowError):
            return None

    def _draws(self) -> Sequence[Sizes]:
        """Sizes that the claim allows, beside those that ran: an expression is evaluated, so that chance is cheap."""
        if not self._drawn:
            chance = random.Random(0)
            self._drawn.extend(self.samples)
            for _ in range(4 * DRAWS):
                sizes = list(self.claim.base)
                for item in self.claim.free:
                    high = item.maximum or 4 * item.minimum + 40 * item.multiple_of
                    value = item.aligned(chance.randint(item.minimum, high))
                    for member in item.members:
                        sizes[member] = value
                if len(self._drawn) < DRAWS and self.claim.allows(tuple(sizes)):
                    self._drawn.append(tuple(sizes))
        return self._drawn

    def fitted(self, seen: Sequence[int], samples: Sequence[Sizes], whole: bool = False) -> Dim | None:
        """A spelling that gives these values at the samples: a number, a free dim, a multiple or a part of one.

        `whole`: numbers and free dims alone.
        """
        if len(set(seen)) == 1 and len(samples) > 2:
            return seen[0]
        moved = [
            (item, own)
            for item in self.claim.free
            if len(set(own := [sample[item.members[0]] for sample in samples])) > 1
        ]
        same = next((item for item, own in moved if own == list(seen)), None)
        if same is not None:
            return self.names[same.members[0]]
        if whole or len(samples) <= 2 or _is_one_jump(seen):
            return None
        fits = [_fit(own, seen, self.names[item.members[0]], item.multiple_of) for item, own in moved]
        found = [fit for fit in fits if fit is not None]
        return found[0] if len(found) == 1 else None


def _period(expression: Any) -> int | None:
    """After how much of each symbol a size has grown by a constant, whatever it was; None where nothing says so."""
    kind = type(expression).__name__
    if expression.is_Integer or expression.is_Symbol:
        return 1
    if kind == "Add" or (kind == "Mul" and sum(not part.is_Integer for part in expression.args) == 1):
        periods = [_period(part) for part in expression.args]
        return None if None in periods else math.lcm(*(period for period in periods if period))
    if kind in ("FloorDiv", "CleanDiv") and len(expression.free_symbols) == 1 and expression.args[1].is_Integer:
        inner = _period(expression.args[0])
        return None if inner is None else inner * abs(int(expression.args[1]))
    return None


def _line(own: Sequence[int], seen: Sequence[int], name: str) -> str | None:
    """What was seen as a multiple of what is called so, and a shift; None where it is something else."""
    low, high = own.index(min(own)), own.index(max(own))
    times, rest = divmod(seen[high] - seen[low], (own[high] - own[low]) or 1)
    shift = seen[low] - times * own[low]
    if times <= 0 or rest or any(times * value + shift != found for value, found in zip(own, seen)):
        return None
    product = name if times == 1 else f"{times}*{name}" if name.isidentifier() else f"{times}*({name})"
    return product if not shift else f"{product} {'+' if shift > 0 else '-'} {abs(shift)}"


def settled(expression: Any, least: Mapping[Any, int]) -> Any:
    """`expression` with each ``max(1, e)`` as ``e`` where `e` grows with its symbols and is large enough already at the
    least of them.
    """
    if not getattr(expression, "args", ()):
        return expression
    parts = [settled(part, least) for part in expression.args]
    if type(expression).__name__ == "Max":
        bounds = [part for part in parts if part.is_Integer]
        others = [part for part in parts if not part.is_Integer]
        if bounds and len(others) == 1 and _grows(others[0], least) and others[0].xreplace(dict(least)) >= max(bounds):
            return others[0]
    return expression if list(expression.args) == parts else expression.func(*parts)


def _grows(expression: Any, least: Mapping[Any, int]) -> bool:
    """Whether an expression never falls while its symbols, which are positive, grow."""
    if expression.is_Integer or expression in least:
        return True
    kind = type(expression).__name__
    if kind == "Add":
        return all(_grows(part, least) for part in expression.args)
    if kind == "Mul":
        return all(_grows(part, least) and part.xreplace(dict(least)) >= 0 for part in expression.args)
    if kind in ("FloorDiv", "CleanDiv"):
        return bool(expression.args[1].is_Integer and expression.args[1] > 0 and _grows(expression.args[0], least))
    return False


def _without_repeats(text: str) -> str:
    """``max(L, L)``, of items that differ, as ``max(L)``."""
    return re.sub(r"\b(max|min)\((\w+)(?:, \2)+\)", r"\1(\2)", text)


def _is_one_jump(seen: Sequence[int]) -> bool:
    """Whether a size was the same in all runs but one: many divisions would give that."""
    return len(seen) > MOST_ALIKE and len(set(seen)) == 2 and 1 in (seen.count(max(seen)), seen.count(min(seen)))


def _fit(own: Sequence[int], seen: Sequence[int], name: str, step: int) -> str | None:
    """The one multiple, part or shift of a free dim that was seen; None where several of them were.

    Halves, quarters and so on go before other parts: they are what strides make.
    """
    fits: list[tuple[int, str]] = []
    times = seen[0] // own[0]
    if times > 1 and all(value * times == result for value, result in zip(own, seen)):
        return f"{times}*{name}"
    for factor in range(2, 65):
        if all(value // factor == result for value, result in zip(own, seen)):
            fits.append((factor, f"{name}//{factor}"))
        if step % factor and all((value - 1) // factor + 1 == result for value, result in zip(own, seen)):
            fits.append((factor, f"({name} - 1)//{factor} + 1"))
    shift = seen[0] - own[0]
    if all(value + shift == result for value, result in zip(own, seen)):
        return f"{name} {'+' if shift > 0 else '-'} {abs(shift)}"
    likely = [text for factor, text in fits if factor & (factor - 1) == 0] or [text for _, text in fits]
    return likely[0] if len(likely) == 1 else None
