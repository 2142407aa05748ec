"""Types as TorchScript spells them: of values seen in a run, and joined over runs.

A `Type` is a small tree. It knows torch's values and `typing`, and nothing of modules, sources or failures.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional, Union

import torch
from torch import nn

from ts_shape_server.contract.types import TypeTree

ITEMS_LOOKED_AT = 64


@dataclass(frozen=True)
class Type:
    """`name` with its arguments. `python` is the object that means it where a name alone does not."""

    name: str
    items: tuple[Type, ...] = ()
    python: Any = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        if self == UNKNOWN:
            return "Tensor"
        if self.name == "Tuple" and not self.items:
            return "Tuple[()]"
        return self.name + (f"[{', '.join(map(str, self.items))}]" if self.items else "")

    @property
    def representable(self) -> bool:
        """Whether TorchScript has values of this type."""
        return self.name != OPAQUE.name and all(item.representable for item in self.items)

    @property
    def known(self) -> bool:
        """Whether every part was seen: an empty list leaves its element open."""
        return self.name != UNKNOWN.name and all(item.known for item in self.items)


UNKNOWN = Type("?")
"""Of an element that no run has shown."""
OPAQUE = Type("!")
"""Of a value that TorchScript cannot hold."""
NONE = Type("None")
TENSOR = Type("Tensor")
ANY = Type("Any")

_SCALARS = {bool: "bool", int: "int", float: "float", complex: "complex", str: "str"}
_TENSOR_TYPE = re.compile(r"torch\.(\w+\.)*\w+Tensor")
"""What `x.type()` gives: to TorchScript that is a Tensor, whose type `y.type(…)` takes."""
_PYTHON: dict[str, Any] = {
    "None": type(None),
    "NoneType": type(None),
    "Tensor": torch.Tensor,
    "Any": Any,
    "Device": torch.device,
    "torch.device": torch.device,
    "torch.dtype": torch.dtype,
    "Scalar": float,
    "number": float,
    **{name: scalar for scalar, name in _SCALARS.items()},
}


def of(value: Any, depth: int = 0) -> Type:
    """The type of a value; OPAQUE where TorchScript has none."""
    if value is None:
        return NONE
    if isinstance(value, torch.Tensor):
        return TENSOR
    kind = type(value)
    if kind is str and _TENSOR_TYPE.fullmatch(value):
        return OPAQUE
    if kind in _SCALARS:
        return Type(_SCALARS[kind])
    if depth > 6 or isinstance(value, (nn.Module, type)):
        return OPAQUE
    if isinstance(value, torch.Size):
        return Type("List", (Type("int"),))
    if isinstance(value, torch.device):
        return Type("torch.device")
    if isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
        return Type("torch.dtype")
    if kind is list:
        return Type("List", (join_all(of(item, depth + 1) for item in value[:ITEMS_LOOKED_AT]),))
    if isinstance(value, tuple):
        return _of_tuple(value, depth)
    if isinstance(value, dict):
        return _of_dict(value, depth)
    if isinstance(value, enum.Enum):
        return Type(kind.__name__, python=kind)
    return OPAQUE


def _of_tuple(value: tuple[Any, ...], depth: int) -> Type:
    kind = type(value)
    if hasattr(kind, "_fields"):
        annotated = getattr(kind, "__annotations__", {})
        return Type(kind.__name__, python=kind) if all(name in annotated for name in kind._fields) else OPAQUE
    return Type("Tuple", tuple(of(item, depth + 1) for item in value[:ITEMS_LOOKED_AT]))


def _of_dict(value: dict[Any, Any], depth: int) -> Type:
    pairs = list(value.items())[:ITEMS_LOOKED_AT]
    keys = join_all(of(key, depth + 1) for key, _ in pairs)
    values = join_all(of(item, depth + 1) for _, item in pairs)
    if keys.name not in ("str", "int", "float", "bool", "Tensor", UNKNOWN.name):
        return OPAQUE
    return Type("Dict", (Type("str") if keys == UNKNOWN else keys, values))


def join(left: Type, right: Type) -> Type:
    """The narrowest type that takes both; OPAQUE where TorchScript has none."""
    if left == right or right == UNKNOWN:
        return left
    if left == UNKNOWN:
        return right
    if left == NONE or right == NONE:
        other = right if left == NONE else left
        return other if other.name == "Optional" or not other.representable else Type("Optional", (other,))
    if left.name == "Optional" or right.name == "Optional":
        inner = join(_inside(left), _inside(right))
        return Type("Optional", (inner,)) if inner.representable else OPAQUE
    if {left.name, right.name} == {"int", "float"}:
        return Type("float")
    if left.name == right.name == "Dict" and UNKNOWN in (left.items[1], right.items[1]):
        # Of an empty dict the keys are no more known than the values.
        return right if left.items[1] == UNKNOWN else left
    if left.name == right.name and len(left.items) == len(right.items) and left.items:
        joined = Type(left.name, tuple(map(join, left.items, right.items)))
        return joined if joined.representable else OPAQUE
    return OPAQUE


def join_all(found: Iterable[Type]) -> Type:
    """The join of all; UNKNOWN of none."""
    result = UNKNOWN
    for item in found:
        result = join(result, item)
    return result


def with_default(seen: Type, defaults: Mapping[str, Any], name: str) -> Type:
    """The type of a parameter that got values of `seen` (UNKNOWN: none) and may have a default.

    A parameter that only ever was None holds a Tensor, most likely.
    """
    joined = join(seen, of(defaults[name])) if name in defaults else seen
    if joined == NONE:
        return Type("Optional", (TENSOR,))
    return joined if joined.representable else seen


def _inside(item: Type) -> Type:
    return item.items[0] if item.name == "Optional" else item


def python_type(item: Type) -> Any:
    """The object that an annotation of this type evaluates to. ValueError for a type without one."""
    if item.python is not None:
        return item.python
    if item == UNKNOWN:
        return torch.Tensor
    arguments = tuple(map(python_type, item.items))
    if item.name == "List":
        return list[arguments[0]]  # type: ignore[valid-type]
    if item.name == "Optional":
        return Optional[arguments[0]]
    if item.name == "Dict":
        return dict[arguments[0], arguments[1]]  # type: ignore[valid-type]
    if item.name == "Tuple":
        return tuple.__class_getitem__(arguments) if arguments else tuple[()]
    if item.name == "Union":
        return Union[arguments]
    if item.name in _PYTHON:
        return _PYTHON[item.name]
    raise ValueError(f"no annotation means {item}")


def of_tree(tree: TypeTree) -> Type:
    """The type that a text of the contract's grammar means; OPAQUE for one that no value here can have."""
    items = tuple(map(of_tree, tree.items))
    if tree.name == "None":
        return NONE
    if tree.name in _ARGUMENTS:
        fits = _ARGUMENTS[tree.name] in (None, len(items)) and all(item.representable for item in items)
        return Type(tree.name, items) if fits else OPAQUE
    return Type(tree.name) if tree.name in _PYTHON and not items else OPAQUE


_ARGUMENTS = {"List": 1, "Optional": 1, "Dict": 2, "Tuple": None, "Union": None}
"""How many arguments a container has; None: any number."""
