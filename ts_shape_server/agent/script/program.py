"""`torch.export` of a module, with the dims that the report knows to be free left free.

The dims are tried as the report names them, then as torch finds them, then fixed at the example's. It knows nothing of
TorchScript.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from ts_shape_server.agent.runs import Run


def export(run: Run, module: Any, report: Mapping[str, Any]) -> Any:
    """The exported program with as free dims as torch allows. Raises torch's refusal of the fixed ones."""
    arguments, keywords = run.arguments()
    error: Exception | None = None
    for dims in (_named(report), _automatic(report), None):
        if dims is None and error is None:
            continue
        try:
            shapes = None if dims is None else _by_position(dims, run, arguments, keywords)
            with torch.no_grad():
                return torch.export.export(module, arguments, keywords or None, dynamic_shapes=shapes)
        except Exception as found:
            error = found
    assert error is not None
    raise error


def _by_position(dims: Mapping[str, Any], run: Run, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """The dims by parameter name, for the parameters that the call gives."""
    names = [name for name in run.example if not name.startswith("*")]
    if len(names) != len(arguments) + len(keywords):
        return None
    return {name: dims.get(name) for name in names}


def _named(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Each symbol as a `Dim` with its range; expressions in symbols are left to torch."""
    symbols = report.get("symbols") or {}
    free: dict[str, Any] = {}
    for name, bounds in symbols.items():
        low, high = bounds.get("min", 1), bounds.get("max")
        if name.isidentifier() and (high is None or high > low):
            free[name] = (
                torch.export.Dim(name, min=low, max=high) if high is not None else torch.export.Dim(name, min=low)
            )
    return _shapes(report, lambda dim: free.get(dim, _linear(dim, free))) if free else None


def _linear(dim: str, free: Mapping[str, Any]) -> Any:
    """``4*H`` as torch takes it; None for what it does not."""
    match = re.fullmatch(r"(\d+)\*(\w+)", dim.replace(" ", ""))
    return int(match.group(1)) * free[match.group(2)] if match and match.group(2) in free else None


def _automatic(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    automatic = getattr(torch.export.Dim, "AUTO", None)
    return None if automatic is None else _shapes(report, lambda _: automatic)


def _shapes(report: Mapping[str, Any], of: Any) -> dict[str, Any] | None:
    shapes = {item["name"]: _shape(item, of) for item in report.get("inputs", ())}
    return shapes or None


def _shape(item: Mapping[str, Any], of: Any) -> Any:
    """What torch wants for one input: a mapping of free dims for a tensor, the same nested for containers."""
    kind = item.get("type", "")
    if kind == "Tensor":
        free = {index: of(dim) for index, dim in enumerate(item.get("dims") or ()) if isinstance(dim, str)}
        return {index: dim for index, dim in free.items() if dim is not None} or None
    items = [_shape(part, of) for part in item.get("items", ())]
    if kind.startswith("Tuple"):
        return tuple(items)
    if kind.startswith("Dict"):
        return dict(zip(item.get("keys", ()), items))
    return None
