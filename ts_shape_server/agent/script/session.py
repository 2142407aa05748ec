"""One class under examination: its instances, its eager outputs, and what its eager run showed.

Instances are made fresh for each use, since a run may change them. A module too large to be built again and again is
built on the meta device, where it has types and no values.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import CodeType
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent import clock, shares
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.runs import Run
from ts_shape_server.agent.script import observe
from ts_shape_server.agent.script.observe import Seen

HEAVY_BYTES = 1_500_000_000


@dataclass
class ScriptSession:
    """`heavy` modules have no values to compare. `weights` replace those that the constructor makes."""

    run: Run
    context: Context
    weights: dict[str, Any] | None = None
    _outputs: dict[bool, Any] = field(default_factory=dict)
    _dear: bool = False
    _run_seconds: float = 0.0

    @cached_property
    def heavy(self) -> bool:
        """Whether the parameters take more memory than we want to spend."""
        return self._first is None

    @cached_property
    def pristine(self) -> nn.Module:
        """An instance that never runs. Raises what the constructor raises."""
        return self._first if self._first is not None else self._build()

    @cached_property
    def _first(self) -> nn.Module | None:
        """The first instance, None if it grew too large in the making."""
        started = clock.now()
        try:
            with _limited_parameters(HEAVY_BYTES):
                module = self.run.build()
        except _TooLarge:
            return None
        if self.weights is not None:
            module.load_state_dict(self.weights)
        self._dear = clock.now() - started > shares.CHEAP_BUILD
        return module

    def fresh(self) -> nn.Module:
        """An instance with the same weights that nothing has touched."""
        pristine = self.pristine
        if self._dear:
            try:
                return copied(pristine)
            except Exception:
                self._dear = False
        return self._build()

    def _build(self) -> nn.Module:
        if self.heavy:
            with torch.device("meta"):
                return self.run.build()
        module = self.run.build()
        if self.weights is not None:
            module.load_state_dict(self.weights)
        return module

    def call(self, module: Any, second: bool = False) -> Any:
        """A module on the inputs, on the device where the session's modules are."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not self.heavy:
                return self.run.call(module, second)
            arguments, keywords = self.run.arguments(second)
            with torch.no_grad():
                return module(*_to_meta(arguments), **_to_meta(keywords))

    def eager(self, second: bool = False) -> Any:
        """What a fresh instance gives in eager mode. Raises what it raises."""
        if second not in self._outputs:
            self._outputs[second] = self.call(self.fresh(), second)
        return self._outputs[second]

    @cached_property
    def watched(self) -> tuple[dict[CodeType, Seen], nn.Module]:
        """What the eager runs showed, and the instance that ran on the example. Its output is kept as `eager`.

        The second size, the inputs of other kinds that the workspace passes and training widen the types; the output of
        the second size is kept too.
        """
        used = self.fresh()
        started = clock.now()
        try:
            self._outputs[False], seen = observe.watch(lambda: self.call(used))
        except Exception:
            seen = {}
        self._run_seconds = clock.now() - started
        if (
            seen
            and not self.heavy
            and self._run_seconds < shares.WIDENING_RUN
            and self.affords(3 + 2 * len(self.run.others))
        ):
            self._widen(seen)
        return seen, used

    def _widen(self, seen: dict[CodeType, Seen]) -> None:
        """Add what the second size and inputs of other types show, and training, whose branches are compiled too."""
        runs = [replace(self.run, example=other) for other in self.run.others]
        if self.run.second is not None:
            runs.append(replace(self.run, example=self.run.second))
        turns = [(run, False) for run in runs]
        if observe.trains_otherwise(self.pristine, seen):
            turns.append((self.run, True))
        for run, training in turns:
            with contextlib.suppress(Exception), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module = self.fresh()
                if training:
                    module.train()
                result, _ = observe.watch(functools.partial(run.call, module), seen)
                if run.example is self.run.second:
                    self._outputs[True] = result

    def affords(self, runs: int) -> bool:
        """Whether there is time for some more runs of the module, with as much again to spare."""
        return self.context.remaining() > 2 * runs * self._run_seconds

    def rerun(self, training: bool = False) -> Any:
        """One more eager run, for those who watch. TimeoutError if there is no time for it."""
        if not self.affords(1):
            raise TimeoutError
        module = self.fresh()
        if training:
            module.train()
        return self.call(module)

    def users(self, path: str) -> bool:
        return observe.is_users(path, self.context.root, self.context.path)

    def sizes(self) -> tuple[bool, ...]:
        """The values of `second` to go through."""
        return (False,) if self.run.second is None else (False, True)


def copied(module: nn.Module) -> nn.Module:
    """A deep copy whose weights are copied when one of the two is first written: reading them takes no memory."""
    known: dict[int, Any] = {}
    lazy: Any = getattr(torch, "_lazy_clone", None)
    for item in module.parameters() if lazy is not None else ():
        if type(item) is nn.Parameter and item.is_leaf and item.layout is torch.strided and not item.__dict__:
            with contextlib.suppress(RuntimeError):
                known[id(item)] = nn.Parameter(lazy(item.detach()), item.requires_grad)
    return copy.deepcopy(module, known)


class _TooLarge(Exception):
    """Raised from within a constructor whose parameters have grown past the limit."""


@contextlib.contextmanager
def _limited_parameters(limit: int) -> Iterator[None]:
    """Stop a constructor once its parameters take more than `limit` bytes.

    A parameter is registered before it is initialised, so that the memory is not touched yet.
    """
    patched: Any = nn.Module
    original = patched.register_parameter
    total = 0

    def register(module: nn.Module, name: str, parameter: Any) -> None:
        nonlocal total
        if parameter is not None and not nn.parameter.is_lazy(parameter):
            total += parameter.numel() * parameter.element_size()
        if total > limit:
            raise _TooLarge
        original(module, name, parameter)

    patched.register_parameter = register
    try:
        yield
    finally:
        patched.register_parameter = original


def _to_meta(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to("meta")
    if isinstance(value, (list, tuple)):
        return type(value)(map(_to_meta, value))
    if isinstance(value, dict):
        return {key: _to_meta(item) for key, item in value.items()}
    return value


def forward_name(run: Run) -> tuple[str, int, int, int] | None:
    """The file, line and columns (utf-8) of the name of `forward`."""
    forward = inspect.unwrap(run.cls.forward)
    code = getattr(forward, "__code__", None)
    if code is None:
        return None
    try:
        lines, first = inspect.getsourcelines(code)
    except (OSError, TypeError):
        return None
    for offset, line in enumerate(lines):
        column = line.encode().find(b"def ")
        if column >= 0 and not line[:column].strip():
            start = column + 4
            return code.co_filename, max(first, 1) + offset, start, start + len(code.co_name.encode())
    return None
