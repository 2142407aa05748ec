"""Whether a documented input is inside what a report claims: rank, dtype, every size, and the constraints."""

from __future__ import annotations

from collections.abc import Sequence

from ts_shape_server.contract.report import Report

BATCHES = (1, 4)
"""An input is documented for one image as for several."""


def disagreement(report: Report, documented: Sequence[int]) -> str:
    """What keeps the documented sizes (without the batch) out of the claim; empty if nothing does."""
    needed = [item for item in report.inputs if not item.optional]
    if len(needed) != 1:
        return f"{len(needed)} inputs"
    value = needed[0].value
    if value.dims is None or value.type != "Tensor":
        return f"type {value.type}"
    if value.dtype != "float32":
        return f"dtype {value.dtype}"
    if len(value.dims) != len(documented) + 1:
        return f"rank {len(value.dims)}"
    for batch in BATCHES:
        wrong = _outside(report, value.dims, (batch, *documented))
        if wrong:
            return wrong
    return ""


def _outside(report: Report, dims: Sequence[int | str], sizes: Sequence[int]) -> str:
    values: dict[str, int] = {}
    symbols = dict(report.symbols)
    for axis, (dim, size) in enumerate(zip(dims, sizes, strict=True)):
        if isinstance(dim, int):
            if dim != size:
                return f"dim {axis} fixed at {dim}, documented {size}"
        elif values.setdefault(dim, size) != size:
            return f"dim {axis} tied to another by {dim}"
        elif dim in symbols:
            symbol = symbols[dim]
            if size < symbol.minimum or (symbol.maximum is not None and size > symbol.maximum):
                return f"dim {axis} from {symbol.minimum} to {symbol.maximum}, documented {size}"
            if size % symbol.multiple_of:
                return f"dim {axis} multiple of {symbol.multiple_of}, documented {size}"
    for constraint in report.constraints:
        if not holds(constraint, values):
            return f"constraint {constraint}"
    return ""


def holds(constraint: str, values: dict[str, int]) -> bool:
    """Whether a constraint of a report is true of these sizes."""
    return bool(eval(constraint, {"__builtins__": {}, "min": min, "max": max, "abs": abs}, dict(values)))
