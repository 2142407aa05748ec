"""Lazy layers: each run of a search meets them as a fresh instance would, so that any size may come first.

torch changes the class and the parameters of a lazy layer in place at its first call. While `first_calls` lasts, new
parameters take the place of those that wait for their sizes, and the layer stays lazy: whoever put the module's tables
back has the fresh instance again. Elsewhere torch's own way is taken.

Libraries have lazy layers of their own (torch_geometric's `Linear(-1, 8)`), which make their parameters in a hook of
their own before the first call: `begin` prepares those for one run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import parameter as parameters
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

from ts_shape_server.agent.infer.running import symbolic

_first = False
_usual = LazyModuleMixin._infer_parameters


class _Uninitialised(parameters.UninitializedTensorMixin):  # type: ignore[name-defined, misc]  # torch declares it without a name
    """Stands where a parameter waits for its sizes; puts a new one there once they are known."""

    def __init__(self, table: dict[str, Any], name: str, lazy: Any) -> None:
        self._table, self._name, self._lazy = table, name, lazy

    @property  # type: ignore[misc]  # layers assert the class of what waits
    def __class__(self) -> type:
        return UninitializedParameter if isinstance(self._lazy, nn.Parameter) else UninitializedBuffer

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        made = torch.empty(shape, dtype=dtype or self._lazy.dtype)
        parameter = isinstance(self._lazy, UninitializedParameter)
        self._table[self._name] = nn.Parameter(made, requires_grad=False) if parameter else made


@contextlib.contextmanager
def first_calls() -> Iterator[None]:
    """While in it, calls of lazy layers are first calls, which leave them lazy."""
    global _first
    before, _first = _first, True
    try:
        yield
    finally:
        _first = before


def _infer_parameters(self: Any, module: Any, args: Any, kwargs: Any = None) -> Any:
    if not _first:
        return _usual(self, module, args, kwargs)
    _wait(module)
    without_values = any(symbolic.is_fake(item) for item in args)
    if without_values:
        # There are no values to initialise, and how they are drawn would ask for the sizes.
        module.__dict__["reset_parameters"] = lambda: None
    try:
        module.initialize_parameters(*args, **(kwargs or {}))
    finally:
        if without_values:
            module.__dict__.pop("reset_parameters", None)
    return None


def _wait(module: nn.Module) -> None:
    for table in (module._parameters, module._buffers):
        for name, value in list(table.items()):
            if value is not None and is_lazy(value):
                table[name] = _Uninitialised(table, name, value)


def of_libraries(module: nn.Module) -> list[nn.Module]:
    """The parts with parameters that wait for their sizes, and that are not torch's own lazy layers."""
    return [
        part
        for part in module.modules()
        if not isinstance(part, LazyModuleMixin)
        and any(isinstance(item, UninitializedParameter) for item in part._parameters.values())
    ]


def begin(layers: Sequence[nn.Module], without_values: bool) -> None:
    """Let the next call of each of these layers be a first call. Whoever calls this puts their tables back."""
    for layer in layers:
        _wait(layer)
        if without_values and hasattr(layer, "reset_parameters"):
            layer.__dict__["reset_parameters"] = lambda: None


LazyModuleMixin._infer_parameters = _infer_parameters  # type: ignore[method-assign]  # hooks are bound early
