"""Calls of ``layer.forward(x)``, which no hook of the layer sees.

While it is watched, `forward` of the classes of some modules is one that tells; it is put back. Calls that come through
the module itself are left to its hooks. Knows nothing of what is recorded.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

import torch
from torch import nn

Note = Callable[[nn.Module, "tuple[Any, ...]", "dict[str, Any]", Any, FrameType], None]
"""Is told the module, its arguments by position and by name, what it gave, and the frame of the caller."""


@contextlib.contextmanager
def watched(modules: Sequence[nn.Module], note: Note) -> Iterator[None]:
    """While in it, `note` is told of the calls of `forward` on these modules that did not come through `__call__`."""
    parts = {id(part): part for part in modules if not isinstance(part, torch.jit.ScriptModule)}
    hooked: set[int] = set()
    running: set[int] = set()

    def told(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def forward(module: nn.Module, *arguments: Any, **keywords: Any) -> Any:
            key = id(module)
            if key not in parts or key in running:
                return original(module, *arguments, **keywords)
            directly = key not in hooked
            hooked.discard(key)
            running.add(key)
            try:
                output = original(module, *arguments, **keywords)
            finally:
                running.discard(key)
            if directly:
                note(module, arguments, keywords, output, sys._getframe(1))
            return output

        return forward

    handles = [part.register_forward_pre_hook(lambda part, _: hooked.add(id(part))) for part in parts.values()]
    owners = {_defining(type(part)) for part in parts.values()} - {nn.Module}
    originals = {owner: vars(owner)["forward"] for owner in owners}
    try:
        for owner, original in originals.items():
            if inspect.isfunction(original):
                owner.forward = told(original)
        yield
    finally:
        for owner, original in originals.items():
            owner.forward = original
        for handle in handles:
            handle.remove()


def _defining(kind: type[nn.Module]) -> type[nn.Module]:
    """The class that has the `forward` of modules of this kind."""
    return next(base for base in kind.__mro__ if issubclass(base, nn.Module) and "forward" in vars(base))
