"""What a report of `show --json` claims, as arithmetic: its sizes as symbols, its conditions, the outputs it expects.

Reads the JSON contract alone. It knows neither torch nor the engine that made the claim, so that a mistake of the
engine's is not made here again.
"""

from __future__ import annotations

import ast
import itertools
import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Any
Value = int | tuple[int, ...]
Draw = Mapping[str, Value]
"""A number for each symbol; a tuple where the symbol differs from item to item of a list."""

COUNT = "N"
"""The symbol of the contract for the number of a list's items."""
_BINARY: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
_COMPARED: Mapping[type, Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_CALLED: Mapping[str, Callable[..., Any]] = {"max": max, "min": min, "sum": sum, "ceil": math.ceil, "floor": math.floor}


class Unreadable(ValueError):
    """A claim that does not say what it means: an expression of another form, or a symbol that nothing binds."""


class Ambiguous(Unreadable):
    """An expression that takes one number for a symbol that differs from item to item."""


def evaluate(text: str, draw: Draw) -> Any:
    """The value of an expression of the contract. Raises Unreadable, and ZeroDivisionError."""
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        raise Unreadable(f"`{text}` is no expression") from None
    return _value(tree, draw, text)


def _value(node: ast.expr, draw: Draw, text: str) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.Name):
        if node.id not in draw:
            raise Unreadable(f"nothing binds `{node.id}`")
        value = draw[node.id]
        if isinstance(value, tuple):
            if len(set(value)) > 1:
                raise Ambiguous(f"`{node.id}` differs from item to item")
            return value[0]
        return value
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return _BINARY[type(node.op)](_value(node.left, draw, text), _value(node.right, draw, text))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not)):
        inner = _value(node.operand, draw, text)
        return -inner if isinstance(node.op, ast.USub) else not inner
    if isinstance(node, ast.Compare) and all(type(item) in _COMPARED for item in node.ops):
        values = [_value(item, draw, text) for item in (node.left, *node.comparators)]
        return all(
            _COMPARED[type(item)](*pair) for item, pair in zip(node.ops, itertools.pairwise(values), strict=True)
        )
    if isinstance(node, ast.BoolOp):
        parts = (_value(item, draw, text) for item in node.values)
        return all(parts) if isinstance(node.op, ast.And) else any(parts)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CALLED and node.args:
        return _called(node.func.id, node.args, draw, text)
    raise Unreadable(f"`{text}` is no expression of the contract")


def _called(name: str, arguments: Sequence[ast.expr], draw: Draw, text: str) -> Any:
    """``max(L)`` is over the items of a list, ``max(1, H)`` over its arguments."""
    if len(arguments) == 1 and isinstance(arguments[0], ast.Name) and name in ("max", "min", "sum"):
        value = draw.get(arguments[0].id)
        if isinstance(value, tuple):
            return _CALLED[name](value)
    values = [_value(item, draw, text) for item in arguments]
    return _CALLED[name](*values) if name in ("ceil", "floor") else _CALLED[name](values)


def dim(claimed: int | str, draw: Draw) -> int:
    """The size that a claimed dim is at a draw. Raises Unreadable where it is no whole number."""
    if isinstance(claimed, int):
        return claimed
    value = evaluate(claimed, draw)
    if value != int(value):
        raise Unreadable(f"`{claimed}` is {value}, no size")
    return int(value)


