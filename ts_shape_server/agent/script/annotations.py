"""From what a run saw to the types TorchScript needs in the source: of parameters, results and attributes.

`needed` says that TorchScript takes the source for something else as it stands. It knows torch's reading of
annotations and nothing of text edits.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import CodeType
from typing import Any

import torch
import torch.jit.annotations
from torch import nn
from torch._sources import fake_range

from ts_shape_server.agent.script import types
from ts_shape_server.agent.script.observe import Seen, function_of
from ts_shape_server.agent.script.types import Type
from ts_shape_server.contract.report import Annotation


def collect(
    seen: Mapping[CodeType, Seen], pristine: nn.Module, used: nn.Module, path: str, namespace: Mapping[str, Any]
) -> list[Annotation]:
    """The annotations of all functions and classes of the file at `path`, whose names `namespace` has, that the run
    reached.

    `pristine` is an instance that has not run, `used` one that has: an attribute may have changed its type between.
    """
    found: list[Annotation] = []
    static = _static_methods(used)
    for entry in seen.values():
        if entry.path == path and entry.code.co_name.isidentifier():
            found.extend(_of_function(entry, entry.owner or static.get(entry.code), namespace))
    before = dict(pristine.named_modules())
    done: set[type] = set()
    for name, module in used.named_modules():
        kind = type(module)
        if kind not in done and _defined_in(kind, path) and name in before:
            done.add(kind)
            same = [item for other, item in before.items() if type(item) is kind and other in before]
            found.extend(_of_attributes(kind, same, [item for item in used.modules() if type(item) is kind]))
    return found


def _defined_in(kind: type, path: str) -> bool:
    forward = getattr(vars(kind).get("forward"), "__code__", None)
    initialise = getattr(vars(kind).get("__init__"), "__code__", None)
    return any(code is not None and code.co_filename == path for code in (forward, initialise))


def _static_methods(module: nn.Module) -> dict[CodeType, type]:
    """The classes of static methods, which no argument tells."""
    kinds = {kind for part in module.modules() for kind in type(part).__mro__ if kind.__module__[:6] != "torch."}
    found: dict[CodeType, type] = {}
    for kind in kinds:
        for member in vars(kind).values():
            code = getattr(member.__func__, "__code__", None) if isinstance(member, staticmethod) else None
            if code is not None:
                found[code] = kind
    return found


def _of_function(entry: Seen, kind: type | None, namespace: Mapping[str, Any]) -> Iterator[Annotation]:
    function = function_of(replace(entry, owner=kind), namespace)
    hints = getattr(function, "__annotations__", {}) if function is not None else {}
    scope = getattr(function, "__globals__", {})
    defaults = _defaults(function)
    owner = kind.__qualname__ if kind is not None else ""
    variadic = entry.code.co_varnames[entry.code.co_argcount + entry.code.co_kwonlyargcount :][:2]
    for name, seen in entry.parameters.items():
        if name in variadic and entry.code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS):
            continue
        wanted = types.with_default(seen, defaults, name)
        if wanted.representable:
            needed = _needed(wanted, hints.get(name, inspect.Signature.empty), scope)
            yield _annotation(owner, entry.name, name, wanted, needed)
    if entry.result.representable and entry.result != types.UNKNOWN:
        annotated = hints.get("return", inspect.Signature.empty)
        needed = annotated is not inspect.Signature.empty and _needed(entry.result, annotated, scope)
        yield _annotation(owner, entry.name, "return", entry.result, needed)


def _annotation(owner: str, function: str, name: str, kind: Type, needed: bool) -> Annotation:
    return Annotation(owner, function, name, str(kind), needed)


def _defaults(function: Any) -> dict[str, Any]:
    if function is None:
        return {}
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}
    return {name: item.default for name, item in parameters.items() if item.default is not item.empty}


def _needed(kind: Type, annotation: Any, scope: Mapping[str, Any]) -> bool:
    """Whether TorchScript reads the annotation (or its absence) as another type."""
    if annotation is inspect.Signature.empty:
        return kind != types.TENSOR
    read = _read(annotation, scope)
    if read is None:
        return True
    wanted = _read(types.python_type(kind), scope)
    return wanted is not None and not wanted.isSubtypeOf(read)


def _read(annotation: Any, scope: Mapping[str, Any]) -> Any | None:
    """Torch's type for an annotation, None if torch does not know it."""
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, {"torch": torch, **scope})
        except Exception:
            return None
    read: Any = torch.jit.annotations.try_ann_to_type
    nowhere: Any = fake_range
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read(annotation, nowhere())
    except Exception:
        return None


def _of_attributes(kind: type, pristine: Iterable[nn.Module], used: Iterable[nn.Module]) -> Iterator[Annotation]:
    """Attributes that torch cannot type from their value, or that change their type in a run."""
    before, after = _attribute_types(pristine), _attribute_types(used)
    hints = {name for base in kind.__mro__ for name in getattr(base, "__annotations__", {})}
    for name, first in before.items():
        joined = types.join(first, after.get(name, first))
        if name in hints or joined == types.NONE or not joined.representable:
            continue
        if joined != first or not first.known:
            yield _annotation(kind.__qualname__, "", name, joined, True)


def _attribute_types(modules: Iterable[nn.Module]) -> dict[str, Type]:
    found: dict[str, Type] = {}
    for module in modules:
        values = {**vars(module), **module._buffers}
        for name, value in values.items():
            if name not in _INTERNAL and name.isidentifier():
                found[name] = types.join(found.get(name, types.UNKNOWN), types.of(value))
    return found


_INTERNAL = frozenset(vars(nn.Module()))
