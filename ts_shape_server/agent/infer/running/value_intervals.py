"""Which values the integer tensors of a run hold, so far as sizes say it: positions, counts, constants, flags.

A tensor without memory takes every index. What `torch.arange(h * w)` holds is known all the same, and so is whether a
table of 4096 rows has it: a run that looks beyond the table fails here as it would on real memory, and where sizes are
symbols torch hears the comparison and states it as a guard. An input whose values are looked up directly, or after a
shift, gets the table's bounds as its own.

An interval's ends are values that the tensor does hold, for some values of the inputs: what is only a bound is
forgotten. Knows torch's public functions by name; knows nothing of the search.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ts_shape_server.agent import trees
from ts_shape_server.agent.infer.running import symbolic


@dataclass(frozen=True)
class Interval:
    """The least and the largest value, integers or torch's symbolic ones.

    `everywhere`: all elements can have the largest value at once, as constants and flags do. `last`: the last element
    can have it while all that is `everywhere` or `last` beside it has its own. `step`: the values rise by so much along
    the last axis and do not change along others.
    """

    low: Any
    high: Any
    everywhere: bool = False
    last: bool = False
    step: int | None = None


@dataclass(frozen=True)
class Origin:
    """Values are those of an input tensor times `scale` plus `offset`."""

    index: int
    scale: int = 1
    offset: int = 0


@dataclass(frozen=True)
class Limit:
    """The values that an input tensor may hold because of one consumer."""

    index: int
    low: int
    high: int


_KEEPS = frozenset(
    [
        *("view", "reshape", "view_as", "reshape_as", "expand", "expand_as", "broadcast_to", "repeat", "tile"),
        *("repeat_interleave", "unsqueeze", "squeeze", "flatten", "ravel", "unflatten", "permute", "transpose", "t"),
        *("contiguous", "clone", "detach", "movedim", "swapaxes", "flip", "roll", "to", "type", "type_as", "long"),
        *("int", "cuda", "cpu", "requires_grad_", "alias", "broadcast_tensors", "meshgrid", "chunk", "split"),
        *("unbind", "rearrange", "pin_memory", "short", "__iter__"),
    ]
)
"""The same values in another order or form, each of them still there."""
_KEEPS_LAST = frozenset(
    [*("to", "type", "type_as", "long", "int", "cuda", "cpu", "contiguous", "clone", "detach"), "expand", "alias"]
)
"""Of these the ones that leave the last axis what it is. `unsqueeze` does where it adds another one."""
_PARTS = frozenset(["chunk", "split", "unbind", "__iter__"])
_CONSTANT = {"zeros": 0, "ones": 1, "zeros_like": 0, "ones_like": 1, "new_zeros": 0, "new_ones": 1}
_FULL = {"full": 1, "full_like": 1, "new_full": 2}
_COMPARES = frozenset(
    [
        *("eq", "ne", "lt", "le", "gt", "ge", "isin", "isnan", "logical_not", "logical_and", "logical_or"),
        *("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__invert__", "bitwise_not"),
    ]
)
_ANSWERS = _COMPARES | {"argmax", "argmin", "argsort", "sort", "topk", "nonzero", "embedding", "one_hot"}
"""Calls whose result is no value of theirs."""
_ADDS = frozenset(["add", "__add__", "__radd__", "__iadd__", "add_"])
_SUBTRACTS = frozenset(["sub", "subtract", "__sub__", "__isub__", "sub_"])
_SUBTRACTED = frozenset(["rsub", "__rsub__"])
_MULTIPLIES = frozenset(["mul", "multiply", "__mul__", "__rmul__", "__imul__", "mul_"])
_MAKERS = frozenset([*_CONSTANT, *_FULL, "arange", "tensor", "as_tensor", "scalar_tensor"])
_CHOOSING = frozenset(["__getitem__", "index_select", "gather", "take_along_dim"])
_FILLING = frozenset(["scatter", "scatter_", "scatter_add", "scatter_add_", "index_add", "index_add_", "index_copy_"])


class Intervals:
    """For one run. `check` is called before a torch call, `follow` after it."""

    def __init__(self, inputs: Sequence[torch.Tensor]) -> None:
        self._known: dict[int, Interval] = {}
        self._origins: dict[int, tuple[Origin, ...]] = {
            id(tensor): (Origin(index),) for index, tensor in enumerate(inputs) if _is_countable(tensor)
        }
        self._from_inputs: set[int] = {id(tensor) for tensor in inputs}
        self._valued: set[int] = set(self._origins)
        """Tensors in which values of an integer input may still be, in whatever form."""
        self._alive: list[Any] = []

    def key(self, tensor: torch.Tensor) -> Any:
        """What of the values of a tensor tells it apart from another of the same sizes."""
        found = self._known.get(id(tensor))
        if found is None:
            return self._origins.get(id(tensor))
        return _plain(found.low), _plain(found.high), found.everywhere, found.last, found.step

    def is_followed(self, tensor: Any) -> bool:
        """Whether what a tensor holds is known, or how it follows from an input."""
        return id(tensor) in self._known or id(tensor) in self._origins

    def may_hold_an_input(self, tensor: Any) -> bool:
        """Whether a tensor may hold an input's values in a form that is not known."""
        return id(tensor) in self._valued and not self.is_followed(tensor)

    def check(self, name: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> list[Limit]:
        """What the call asks of the inputs' values. Raises IndexError where it looks beyond a table's end."""
        found: list[Limit] = []
        if not (self._known or self._origins):
            return found
        for tensor, size, negative in _lookups(name, arguments, keywords):
            interval = self._known.get(id(tensor))
            if interval is not None and symbolic.is_fake(tensor):
                if interval.high + 1 > size:
                    raise IndexError(
                        f"index {_plain(interval.high)} is out of bounds for dimension 0 with size {_plain(size)}"
                    )
                if interval.low + (size if negative else 0) < 0:
                    raise IndexError(
                        f"index {_plain(interval.low)} is out of bounds for dimension 0 with size {_plain(size)}"
                    )
            for origin in self._origins.get(id(tensor), ()):
                if isinstance(size, int) and origin.scale > 0:
                    low = -(origin.offset // origin.scale)
                    found.append(Limit(origin.index, low, (size - 1 - origin.offset) // origin.scale))
        return found

    def follow(self, name: str, arguments: Sequence[Any], keywords: Mapping[str, Any], result: Any) -> None:
        """Note what the result of a call holds."""
        if name not in _MAKERS and not (self._known or self._origins or name in _COMPARES):
            return
        try:
            self._follow(name, arguments, keywords, result)
        except (AttributeError, IndexError, TypeError, ValueError):
            self._forget(result)

    def _follow(self, name: str, arguments: Sequence[Any], keywords: Mapping[str, Any], result: Any) -> None:
        first = arguments[0] if arguments else None
        parts = list(result) if isinstance(result, (list, tuple)) else [result]
        if not all(isinstance(part, torch.Tensor) for part in parts):
            return
        for number, part in enumerate(parts):
            source = first
            if name in ("meshgrid", "broadcast_tensors"):
                sources = arguments if isinstance(first, torch.Tensor) else first
                source = sources[number] if sources is not None and number < len(sources) else None
            interval = self._interval(name, source, arguments, keywords, part)
            origins = self._origin(name, source, arguments, part)
            derived = any(id(item) in self._from_inputs for item in trees.leaves(arguments))
            valued = name not in _ANSWERS | _MAKERS and any(
                id(item) in self._valued for item in trees.leaves(arguments)
            )
            self._forget(part)
            if interval is not None and _is_countable(part):
                self._known[id(part)] = interval
            if origins:
                self._origins[id(part)] = origins
            if derived:
                self._from_inputs.add(id(part))
            if valued:
                self._valued.add(id(part))
            if interval is not None or origins or derived:
                self._alive.append(part)
        in_place = name.endswith("_") and not name.endswith("__") and all(part is not first for part in parts)
        if in_place or name == "__setitem__":
            self._forget(first)

    def _forget(self, tensor: Any) -> None:
        for part in tensor if isinstance(tensor, (list, tuple)) else (tensor,):
            self._known.pop(id(part), None)
            self._origins.pop(id(part), None)
            self._valued.discard(id(part))

    def _interval(
        self, name: str, source: Any, arguments: Sequence[Any], keywords: Mapping[str, Any], result: torch.Tensor
    ) -> Interval | None:
        own = self._known.get(id(source))
        if name == "arange":
            return _arange(arguments, keywords)
        if name in ("tensor", "as_tensor", "scalar_tensor"):
            return _constants(source)
        if name in _CONSTANT:
            return Interval(_CONSTANT[name], _CONSTANT[name], True, True)
        if name in _FULL:
            value = arguments[_FULL[name]] if len(arguments) > _FULL[name] else keywords.get("fill_value")
            return Interval(value, value, True, True) if _is_number(value) else None
        if name in _COMPARES:
            driven = any(id(item) in self._from_inputs for item in arguments)
            return Interval(0, 1, True, True) if driven else None
        if name == "__getitem__":
            return None if own is None else _sliced(own, source, arguments[1], result)
        if name in ("cat", "stack", "hstack", "concat", "concatenate"):
            return self._joined(source)
        if name in ("cumsum", "sum") and own is not None:
            return _summed(own, source, arguments[1:], keywords)
        if name in _ADDS | _SUBTRACTS | _SUBTRACTED | _MULTIPLIES:
            return self._arithmetic(name, arguments)
        if name == "clamp" and own is not None:
            return _clamped(own, arguments[1:], keywords)
        if name == "unsqueeze" and own is not None:
            axis = arguments[1] if len(arguments) > 1 else keywords["dim"]
            return own if axis not in (-1, source.dim()) else replace(own, step=None)
        if name in _KEEPS and own is not None and (name not in _PARTS or own.low is own.high):
            return own if name in _KEEPS_LAST else replace(own, step=None)
        return None

    def _joined(self, tensors: Any) -> Interval | None:
        found = [self._known[id(item)] for item in tensors if id(item) in self._known]
        if not found or any(not isinstance(end, int) for item in found for end in (item.low, item.high)):
            return replace(found[0], everywhere=False, last=False, step=None) if len(found) == 1 else None
        return Interval(min(item.low for item in found), max(item.high for item in found))

    def _arithmetic(self, name: str, arguments: Sequence[Any]) -> Interval | None:
        left, right = (self._known.get(id(item)) if not _is_number(item) else Interval(item, item, True, True)
                       for item in arguments[:2])  # fmt: skip
        if left is None or right is None:
            return None
        if name in _SUBTRACTED:
            left, right, name = right, left, "sub"
        apart = _apart(arguments[0], arguments[1])
        constant = left.low is left.high or right.low is right.high or _same(left) or _same(right)
        together = (left.everywhere or left.last) and (right.everywhere or right.last)
        step = (left.step if right.everywhere else right.step if left.everywhere else None) if constant else None
        everywhere, last = left.everywhere and right.everywhere, left.last and right.last
        if name in _ADDS and (apart or constant or together):
            return Interval(left.low + right.low, left.high + right.high, everywhere, last, step)
        if name in _SUBTRACTS and (apart or constant):
            step = step if right.everywhere else None
            return Interval(left.low - right.high, left.high - right.low, False, last and _same(right), step)
        positive = all(isinstance(item.low, int) and item.low >= 0 for item in (left, right))
        if name in _MULTIPLIES and positive and (apart or constant or together):
            return Interval(left.low * right.low, left.high * right.high, everywhere, last, None)
        return None

    def _origin(self, name: str, source: Any, arguments: Sequence[Any], result: torch.Tensor) -> tuple[Origin, ...]:
        if not _is_countable(result):
            return ()
        own = self._origins.get(id(source), ())
        if name in _KEEPS or name in ("__getitem__", "masked_fill", "masked_fill_", "narrow", "select"):
            return own
        if name in ("cat", "stack", "hstack", "concat", "concatenate"):
            return tuple(origin for item in source for origin in self._origins.get(id(item), ()))
        if name == "where" and len(arguments) == 3:
            return tuple(origin for item in arguments[1:] for origin in self._origins.get(id(item), ()))
        if name in _ADDS | _SUBTRACTS | _MULTIPLIES and len(arguments) >= 2:
            other = arguments[1]
            if not own:
                own, other = self._origins.get(id(other), ()), source
            if not own or (name in _SUBTRACTS and other is source):
                return ()
            if isinstance(other, int) and not isinstance(other, bool):
                if name in _MULTIPLIES:
                    return tuple(Origin(o.index, o.scale * other, o.offset * other) for o in own) if other > 0 else ()
                shift = other if name in _ADDS else -other
                return tuple(replace(o, offset=o.offset + shift) for o in own)
            known = self._known.get(id(other))
            if name in _MULTIPLIES and known is not None and known.everywhere and known.high == 1:
                return own
        return ()


def _lookups(name: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Iterator[tuple[Any, Any, bool]]:
    """Tensors whose values the call uses as places, how many there are, and whether they count from the end too."""
    if name == "embedding":
        yield arguments[0], arguments[1].shape[0], False
    elif name == "one_hot":
        classes = arguments[1] if len(arguments) > 1 else keywords.get("num_classes", -1)
        if isinstance(classes, int) and classes > 0:
            yield arguments[0], classes, False
    elif name in ("cross_entropy", "nll_loss"):
        scores = arguments[0]
        yield arguments[1] if len(arguments) > 1 else keywords.get("target"), scores.shape[int(scores.dim() > 1)], False
    elif name in _CHOOSING - {"__getitem__"} or name in _FILLING:
        dim = arguments[1] if len(arguments) > 1 else keywords.get("dim")
        index = arguments[2] if len(arguments) > 2 else keywords.get("index", keywords.get("indices"))
        if isinstance(dim, int) and isinstance(index, torch.Tensor):
            yield index, arguments[0].shape[dim], False
    elif name == "__getitem__" and isinstance(arguments[0], torch.Tensor):
        index = arguments[1] if isinstance(arguments[1], tuple) else (arguments[1],)
        taken = sum(item is not None and item is not Ellipsis for item in index)
        axis = 0
        for item in index:
            if item is None:
                continue
            if item is Ellipsis:
                axis += arguments[0].dim() - taken
                continue
            if isinstance(item, torch.Tensor):
                if item.dtype is torch.bool:
                    return
                yield item, arguments[0].shape[axis], True
            axis += 1


def _arange(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Interval | None:
    numbers = [item for item in arguments if item is not None]
    start: Any = 0
    end: Any = keywords.get("end")
    step = keywords.get("step", 1)
    if len(numbers) == 1:
        end = numbers[0]
    elif len(numbers) >= 2:
        start, end = numbers[:2]
        step = numbers[2] if len(numbers) > 2 else step
    start = keywords.get("start", start)
    if not all(_is_number(item) for item in (start, end)) or not isinstance(step, int) or step == 0:
        return None
    if step == 1:
        return Interval(start, end - 1, False, True, 1)
    if step == -1:
        return Interval(end + 1, start)
    if step > 1 and all(isinstance(item, int) for item in (start, end)) and end > start:
        return Interval(start, start + (end - 1 - start) // step * step, False, True, step)
    return None


def _constants(value: Any) -> Interval | None:
    numbers = list(trees.leaves(value)) if isinstance(value, (list, tuple)) else [value]
    if not numbers or not all(_is_number(item) for item in numbers):
        return None
    if len(numbers) == 1:
        return Interval(numbers[0], numbers[0], True, True)
    if all(isinstance(item, int) for item in numbers):
        return Interval(min(numbers), max(numbers))
    return None


def _sliced(own: Interval, source: Any, index: Any, result: torch.Tensor) -> Interval | None:
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(part, torch.Tensor) for part in parts):
        return own if _same(own) else None
    if all(part is None or part is Ellipsis or part == slice(None) for part in parts):
        return own if parts and parts[-1] is not None else replace(own, step=None)
    if _same(own):
        return own
    last = parts[-1]
    inner = [part for part in parts if part is not None]
    whole = any(part is Ellipsis for part in inner) or len(inner) == source.dim()
    if own.step is None or not whole or not isinstance(last, slice) or last.step not in (None, 1):
        return None
    start = last.start if last.start is not None else 0
    if isinstance(start, int) and start < 0:
        return None
    low = own.low + start * own.step
    return Interval(low, low + (result.shape[-1] - 1) * own.step, False, True, own.step)


def _summed(own: Interval, source: Any, rest: Sequence[Any], keywords: Mapping[str, Any]) -> Interval | None:
    """Of flags and constants: how many there are along the axis."""
    axis = rest[0] if rest else keywords.get("dim", keywords.get("axis"))
    if not own.everywhere or not isinstance(axis, int) or not isinstance(own.low, int) or own.low < 0:
        return None
    return Interval(own.low, own.high * source.shape[axis], False, True)


def _clamped(own: Interval, rest: Sequence[Any], keywords: Mapping[str, Any]) -> Interval | None:
    low = rest[0] if rest else keywords.get("min")
    high = rest[1] if len(rest) > 1 else keywords.get("max")
    ends = [own.low, own.high, *(item for item in (low, high) if item is not None)]
    if not all(isinstance(item, int) for item in ends):
        # Which of two symbols is larger is not asked: the answer would hold for this run alone.
        return None
    low, high = own.low if low is None else low, own.high if high is None else high
    return replace(own, low=min(max(own.low, low), high), high=max(min(own.high, high), low), step=None)


def _apart(left: Any, right: Any) -> bool:
    """Whether two tensors have no axis in common along which both have items: any of one meets any of the other."""
    if not isinstance(left, torch.Tensor) or not isinstance(right, torch.Tensor):
        return True
    sizes = [[isinstance(size, int) and size == 1 for size in reversed(item.shape)] for item in (left, right)]
    return all(one or other for one, other in zip(*sizes))


def _same(interval: Interval) -> bool:
    low, high = interval.low, interval.high
    return low is high or (isinstance(low, int) and isinstance(high, int) and low == high)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, torch.SymInt)) and not isinstance(value, bool)


def _is_countable(tensor: Any) -> bool:
    """Whether a tensor holds integers or flags."""
    return isinstance(tensor, torch.Tensor) and not (tensor.is_floating_point() or tensor.is_complex())


def _plain(value: Any) -> Any:
    return value.node.expr if isinstance(value, torch.SymInt) else value
