"""What the annotations of `forward` say: types, and the shapes of jaxtyping, torchtyping and `Annotated`.

Each annotation is evaluated by itself, so that one name that is missing costs one parameter; a package that is not
installed still gives its shapes, since its stand-in keeps what it was indexed with. Knows nothing of use in the body.
"""

from __future__ import annotations

import builtins
import inspect
import re
import typing
from collections.abc import Mapping
from typing import Any

import torch

from ts_shape_server.agent.infer.facts.source import function_tree, taken
from ts_shape_server.agent.infer.guesses import shape_text
from ts_shape_server.agent.infer.guesses.shape_text import WrittenShape
from ts_shape_server.agent.standins import Inert

_DTYPES = {
    "Float": "float32",
    "Int": "int64",
    "Integer": "int64",
    "UInt": "int64",
    "Bool": "bool",
    "Complex": "complex64",
    "BFloat16": "bfloat16",
}
_ANY = frozenset({"Shaped", "Num", "Inexact", "Real", "Key"})
_TYPE_COMMENT = re.compile(r"#\s*type:\s*\((.*)\)\s*->")


def of(forward: Any) -> dict[str, Any]:
    """The annotations of a function's parameters, evaluated; those that cannot be are left out."""
    function = inspect.unwrap(forward)
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:
        own = _ModuleNames(getattr(function, "__globals__", {}))
        written = dict(getattr(function, "__annotations__", {}))
        found = {name: evaluated(item, own) for name, item in written.items()}
        return {name: item for name, item in found.items() if item is not None}


def commented(forward: Any) -> dict[str, Any]:
    """Types from a comment ``# type: (Tensor, List[Tensor]) -> Tensor`` in the first lines of a function."""
    tree = function_tree(forward)
    if tree is None or not tree.body:
        return {}
    try:
        lines, start = inspect.getsourcelines(inspect.unwrap(forward))
    except (OSError, TypeError):
        return {}
    head = "".join(lines[: max(1, tree.body[0].lineno - start + 1)])
    match = _TYPE_COMMENT.search(head)
    if match is None:
        return {}
    own = _ModuleNames(getattr(inspect.unwrap(forward), "__globals__", {}))
    types = evaluated(f"({match.group(1)},)" if match.group(1).strip() else "()", own)
    keyword_only = {item.arg for item in tree.args.kwonlyargs}
    names = [item.arg for item in taken(tree) if item.arg not in keyword_only]
    if not isinstance(types, tuple) or len(types) != len(names):
        return {}
    return dict(zip(names, types))


class _ModuleNames(dict[str, Any]):
    """A module's names; one that it does not have stands for something that is not installed."""

    def __init__(self, own: Mapping[str, Any]) -> None:
        super().__init__(own)

    def __missing__(self, name: str) -> Any:
        if hasattr(builtins, name):
            return getattr(builtins, name)
        return getattr(typing, name, None) or Inert(name)


def evaluated(annotation: Any, own: Mapping[str, Any]) -> Any:
    """What an annotation that may be text stands for; None where that is nothing."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, {}, own if isinstance(own, _ModuleNames) else _ModuleNames(own))
    except Exception:
        return None


def shaped(annotation: Any) -> tuple[WrittenShape, str | None] | None:
    """The shape and dtype that an annotation writes out; None for one without a shape."""
    if isinstance(annotation, Inert):
        return _of_stand_in(annotation)
    text = getattr(annotation, "dim_str", None)
    if isinstance(text, str):
        shape = shape_text.of_words(text)
        kinds = getattr(annotation, "dtypes", ())
        names = [str(kind) for kind in kinds] if isinstance(kinds, (list, tuple)) else []
        return None if shape is None else (shape, _jax_dtype(getattr(annotation, "__name__", ""), names))
    if typing.get_origin(annotation) is typing.Annotated:
        inner, *extras = typing.get_args(annotation)
        if inspect.isclass(inner) and issubclass(inner, torch.Tensor):
            return next((found for found in map(_of_extra, extras) if found is not None), None)
    return None


def _of_stand_in(annotation: Inert) -> tuple[WrittenShape, str | None] | None:
    """``Float[Tensor, "b c"]`` and ``TensorType["b", "c"]`` of a package that is not installed."""
    item = annotation.__dict__.get("_item")
    name = str(annotation.__dict__.get("_stands_for", "")).rstrip("[]").rsplit(".", 1)[-1]
    if name in ("TensorType", "TT"):
        return _of_items(item if isinstance(item, tuple) else (item,))
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], str):
        shape = shape_text.of_words(item[1])
        return None if shape is None else (shape, _jax_dtype(name, []))
    return None


def _jax_dtype(name: str, kinds: list[str]) -> str | None:
    name = name.partition("[")[0]
    if name in _ANY:
        return None
    if name in _DTYPES:
        return _DTYPES[name]
    lowered = name.lower()
    if isinstance(getattr(torch, lowered, None), torch.dtype):
        return lowered
    found = [kind for kind in kinds if isinstance(getattr(torch, kind, None), torch.dtype)]
    return next((kind for kind in ("float32", "int64", "bool") if kind in found), found[0] if found else None)


def _of_items(items: tuple[Any, ...]) -> tuple[WrittenShape, str | None] | None:
    """The items of torchtyping's subscript: names, numbers, slices of both, ``...``, dtypes."""
    words: list[str] = []
    dtype: str | None = None
    for item in items:
        if isinstance(item, slice):
            item = item.stop if isinstance(item.stop, int) and item.stop > 0 else item.start
        if isinstance(item, torch.dtype):
            dtype = str(item).replace("torch.", "")
        elif item in (int, float, bool):
            dtype = {int: "int64", float: "float32", bool: "bool"}[item]
        elif item is ...:
            words.append("...")
        elif isinstance(item, (int, str)):
            words.append("_" if item == -1 else str(item))
    shape = shape_text.of_parts([word for text in words for word in text.split()], strong=True)
    return None if shape is None else (shape, dtype)


def _of_extra(extra: Any) -> tuple[WrittenShape, str | None] | None:
    """What stands beside the type in `Annotated`: text, a tuple of dims, or what torchtyping puts there."""
    if isinstance(extra, str):
        shape = shape_text.first(extra) or _of_short_text(extra)
        return None if shape is None else (shape, None)
    if isinstance(extra, (tuple, list)) and extra:
        return _of_items(tuple(extra))
    details = extra.get("details", ()) if isinstance(extra, dict) else ()
    for detail in details:
        dims = getattr(detail, "dims", None)
        if dims is not None:
            sizes = [(getattr(dim, "name", None), getattr(dim, "size", None)) for dim in dims]
            return _of_items(tuple(size if size is ... or (size or 0) > 0 else name or -1 for name, size in sizes))
    return None


def _of_short_text(text: str) -> WrittenShape | None:
    """Dims apart by blanks or commas, unless the words are prose."""
    parts = text.replace(",", " ").split()
    return shape_text.of_parts(parts, strong=False) if parts else None
