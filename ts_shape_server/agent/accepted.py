"""Inputs of further sizes that a report accepts: the least that each size may be, and one step above the example.

Made from the claim alone, so each is to be run before anything is concluded from it. It runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ts_shape_server.contract import dims
from ts_shape_server.contract.report import Report, Symbol, ValueSpec


def further(report: Report) -> tuple[Mapping[str, Any], ...]:
    """Examples that differ from the report's own and its second one, at most two."""
    specs = {item.name: item.value for item in report.inputs}
    pairs = [pair for name, item in report.example.items() if name in specs for pair in _dims(specs[name], item)]
    numbers = {dim: size for dim, size in pairs if isinstance(dim, str) and dim in dict(report.symbols)}
    found: list[Mapping[str, Any]] = []
    for choose in (_least, _next):
        chosen = dict(numbers)
        for name, symbol in report.symbols:
            tried = {**chosen, name: choose(symbol, numbers.get(name, 0))}
            if name in numbers and _accepts(report, pairs, tried):
                chosen = tried
        example = {name: _sized(specs.get(name), item, chosen) for name, item in report.example.items()}
        if chosen != numbers and example not in (report.example, report.second, *found):
            found.append(example)
    return tuple(found)


def _least(symbol: Symbol, size: int) -> int:
    step = max(symbol.multiple_of, 1)
    return -(-max(symbol.minimum, 1) // step) * step


def _next(symbol: Symbol, size: int) -> int:
    further = size + max(symbol.multiple_of, 1)
    return further if symbol.maximum is None or further <= symbol.maximum else size


def _accepts(report: Report, pairs: list[tuple[Any, int]], numbers: Mapping[str, int]) -> bool:
    sizes = [dims.compute(dim, numbers) for dim, _ in pairs]
    known = all(size is not None and size > 0 for size in sizes)
    return known and all(dims.holds(constraint, numbers) for constraint in report.constraints)


def _dims(spec: ValueSpec, item: Any) -> Iterator[tuple[Any, int]]:
    """Each dim of a spec with the size that a value has there."""
    if isinstance(item, Mapping) and "tensor" in item and spec.dims is not None:
        yield from zip(spec.dims, item["tensor"])
    for inner, part in _parts(spec, item):
        yield from _dims(inner, part)


def _parts(spec: ValueSpec, item: Any) -> Iterator[tuple[ValueSpec, Any]]:
    if isinstance(item, Mapping) and len(spec.items) > 0 and not spec.varies:
        inner = item.get("list") or item.get("tuple") or []
        yield from zip(spec.items if len(spec.items) == len(inner) else spec.items[:1] * len(inner), inner)


def _sized(spec: ValueSpec | None, item: Any, numbers: Mapping[str, int]) -> Any:
    """A value of the contract with other sizes."""
    if spec is None or not isinstance(item, Mapping):
        return item
    if "tensor" in item and spec.dims is not None and len(spec.dims) == len(item["tensor"]):
        sizes = [dims.compute(dim, numbers) or size for dim, size in zip(spec.dims, item["tensor"])]
        return {**item, "tensor": sizes}
    for key in ("list", "tuple"):
        if key in item and list(_parts(spec, item)):
            return {**item, key: [_sized(inner, part, numbers) for inner, part in _parts(spec, item)]}
    return item
