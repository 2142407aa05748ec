"""The shapes of a saved module's inputs, nested as the inputs are, and how a pragma spells them.

Those that a trace ran on are in the archive, in a pickle of tensors: their sizes are read from it and nothing of it is
run. Knows nothing of graphs and of programs.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_TRACED_INPUTS = "traced_inputs.pkl"
_MOST_BYTES = 1 << 20
_DTYPES = {
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "BoolStorage": "bool",
    "ByteStorage": "uint8",
    "CharStorage": "int8",
    "ShortStorage": "int16",
    "IntStorage": "int32",
    "LongStorage": "int64",
}
"""By the name that a pickle has for the memory of a tensor."""


@dataclass(frozen=True)
class SavedShape:
    """The dims of one tensor: numbers, or whatever stands for one that is open. `dtype` is torch's name of it."""

    dims: tuple[Any, ...]
    dtype: str = "float32"


def spelled(value: object, dim: Callable[[int, Any], object]) -> str:
    """The shapes in the words of a pragma: ``(2, _, 16)``, ``((2, _), (_, 3) int64)``.

    `dim` says how a dim is spelled, from its axis and its size. ValueError for what no pragma says.
    """
    if isinstance(value, SavedShape):
        dims = [str(dim(axis, size)) for axis, size in enumerate(value.dims)]
        return _bracketed("()", dims) + ("" if value.dtype == "float32" else f" {value.dtype}")
    if isinstance(value, Mapping) and value and all(isinstance(key, str) for key in value):
        return "{" + ", ".join(f"{key!r}: {spelled(item, dim)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)) and value:
        return _bracketed("[]" if isinstance(value, list) else "()", [spelled(item, dim) for item in value])
    raise ValueError(f"a {type(value).__name__} has no shape")


def _bracketed(brackets: str, parts: list[str]) -> str:
    comma = "," if len(parts) == 1 and brackets == "()" else ""
    return f"{brackets[0]}{', '.join(parts)}{comma}{brackets[1]}"


def traced(path: str) -> list[Any]:
    """The shapes of the inputs of a traced module, in order; empty where the archive does not tell them."""
    with zipfile.ZipFile(path) as archive:
        entry = next((item for item in archive.infolist() if item.filename.endswith(f"/{_TRACED_INPUTS}")), None)
        if entry is None or entry.file_size > _MOST_BYTES:
            return []
        data = archive.read(entry)
    try:
        by_method = _Sizes(io.BytesIO(data)).load()
    except Exception:  # whatever a damaged pickle raises
        return []
    found = by_method.get("forward") if isinstance(by_method, dict) else None
    return list(found) if isinstance(found, (list, tuple)) else []


class _Sizes(pickle.Unpickler):
    """Makes shapes where the pickle has tensors, and refuses whatever else it asks for."""

    def persistent_load(self, identifier: Any) -> Any:
        return identifier

    def find_class(self, module: str, name: str) -> Any:
        if name in _DTYPES:
            return name
        known = {"restore_type_tag": _first, "_rebuild_tensor_v2": _shape, "_rebuild_tensor": _shape}
        if name in known:
            return known[name]
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        raise pickle.UnpicklingError(f"{module}.{name}")


def _first(value: Any, *_: Any) -> Any:
    return value


def _shape(storage: Any, _: Any, sizes: Any, *__: Any) -> SavedShape:
    return SavedShape(tuple(int(size) for size in sizes), _DTYPES[storage[1]])
