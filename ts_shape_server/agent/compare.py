"""Whether two results agree: nested structures of tensors and plain values, as `torch.testing.assert_close` compares.

It knows values alone: neither how they were made nor what a difference means.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Comparison:
    """`reason` is empty if they agree; `largest` is the largest absolute difference between numbers."""

    reason: str
    largest: float

    @property
    def agree(self) -> bool:
        return not self.reason


def compare(expected: Any, actual: Any, where: str = "the output") -> Comparison:
    """Walk both at once; the first disagreement is the reason."""
    reason = ""
    largest = 0.0
    for difference, problem in _differences(expected, actual, where):
        largest = max(largest, difference)
        reason = reason or problem
    return Comparison(reason, largest)


def same_kinds(expected: Any, actual: Any) -> bool:
    """Whether two results that agree have parts of the same Python types as well: a list is no tuple, 2 is not 2.0."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(same_kinds(value, actual.get(key)) for key, value in expected.items())
    if fields_of(expected):
        return all(same_kinds(getattr(expected, name), getattr(actual, name, None)) for name in fields_of(expected))
    if isinstance(expected, (list, tuple)):
        return isinstance(expected, list) == isinstance(actual, list) and all(map(same_kinds, expected, actual))
    kinds = (bool, int, float, str)
    return [isinstance(expected, kind) for kind in kinds] == [isinstance(actual, kind) for kind in kinds]


def fields_of(value: Any) -> tuple[str, ...]:
    """The fields of an instance of a dataclass; none for any other value. A `NamedTuple` with them agrees with it."""
    if isinstance(value, type) or not dataclasses.is_dataclass(value):
        return ()
    return tuple(item.name for item in dataclasses.fields(value))


def _differences(expected: Any, actual: Any, where: str) -> Iterator[tuple[float, str]]:
    if isinstance(expected, torch.Tensor) or isinstance(actual, torch.Tensor):
        yield _tensors(expected, actual, where)
    elif isinstance(expected, dict):
        if not isinstance(actual, dict) or set(expected) != set(actual):
            yield 0.0, f"{where} has other keys"
            return
        for key, value in expected.items():
            yield from _differences(value, actual[key], f"{where}[{key!r}]")
    elif fields_of(expected):
        if fields_of(actual) != fields_of(expected) and getattr(actual, "_fields", ()) != fields_of(expected):
            yield 0.0, f"{where} is {_kind(actual)} instead of {_kind(expected)}"
            return
        for name in fields_of(expected):
            yield from _differences(getattr(expected, name), getattr(actual, name), f"{where}.{name}")
    elif isinstance(expected, (list, tuple)):
        if not isinstance(actual, (list, tuple)) or len(expected) != len(actual):
            yield 0.0, f"{where} is {_kind(actual)} instead of {_kind(expected)}"
            return
        for index, (left, right) in enumerate(zip(expected, actual)):
            yield from _differences(left, right, f"{where}[{index}]")
    elif isinstance(expected, (int, float)) and isinstance(actual, (int, float)):
        close = math.isclose(expected, actual, rel_tol=1e-5, abs_tol=1e-7) or expected != expected != actual != actual
        yield 0.0 if close else abs(expected - actual), "" if close else f"{where} is {actual} instead of {expected}"
    elif hasattr(expected, "__dict__") and type(expected) is type(actual):
        yield from _differences(vars(expected), vars(actual), where)
    elif type(expected) is not type(actual) or (type(expected) in (str, type(None)) and expected != actual):
        yield 0.0, f"{where} is {_kind(actual)} instead of {_kind(expected)}"


def _tensors(expected: Any, actual: Any, where: str) -> tuple[float, str]:
    if not isinstance(expected, torch.Tensor) or not isinstance(actual, torch.Tensor):
        return 0.0, f"{where} is {_kind(actual)} instead of {_kind(expected)}"
    if expected.shape != actual.shape:
        return 0.0, f"{where} has the shape {tuple(actual.shape)} instead of {tuple(expected.shape)}"
    if expected.dtype != actual.dtype:
        return 0.0, f"{where} has the dtype {_name(actual.dtype)} instead of {_name(expected.dtype)}"
    if expected.is_meta or actual.is_meta:
        return 0.0, ""
    difference = _largest(expected, actual)
    if not _close(expected, actual):
        return difference, f"{where} differs by up to {difference:.3g}"
    return difference, ""


_TOLERANCES = {
    torch.float16: (1e-3, 1e-5),
    torch.bfloat16: (1.6e-2, 1e-5),
    torch.float32: (1.3e-6, 1e-5),
    torch.float64: (1e-7, 1e-7),
    torch.complex64: (1.3e-6, 1e-5),
    torch.complex128: (1e-7, 1e-7),
}


def _close(expected: torch.Tensor, actual: torch.Tensor) -> bool:
    """As `torch.testing.assert_close` with its defaults; that takes a second to import what it needs."""
    if expected.layout != torch.strided or actual.layout != torch.strided:
        expected, actual = expected.to_dense(), actual.to_dense()
    if expected.is_quantized:
        expected, actual = expected.dequantize(), actual.dequantize()
    relative, absolute = _TOLERANCES.get(expected.dtype, (0.0, 0.0))
    if expected.dtype not in _TOLERANCES:
        return torch.equal(expected, actual)
    return torch.allclose(actual, expected, rtol=relative, atol=absolute, equal_nan=True)


def _largest(expected: torch.Tensor, actual: torch.Tensor) -> float:
    if expected.numel() == 0 or expected.is_sparse or expected.is_quantized:
        return 0.0
    wide = torch.complex128 if expected.is_complex() else torch.float64
    difference = (expected.detach().to(wide) - actual.detach().to(wide)).abs()
    return float(torch.nan_to_num(difference, nan=0.0, posinf=0.0).max())


def _kind(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"a {type(value).__name__}"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).replace("torch.", "")
