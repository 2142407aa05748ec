"""One call of `torch.jit.script`, and what of it may be kept for the next.

Compiling the same module again and again with edited sources must not meet what an earlier edit left behind, and need
not compile torch's own layers anew. This is the only place that knows torch's stores of compiled types and functions.
"""

from __future__ import annotations

import contextlib
import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
import torch._jit_internal
import torch.jit._recursive
import torch.jit._state
import torch.jit.annotations
from torch import nn

from ts_shape_server.agent.script.observe import is_foreign
from ts_shape_server.agent.script.sources import Sources

_LAYERS: dict[type, list[Any]] = {}
"""The compiled types of torch's own modules without parts."""
_TEXTS: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
"""What torch reads of the source of a function or class."""


@dataclass
class Compiler:
    """Compiles one module, again and again. `scripted` is the result once nothing is refused."""

    module: nn.Module
    sources: Sources | None = None
    scripted: Any | None = None
    attempts: int = 0

    def __call__(self, part: nn.Module | None = None) -> BaseException | None:
        """None if the module (or a part of it) compiles, else what torch raised."""
        recursive: Any = torch.jit._recursive
        self.attempts += 1
        kept = recursive.concrete_type_store
        recursive.concrete_type_store = store = recursive.ConcreteTypeStore()
        self._remember(store)
        try:
            with _quick_look_ups(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scripted = torch.jit.script(part or self.module)
            self.scripted = scripted if part is None or part is self.module else None
            return None
        except Exception as error:
            return error
        finally:
            recursive.concrete_type_store = kept
            self._keep(store)

    def _remember(self, store: Any) -> None:
        self._forget()
        if not self._edits_torch():
            store.type_store.update({kind: list(items) for kind, items in _LAYERS.items()})
            store.methods_compiled.update(item for items in _LAYERS.values() for item in items)

    def _keep(self, store: Any) -> None:
        self._forget()
        if self._edits_torch():
            return
        for kind, items in store.type_store.items():
            done = [item for item in items if item in store.methods_compiled and not item.get_modules()]
            if done and kind.__module__.startswith("torch."):
                _LAYERS[kind] = done

    def _edits_torch(self) -> bool:
        """Whether an edit reaches, or has reached, into torch's own functions: then nothing can be kept."""
        return self.sources is not None and any(is_foreign(path) for path, _ in self.sources.edits)

    def _forget(self) -> None:
        """Drop what torch remembers of compiled functions that may hold edits."""
        remembered: Any = getattr(torch.jit._state, "_jit_caching_layer", {})
        if self._edits_torch():
            remembered.clear()
        for parsed in self.sources.functions.values() if self.sources is not None else ():
            if not is_foreign(parsed.path):
                remembered.pop(parsed.function, None)


@contextlib.contextmanager
def _quick_look_ups() -> Iterator[None]:
    """Spare torch most of the time of a compilation: it looks for overloads of every method of every module, goes
    through all that a module has from `nn.Module` five times, and reads the source of a class anew for each instance.
    """
    internal: Any = torch._jit_internal
    annotations: Any = torch.jit.annotations
    recursive: Any = torch.jit._recursive
    look_up, read, read_again, properties = (
        internal._get_overloaded_methods,
        internal.get_source_lines_and_file,
        annotations.get_source_lines_and_file,
        recursive.get_class_properties,
    )
    names: set[str] = set()
    known = 0

    def overloads(method: Any, kind: type) -> Any:
        nonlocal known
        if len(internal._overloaded_methods) != known:
            known = len(internal._overloaded_methods)
            names.update(name.rpartition(".")[2] for name in internal._overloaded_methods)
        return look_up(method, kind) if getattr(method, "__name__", None) in names else None

    if hasattr(internal, "_overloaded_methods"):
        internal._get_overloaded_methods = overloads

    def properties_of(kind: type, self_name: str) -> Any:
        return properties(kind, self_name) if any(_is_property(kind, name) for name in _own_names(kind)) else []

    internal.get_source_lines_and_file = _once(read)
    annotations.get_source_lines_and_file = _once(read_again)
    recursive.get_class_properties = properties_of
    _OWN.clear()
    recursive.dir = _names
    try:
        yield
    finally:
        recursive.__dict__.pop("dir", None)
        recursive.get_class_properties = properties
        internal._get_overloaded_methods = look_up
        internal.get_source_lines_and_file = read
        annotations.get_source_lines_and_file = read_again


_PLAIN = frozenset(
    name
    for name, item in vars(nn.Module).items()
    if isinstance(item, FunctionType) and not hasattr(item, "_torchscript_modifier")
)
"""Methods of every module that a compilation has no use for, unless a class has others of these names."""
_IGNORED = "__jit_ignored_attributes__"
_OWN: weakref.WeakKeyDictionary[type, tuple[str, ...]] = weakref.WeakKeyDictionary()


def _own_names(kind: type) -> tuple[str, ...]:
    """The names that a class of modules has, without methods that are those of `nn.Module` itself."""
    if kind not in _OWN:
        _OWN[kind] = tuple(
            name for name in dir(kind) if name not in _PLAIN or getattr(kind, name, None) is not vars(nn.Module)[name]
        )
    return _OWN[kind]


def _is_property(kind: type, name: str) -> bool:
    return isinstance(getattr(kind, name, None), property)


def _names(item: Any) -> list[str]:
    """`dir` of what is compiled, for a module without those methods."""
    if isinstance(item, type) and issubclass(item, nn.Module) and type(item) is type:
        return list(_own_names(item))
    kind: Any = type(item)
    usual = isinstance(item, nn.Module) and not isinstance(item, torch.jit.ScriptModule) and not hasattr(kind, _IGNORED)
    if not usual or kind.__dir__ is not nn.Module.__dir__ or kind.__getattribute__ is not object.__getattribute__:
        return dir(item)
    held = [*item.__dict__, *item._parameters, *item._modules, *item._buffers]
    return sorted({*_own_names(kind), *(name for name in held if not name[:1].isdigit())})


def _once(read: Callable[..., Any]) -> Callable[..., Any]:
    """`read`, which is asked once for each function or class."""

    def text(item: Any, error_msg: Any = None) -> Any:
        key = getattr(item, "__func__", item)
        try:
            if key not in _TEXTS:
                _TEXTS[key] = read(item, error_msg)
            return _TEXTS[key]
        except TypeError:
            return read(item, error_msg)

    return text
