"""One call of `torch.jit.script`, and what of it may be kept for the next.

Compiling the same module again and again with edited sources must not meet what an earlier edit left behind, and need
not compile torch's own layers anew. This is the only place that knows torch's stores of compiled types and functions.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
import torch._jit_internal
import torch.jit._recursive
import torch.jit._state
from torch import nn

from ts_shape_server.agent.script.observe import is_foreign
from ts_shape_server.agent.script.sources import Sources

_LAYERS: dict[type, list[Any]] = {}
"""The compiled types of torch's own modules without parts."""


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
        internal: Any = torch._jit_internal
        self.attempts += 1
        kept, look_up = recursive.concrete_type_store, internal._get_overloaded_methods
        if self.attempts > 1 and hasattr(internal, "_overloaded_methods"):
            # Half the time of a compilation goes into looking for overloads of every method; few names have any.
            names = {name.rpartition(".")[2] for name in internal._overloaded_methods}
            internal._get_overloaded_methods = lambda method, kind: (
                look_up(method, kind) if getattr(method, "__name__", None) in names else None
            )
        recursive.concrete_type_store = store = recursive.ConcreteTypeStore()
        self._remember(store)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scripted = torch.jit.script(part or self.module)
            self.scripted = scripted if part is None or part is self.module else None
            return None
        except Exception as error:
            return error
        finally:
            recursive.concrete_type_store = kept
            internal._get_overloaded_methods = look_up
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
