"""Spells a value that other code made as an expression that holds in the module's own namespace.

A literal is its own spelling; a class or function is spelled by its name there or by where it can be imported from; a
config object by its fields. The result has been evaluated once: it gives a value of the same type. Decides nothing.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
import types
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent import ecosystem, runs, standins

SIMPLE_NAMESPACE = "__import__('types').SimpleNamespace("
"""The beginning of an expression for an object with fields, as config objects are."""
MAXIMUM_LENGTH = 6000
"""Characters of a spelling; what needs more is left out."""
DEPTH = 5
LITERAL = 64
"""Numbers of a tensor that are spelled one by one."""
_NUMBERS = (bool, int, float, complex, str, bytes)


def spelled(text: str, namespace: Mapping[str, Any], own: Mapping[str, Any]) -> str | None:
    """A spelling in `own` of what `text` is in `namespace`; None if there is none. Raises what `text` raises."""
    value = eval(text, dict(namespace))
    found = literal(value)
    if found is None and _same(text, value, own):
        found = text
    if found is None:
        elsewhere = _respelled(text, namespace, own)
        found = elsewhere if elsewhere is not None and _same(elsewhere, value, own, made=True) else None
    if found is None:
        found = of_value(value, own)
    return found if found is not None and len(found) <= MAXIMUM_LENGTH else None


def literal(value: Any) -> str | None:
    """The spelling of a plain value: numbers, texts, None, and built-in containers of them."""
    return repr(value) if _plain(value) else None


def _plain(value: Any, depth: int = 0) -> bool:
    if value is None or type(value) in _NUMBERS:
        # `nan` and `inf` are names in a spelling, and no such names are there.
        return not (isinstance(value, float) and (value != value or value in (float("inf"), -float("inf"))))
    if depth > DEPTH:
        return False
    if type(value) in (list, tuple):
        return all(_plain(item, depth + 1) for item in value)
    return type(value) is dict and all(
        _plain(key, depth + 1) and _plain(item, depth + 1) for key, item in value.items()
    )


def _same(text: str, value: Any, own: Mapping[str, Any], made: bool = False) -> bool:
    """Whether `text` gives in `own` what it gave elsewhere: the same thing for a name, one of its type for a call."""
    try:
        again = runs.evaluate(text, own)
    except Exception:
        return False
    if again is value:
        return True
    if type(again) is not type(value) or isinstance(value, (type, types.ModuleType)):
        return False
    tree = ast.parse(text, mode="eval").body
    return made or not isinstance(tree, (ast.Name, ast.Attribute, ast.Subscript)) or _plain(value)


def _respelled(text: str, namespace: Mapping[str, Any], own: Mapping[str, Any]) -> str | None:
    """The expression with its free names spelled in `own`: ``Encoder(width)`` of another file, say."""
    tree = ast.parse(text, mode="eval")
    if any(isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp)) for node in ast.walk(tree)):
        return None
    replacer = Names(namespace, own)
    try:
        changed = replacer.visit(tree)
    except NoSpelling:
        return None
    return ast.unparse(changed)


class NoSpelling(Exception):
    """A name stands for what cannot be spelled."""


class Names(ast.NodeTransformer):
    def __init__(self, namespace: Mapping[str, Any], own: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._own = own

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self._namespace:
            return node
        value = self._namespace[node.id]
        text = literal(value) or by_name(value, self._own) or of_value(value, self._own, DEPTH - 2)
        if text is None:
            raise NoSpelling
        return ast.parse(text, mode="eval").body


def of_value(value: Any, own: Mapping[str, Any], depth: int = 0) -> str | None:
    """A spelling of a value from the value alone; None for what would have to be made anew from more than fields."""
    plain = literal(value)
    if plain is not None or depth > DEPTH:
        return plain
    if isinstance(value, (torch.dtype, torch.device)):
        return repr(value) if isinstance(value, torch.dtype) else f"torch.{value!r}"
    if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
        return by_name(value, own)
    if isinstance(value, types.ModuleType):
        return _imported(value.__name__) if value.__name__ in sys.modules else None
    if isinstance(value, torch.Tensor):
        return _tensor(value)
    if isinstance(value, nn.Module):
        return None
    if type(value) in (list, tuple):
        return _sequence(value, own, depth)
    if isinstance(value, dict) and type(value).__module__ in ("builtins", "collections"):
        return _mapping(value, own, depth)
    return ecosystem.spelled(value, own) or _record(value, own, depth)


def _tensor(value: torch.Tensor) -> str | None:
    """A tensor of that form: of real numbers its values are others, which no size depends on."""
    shape, size = list(value.shape), value.numel()
    if type(value) is not torch.Tensor or value.layout is not torch.strided or not size:
        return None
    if value.is_floating_point():
        dtype = "" if value.dtype == torch.get_default_dtype() else f", dtype={value.dtype}"
        return f"torch.linspace(0, 1, {size}{dtype}).reshape({shape})"
    return f"torch.tensor({value.tolist()}, dtype={value.dtype})" if size <= LITERAL else None


def _sequence(value: Any, own: Mapping[str, Any], depth: int) -> str | None:
    parts = [of_value(item, own, depth + 1) for item in value]
    if any(part is None for part in parts):
        return None
    inner = ", ".join(str(part) for part in parts)
    return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' if len(parts) == 1 else ''})"


def _mapping(value: Any, own: Mapping[str, Any], depth: int) -> str | None:
    pairs = [(literal(key), of_value(item, own, depth + 1)) for key, item in value.items()]
    if any(key is None or item is None for key, item in pairs):
        return None
    return "{" + ", ".join(f"{key}: {item}" for key, item in pairs) + "}"


def _record(value: Any, own: Mapping[str, Any], depth: int) -> str | None:
    """A config object: a dataclass by its own constructor, anything else by the attributes that can be spelled."""
    cls = type(value)
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value) if field.init}
        parts = {name: of_value(item, own, depth + 1) for name, item in fields.items()}
        name = by_name(cls, own)
        if name is not None and all(part is not None for part in parts.values()):
            return f"{name}({', '.join(f'{key}={part}' for key, part in parts.items())})"
    settings = standins.fields(value)
    if settings:
        parts = {name: of_value(item, own, depth + 1) for name, item in settings.items() if name.isidentifier()}
        return SIMPLE_NAMESPACE + ", ".join(f"{name}={part}" for name, part in parts.items() if part is not None) + ")"
    if callable(value) or inspect.isgenerator(value) or cls.__module__ in ("builtins", "torch", "numpy"):
        return None
    found = {name: of_value(item, own, depth + 1) for name, item in _attributes(value).items()}
    known = {name: part for name, part in found.items() if part is not None}
    if not known:
        return None
    remade = _remade(value, known, own)
    if remade is not None:
        return remade
    return SIMPLE_NAMESPACE + ", ".join(f"{name}={part}" for name, part in known.items()) + ")"


def _remade(value: Any, known: Mapping[str, str], own: Mapping[str, Any]) -> str | None:
    """The object's own class called with its attributes, where that gives one that has the same."""
    name = by_name(type(value), own)
    held = getattr(value, "__dict__", {})
    if name is None or set(known) != set(held):
        return None
    text = f"{name}({', '.join(f'{key}={part}' for key, part in known.items())})"
    try:
        again = runs.evaluate(text, own)
    except Exception:
        return None
    return text if type(again) is type(value) and set(vars(again)) == set(held) else None