@dataclass(frozen=True)
class Range:
    """The values that a symbol may have, by the claim."""

    minimum: int
    maximum: int | None
    multiple_of: int

    def allows(self, value: int) -> bool:
        return (
            self.minimum <= value
            and (self.maximum is None or value <= self.maximum)
            and value % max(1, self.multiple_of) == 0
        )

    @property
    def first(self) -> int:
        """The smallest value that is allowed."""
        step = max(1, self.multiple_of)
        return -(-self.minimum // step) * step

    @property
    def fixed(self) -> bool:
        return self.maximum is not None and self.first + max(1, self.multiple_of) > self.maximum


@dataclass(frozen=True)
class Leaf:
    """One tensor of the example. `place` is where its spec stands (``x``, ``x[0]``, ``x['mask']``); `path` leads to it.

    `item` is its number among the items of a list, whose dims named in `varies` may differ from item to item.
    """

    place: str
    path: tuple[str | int, ...]
    claimed: tuple[int | str, ...]
    dtype: str
    seen: tuple[int, ...]
    seen_dtype: str
    low: int | None
    high: int | None
    varies: frozenset[str]
    item: int | None


@dataclass(frozen=True)
class Claim:
    """A report's inputs, symbols, constraints and outputs, with the values that the example gives to the symbols."""

    example: Mapping[str, Json]
    leaves: tuple[Leaf, ...]
    symbols: Mapping[str, Range]
    constraints: tuple[str, ...]
    outputs: tuple[Json, ...]
    base: Mapping[str, Value]

    @property
    def free(self) -> tuple[str, ...]:
        """The symbols that have more than one value, in the order of the report."""
        return tuple(name for name, item in self.symbols.items() if not item.fixed)

    @property
    def counts(self) -> bool:
        """Whether one of the symbols is the number of a list's items."""
        return COUNT in self.free and all(COUNT not in leaf.claimed for leaf in self.leaves)

    def broken(self, draw: Draw) -> str | None:
        """The first part of the claim that does not allow a draw."""
        for name, item in self.symbols.items():
            value = draw[name]
            for number in value if isinstance(value, tuple) else (value,):
                if not item.allows(number):
                    return f"{name} = {number} is outside its range"
        return next((text for text in self.constraints if not self.holds(text, draw)), None)

    def holds(self, constraint: str, draw: Draw) -> bool:
        """Whether a constraint holds; one that names a symbol which differs from item to item has to for each."""
        longest = max((len(value) for value in draw.values() if isinstance(value, tuple)), default=1)
        try:
            return all(evaluate(constraint, _of_item(draw, item)) for item in range(longest))
        except ZeroDivisionError:
            return False

    def sizes(self, leaf: Leaf, draw: Draw) -> tuple[int, ...]:
        own = _of_item(draw, leaf.item or 0)
        return tuple(dim(claimed, own) for claimed in leaf.claimed)

    def inputs(self, draw: Draw) -> dict[str, Json]:
        """The example with the sizes of a draw, and as many items in its lists as the draw says."""
        return self.with_sizes({leaf.path: self.sizes(leaf, draw) for leaf in self.leaves}, draw.get(COUNT))

    def with_sizes(
        self, sizes: Mapping[tuple[str | int, ...], Sequence[int]], count: Value | None = None
    ) -> dict[str, Json]:
        """The example with tensors at these paths changed to these sizes."""

        def walk(value: Json, path: tuple[str | int, ...]) -> Json:
            if "tensor" in value:
                return {**value, "tensor": list(sizes.get(path, value["tensor"]))}
            for kind in ("list", "tuple"):
                if kind in value:
                    items = [walk(item, (*path, number)) for number, item in enumerate(value[kind])]
                    if kind == "list" and isinstance(count, int) and self.counts and items:
                        items = [items[min(number, len(items) - 1)] for number in range(count)]
                    return {kind: items}
            if "dict" in value:
                return {"dict": {key: walk(item, (*path, key)) for key, item in value["dict"].items()}}
            return value

        changed: dict[str, Json] = {name: walk(value, (name,)) for name, value in self.example.items()}
        return changed


def _of_item(draw: Draw, item: int) -> dict[str, int]:
    return {name: value[item % len(value)] if isinstance(value, tuple) else value for name, value in draw.items()}


def read(report: Mapping[str, Json]) -> Claim:
    """The claim of an `ok` report. Raises Unreadable where the report does not fit together."""
    example = report.get("example") or {}
    leaves: list[Leaf] = []
    for spec in report.get("inputs", ()):
        if spec["name"] in example:
            leaves.extend(_leaves(spec, example[spec["name"]], spec["name"], (spec["name"],), frozenset(), None))
    symbols = {
        name: Range(item.get("min") or 1, item.get("max"), item.get("multiple_of") or 1)
        for name, item in (report.get("symbols") or {}).items()
    }
    base = _base(symbols, leaves, example)
    claim = Claim(
        example, tuple(leaves), symbols, tuple(report.get("constraints", ())), tuple(report.get("outputs", ())), base
    )
    for leaf in leaves:
        if claim.sizes(leaf, base) != leaf.seen:
            raise Unreadable(
                f"{'.'.join(map(str, leaf.path))} is {list(leaf.seen)} in the example, claimed as {list(leaf.claimed)}"
            )
        if leaf.dtype != leaf.seen_dtype:
            raise Unreadable(f"{leaf.place} is {leaf.seen_dtype} in the example, claimed as {leaf.dtype}")
    wrong = claim.broken(base)
    if wrong is not None:
        raise Unreadable(f"the example breaks the claim: {wrong}")
    return claim


def _leaves(
    spec: Json, value: Json, place: str, path: tuple[str | int, ...], varies: frozenset[str], item: int | None
) -> Iterator[Leaf]:
    if "tensor" in value:
        seen, dtype = tuple(value["tensor"]), value.get("dtype", "float32")
        claimed = tuple(spec.get("dims") or ())
        if len(claimed) != len(seen):
            raise Unreadable(f"{place} has {len(seen)} dims in the example, {len(claimed)} in the claim")
        bounds = spec.get("values") or {}
        low, high = bounds.get("min"), bounds.get("max")
        yield Leaf(place, path, claimed, spec.get("dtype") or "float32", seen, dtype, low, high, varies, item)
    for kind in ("list", "tuple"):
        if kind in value:
            yield from _items(spec, value[kind], kind, place, path)
    if "dict" in value:
        specs = dict(zip(spec.get("keys", ()), spec.get("items", ()), strict=False))
        for key, inner in value["dict"].items():
            if key not in specs:
                raise Unreadable(f"{place} has the key {key!r} in the example, not in the claim")
            yield from _leaves(specs[key], inner, f"{place}[{key!r}]", (*path, key), frozenset(), None)


def _items(spec: Json, values: Sequence[Json], kind: str, place: str, path: tuple[str | int, ...]) -> Iterator[Leaf]:
    specs = spec.get("items", ())
    shared = kind == "list" and len(specs) == 1
    if not shared and len(specs) != len(values):
        raise Unreadable(f"{place} has {len(values)} items in the example, {len(specs)} in the claim")
    varies = frozenset(spec.get("varies", ()))
    for number, inner in enumerate(values):
        own = specs[0] if shared else specs[number]
        where = f"{place}[]" if shared else f"{place}[{number}]"
        yield from _leaves(own, inner, where, (*path, number), varies, number)


def _base(symbols: Mapping[str, Range], leaves: Sequence[Leaf], example: Mapping[str, Json]) -> dict[str, Value]:
    """The symbols' values in the example: from the dims that are a symbol alone, else the one value there is."""
    found: dict[str, dict[int | None, int]] = {}
    for leaf in leaves:
        for claimed, seen in zip(leaf.claimed, leaf.seen, strict=True):
            if isinstance(claimed, str) and claimed.isidentifier():
                if claimed not in symbols:
                    raise Unreadable(f"{leaf.place} has the dim `{claimed}`, which is no symbol of the claim")
                found.setdefault(claimed, {}).setdefault(leaf.item if claimed in leaf.varies else None, seen)
    base: dict[str, Value] = {}
    for name, item in symbols.items():
        seen_in = found.get(name, {})
        if any(number is not None for number in seen_in):
            values = tuple(value for number, value in seen_in.items() if number is not None)
            base[name] = values if len(set(values)) > 1 else values[0]
        elif seen_in:
            base[name] = seen_in[None]
        elif name == COUNT and not item.fixed:
            base[name] = max((len(value["list"]) for value in example.values() if "list" in value), default=1)
        elif item.fixed:
            base[name] = item.first
        else:
            raise Unreadable(f"nothing binds `{name}`")
    return base


# ---- outputs


def mismatch(claim: Claim, seen: Json, draw: Draw, exact: bool = True) -> str | None:
    """What of an output is not as claimed at a draw; None if it is.

    `exact` False: a dim claimed as a fixed number may be another.
    """
    specs = claim.outputs
    if "tuple" in seen and len(seen["tuple"]) == len(specs):
        pairs = list(zip(specs, seen["tuple"], strict=True))
    elif len(specs) == 1:
        pairs = [(specs[0], seen)]
    else:
        return f"{len(specs)} outputs are claimed, {_form(seen)} came"
    constant = frozenset() if exact else frozenset(name for name, item in claim.symbols.items() if item.fixed)
    for number, (spec, value) in enumerate(pairs):
        wrong = _differs(spec, value, draw, exact, constant)
        if wrong is not None:
            return f"output {number}: {wrong}"
    return None


def _differs(spec: Json, seen: Json, draw: Draw, exact: bool, constant: frozenset[str]) -> str | None:
    kind = spec["type"]
    if "tensor" in seen:
        if kind != "Tensor":
            return f"{kind} is claimed, a tensor came"
        if spec.get("dtype") != seen["dtype"]:
            return f"{spec.get('dtype')} is claimed, {seen['dtype']} came"
        return _dims_differ(spec.get("dims") or (), seen["tensor"], draw, exact, constant)
    for form in ("list", "tuple"):
        if form in seen:
            return _sequence_differs(spec, seen[form], form, draw, exact, constant)
    if "dict" in seen:
        if not kind.startswith("Dict") and kind != "dict":
            return f"{kind} is claimed, a dict came"
        if list(spec.get("keys", ())) != list(seen["dict"])[: len(spec.get("keys", ()))]:
            return f"the keys {spec.get('keys')} are claimed, {list(seen['dict'])} came"
        inner = zip(spec.get("items", ()), seen["dict"].values(), strict=False)
        return next((wrong for pair in inner if (wrong := _differs(*pair, draw, exact, constant)) is not None), None)
    return None if kind == seen["type"] else f"{kind} is claimed, {seen['type']} came"


def _sequence_differs(
    spec: Json, seen: Sequence[Json], form: str, draw: Draw, exact: bool, constant: frozenset[str]
) -> str | None:
    kind = spec["type"]
    if kind == form and not spec.get("items"):
        return None
    if not kind.startswith(form.capitalize()):
        return f"{kind} is claimed, a {form} came"
    items = spec.get("items", ())
    if len(items) != len(seen):
        return f"{len(items)} items are claimed, {len(seen)} came"
    for number, (item, value) in enumerate(zip(items, seen, strict=True)):
        wrong = _differs(item, value, _within(draw, number, len(items)), exact, constant)
        if wrong is not None:
            return f"item {number}: {wrong}"
    return None


def _within(draw: Draw, item: int, count: int) -> Draw:
    """In an output list of as many items as the input list has, a symbol that varies is that item's own."""
    return {
        name: value[item] if isinstance(value, tuple) and len(value) == count else value for name, value in draw.items()
    }


def _dims_differ(
    claimed: Sequence[int | str], seen: Sequence[int], draw: Draw, exact: bool, constant: frozenset[str]
) -> str | None:
    wrong = f"{list(claimed)} is claimed, {list(seen)} came"
    if len(claimed) != len(seen):
        return wrong
    for wanted, size in zip(claimed, seen, strict=True):
        if wanted == "?" or (not exact and (isinstance(wanted, int) or wanted in constant)):
            continue
        try:
            if dim(wanted, draw) != size:
                return wrong
        except Ambiguous:
            continue
        except (Unreadable, ZeroDivisionError) as error:
            return f"{wrong} ({error})"
    return None


def unspelled(claim: Claim) -> bool:
    """Whether a dim of the outputs is told as ``?``: nothing is claimed of it."""

    def within(spec: Json) -> bool:
        return "?" in (spec.get("dims") or ()) or any(within(item) for item in spec.get("items", ()))

    return any(within(spec) for spec in claim.outputs)


def _form(seen: Json) -> str:
    for form in ("list", "tuple", "dict"):
        if form in seen:
            return f"a {form} of {len(seen[form])}"
    return "a tensor" if "tensor" in seen else str(seen.get("type"))
