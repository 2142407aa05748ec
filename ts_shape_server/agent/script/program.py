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


def export(run: Run, module: Any, report: Mapping[str, Any]) -> tuple[Any, bool]:
    """The exported program with as free dims as torch allows, and whether it takes all sizes of the run.

    Raises torch's refusal of the fixed ones.
    """
    fixed: Any = None
    error: Exception | None = None
    for dims in filter(None, (_named(report, run), _automatic(report, run))):
        # A dim that is 1 in the call is fixed at 1: the second size may have none.
        for second in (False, True) if run.second is not None else (False,):
            try:
                made = _exported(run, module, dims, second)
            except Exception as found:
                error = found
                continue
            if _takes_all(made, run):
                return made, True
            fixed = fixed if fixed is not None or second else made
    if fixed is None:
        try:
            fixed = _exported(run, module, None, False)
        except Exception as found:
            raise error or found from None
    return fixed, run.second is None


def automatic(run: Run, report: Mapping[str, Any]) -> Any:
    """The dims of the example that the report knows to be free, as torch finds them; None where this torch does not."""
    dims = _automatic(report, run)
    arguments, keywords = run.arguments()
    return None if dims is None else _by_position(dims, run, arguments, keywords)


def _exported(run: Run, module: Any, dims: Mapping[str, Any] | None, second: bool) -> Any:
    arguments, keywords = run.arguments(second)
    shapes = None if dims is None else _by_position(dims, run, arguments, keywords)
    with torch.no_grad():
        return torch.export.export(module, arguments, keywords or None, dynamic_shapes=shapes)


def _takes_all(program: Any, run: Run) -> bool:
    kept = {name: value.clone() for name, value in program.state_dict.items() if isinstance(value, torch.Tensor)}
    called = program.module()
    try:
        for second in (False, True) if run.second is not None else (False,):
            run.call(called, second)
    except Exception:
        return False
    finally:
        # What a call leaves in a buffer is not exported.
        with torch.no_grad():
            for name, value in kept.items():
                program.state_dict[name].copy_(value)
    return True


def _by_position(dims: Mapping[str, Any], run: Run, arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """The dims by parameter name, for the parameters that the call gives."""
    names = [name for name in run.example if not name.startswith("*")]
    if len(names) != len(arguments) + len(keywords):
        return None
    return {name: dims.get(name) for name in names}


def _named(report: Mapping[str, Any], run: Run) -> Mapping[str, Any] | None:
    """Each symbol as a `Dim` with its range; expressions in symbols are left to torch."""
    symbols = report.get("symbols") or {}
    free: dict[str, Any] = {}
    for name, bounds in symbols.items():
        low, high = bounds.get("min", 1), bounds.get("max")
        if name.isidentifier() and (high is None or high > low):
            free[name] = (
                torch.export.Dim(name, min=low, max=high) if high is not None else torch.export.Dim(name, min=low)
            )
    return _shapes(report, run, lambda dim: free.get(dim, _linear(dim, free))) if free else None


def _linear(dim: str, free: Mapping[str, Any]) -> Any:
    """``4*H`` as torch takes it; None for what it does not."""
    match = re.fullmatch(r"(\d+)\*(\w+)", dim.replace(" ", ""))
    return int(match.group(1)) * free[match.group(2)] if match and match.group(2) in free else None


def _automatic(report: Mapping[str, Any], run: Run) -> Mapping[str, Any] | None:
    automatic = getattr(torch.export.Dim, "AUTO", None)
    return None if automatic is None else _shapes(report, run, lambda _: automatic)


def _shapes(report: Mapping[str, Any], run: Run, of: Any) -> dict[str, Any] | None:
    shapes = {item["name"]: _shape(item, run.example.get(item["name"]), of) for item in report.get("inputs", ())}
    return shapes or None


def _shape(item: Mapping[str, Any], example: Any, of: Any) -> Any:
    """What torch wants for one input: a mapping of free dims for a tensor, the same nested for containers."""
    kind = item.get("type", "")
    if kind == "Tensor":
        free = {index: of(dim) for index, dim in enumerate(item.get("dims") or ()) if isinstance(dim, str)}
        return {index: dim for index, dim in free.items() if dim is not None} or None
    parts = item.get("items", ())
    given = example if isinstance(example, Mapping) else {}
    if kind.startswith("List") and parts:
        elements = given.get("list", ())
        told = parts if len(parts) == len(elements) else [parts[0]] * len(elements)
        return [_shape(part, element, of) for part, element in zip(told, elements)]
    if kind.startswith("Tuple"):
        elements = given.get("tuple", [None] * len(parts))
        return tuple(_shape(part, element, of) for part, element in zip(parts, elements))
    if kind.startswith("Dict"):
        keys = item.get("keys", ())
        return {key: _shape(part, given.get("dict", {}).get(key), of) for key, part in zip(keys, parts)}
    return None