def _attributes(value: Any) -> dict[str, Any]:
    """What a config object holds: attributes of its classes and its own, without methods."""
    result: dict[str, Any] = {}
    for cls in reversed(type(value).__mro__[:-1]):
        result.update(vars(cls))
    result.update(getattr(value, "__dict__", {}))
    behaviour = (types.FunctionType, classmethod, staticmethod, property)
    return {
        name: item
        for name, item in result.items()
        if name.isidentifier() and not name.startswith("_") and not isinstance(item, behaviour)
    }


def by_name(value: Any, own: Mapping[str, Any]) -> str | None:
    """The name that a class, function or module has in `own` or in `nn`, else where it can be imported from."""
    if isinstance(value, types.ModuleType):
        name = next((key for key, item in own.items() if item is value and key.isidentifier()), None)
        return name or (_imported(value.__name__) if sys.modules.get(value.__name__) is value else None)
    if not isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
        return None
    name = next((key for key, item in own.items() if item is value and key.isidentifier()), None)
    if name is not None:
        return name
    own_name = getattr(value, "__name__", "")
    if own_name and vars(nn).get(own_name) is value:
        return f"nn.{own_name}"
    module, qualified = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    owner: Any = sys.modules.get(module or "")
    if owner is None or module == "__main__" or not all(part.isidentifier() for part in qualified.split(".")):
        return None
    for part in qualified.split("."):
        owner = getattr(owner, part, None)
    return f"{_imported(str(module))}.{qualified}" if owner is value else None


def _imported(module: str) -> str:
    """An expression for a module that can be imported."""
    return f"__import__('importlib').import_module({module!r})"
