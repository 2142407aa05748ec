"""Conversions of modules whose parameters have no memory: `.half()`, `.to(dtype)` in a constructor.

torch swaps the contents of such parameters in place, which it refuses while anything else refers to them. Here a new
parameter takes the place of each; what is shared by several modules stays shared.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent.infer.running import symbolic


@contextlib.contextmanager
def of_fake_parameters() -> Iterator[None]:
    """While in it, parameters and buffers without memory are replaced where torch would convert them in place."""
    usual: Any = nn.Module._apply
    converted: dict[tuple[int, int], tuple[Any, Any, nn.Parameter]] = {}

    def apply(self: nn.Module, fn: Callable[..., Any], recurse: bool = True) -> nn.Module:
        own = [item for item in self._parameters.values() if item is not None]
        if not own or not all(symbolic.is_fake(item) for item in own):
            unchanged: nn.Module = usual(self, fn, recurse)
            return unchanged
        for child in self.children() if recurse else ():
            child._apply(fn)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        for name, parameter in list(self._parameters.items()):
            if parameter is not None:
                # What is kept holds the function and the parameter: their numbers are theirs alone.
                key = (id(fn), id(parameter))
                if key not in converted:
                    with torch.no_grad():
                        made = nn.Parameter(fn(parameter), requires_grad=parameter.requires_grad)
                    converted[key] = (fn, parameter, made)
                self._parameters[name] = converted[key][2]
        for name, buffer in list(self._buffers.items()):
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    nn.Module._apply = apply  # type: ignore[method-assign]  # put back below
    try:
        yield
    finally:
        nn.Module._apply = usual  # type: ignore[method-assign]  # as it was
