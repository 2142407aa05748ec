"""What a run shows of the inside: each layer's inputs and outputs, and each local of the user's methods, line by
line.

Layers are watched by hooks, locals by a trace function that follows frames of the user's file alone. Sizes are kept
as the run had them (numbers or symbols) and spelled by whoever asks.
"""

from __future__ import annotations

import contextlib
import dis
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent import trees
from ts_shape_server.agent.infer.running import direct_calls

MAXIMUM_VARIABLES = 2000
MAXIMUM_LAYERS = 400
_TORCH = os.path.dirname(torch.__file__) + os.sep


@dataclass(frozen=True)
class Shape:
    """A tensor's sizes as the run had them, and its dtype without the ``torch.`` before it."""

    sizes: tuple[Any, ...]
    dtype: str


@dataclass(frozen=True)
class LayerCall:
    """One call of a submodule: the tensors that went in and came out, and the line of the watched code that calls it
    (None where other code does).
    """

    name: str
    module: nn.Module
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    line: int | None = None


@dataclass(frozen=True)
class Local:
    """A local after `line` ran, or as it came into it. `value` nests as it did, with a `Shape` for each tensor."""

    name: str
    line: int
    value: Any


def shape(tensor: torch.Tensor) -> Shape:
    return Shape(tuple(tensor.shape), str(tensor.dtype).replace("torch.", ""))


def shapes(value: Any) -> Any:
    """`value` with tensors replaced by their shapes; what is neither tensor nor container becomes its type's name. A
    dict whose keys are no texts says of which type they are (``dict int``).
    """
    if isinstance(value, torch.Tensor):
        return type(value).__name__ if value.is_nested else shape(value)
    if isinstance(value, (list, tuple)):
        return (
            type(value).__name__
            if len(value) > 16
            else ("list" if isinstance(value, list) else "tuple", [shapes(item) for item in value])
        )
    if isinstance(value, dict):
        keys = {type(key).__name__ for key in value}
        form = "dict" if keys <= {"str"} else f"dict {keys.pop() if len(keys) == 1 else 'Any'}"
        return (form, {str(key): shapes(item) for key, item in list(value.items())[:32]})
    if isinstance(value, torch.SymInt):
        return "int"
    return "None" if value is None else type(value).__name__


def flat(value: Any) -> Iterator[Shape]:
    """The shapes of the tensors of a nested value, from left to right."""
    return (shape(item) for item in trees.tensors(value) if not item.is_nested)


class Layers:
    """Context manager: records the calls of `module`'s submodules while it is active, with their lines where the code
    of `path` in `lines` calls them. ``layer.forward(x)``, which no hook sees, is a call like any other.
    """

    def __init__(self, module: nn.Module, path: str, lines: range) -> None:
        self._module = module
        self._path, self._lines = path, lines
        self._watching = contextlib.ExitStack()
        self.calls: list[LayerCall] = []
        self.left_out: set[str] = set()
        """Names of submodules that were called when no more calls were recorded."""

    def __enter__(self) -> Layers:
        self.calls.clear()
        self.left_out.clear()
        names: dict[int, str] = {}
        parts: list[nn.Module] = []
        for name, part in self._module.named_modules():
            if name and not isinstance(part, torch.jit.ScriptModule):
                names[id(part)] = name
                parts.append(part)
                handle = part.register_forward_hook(self._hook(name), with_kwargs=True)
                self._watching.callback(handle.remove)

        def note(part: nn.Module, arguments: Any, keywords: Any, output: Any, caller: FrameType) -> None:
            self._note(names[id(part)], part, (arguments, keywords), output, caller)

        self._watching.enter_context(direct_calls.watched(parts, note))
        return self

    def __exit__(self, *_: object) -> None:
        self._watching.close()

    def _hook(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, arguments: Any, keywords: Any, output: Any) -> None:
            self._note(name, module, (arguments, keywords), output, sys._getframe(1))

        return hook

    def _note(self, name: str, module: nn.Module, given: Any, output: Any, frame: FrameType) -> None:
        if len(self.calls) >= MAXIMUM_LAYERS:
            self.left_out.add(name)
        else:
            self.calls.append(LayerCall(name, module, tuple(flat(given)), tuple(flat(output)), self._line(frame)))

    def _line(self, frame: FrameType | None) -> int | None:
        """The line of the code that called the module, if that is the watched code."""
        while frame is not None and frame.f_code.co_filename.startswith(_TORCH):
            frame = frame.f_back
        if frame is None or frame.f_code.co_filename != self._path or frame.f_code.co_firstlineno not in self._lines:
            return None
        return frame.f_lineno


class Locals:
    """Context manager: records the locals that hold tensors, of functions of `path` that begin in `lines`: as each line
    leaves them (`found`), and as they come into each line that reads them (`uses`).
    """

    def __init__(self, path: str, lines: range) -> None:
        self._path = path
        self._lines = lines
        self._before: Any = None
        self._names: dict[CodeType, LocalNames] = {}
        self.found: dict[tuple[str, int, str], Local] = {}
        self.uses: dict[tuple[str, int, str], Local] = {}

    def __enter__(self) -> Locals:
        self.found.clear()
        self.uses.clear()
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        code = frame.f_code
        if code.co_filename != self._path or code.co_firstlineno not in self._lines:
            return None
        known: dict[str, int] = dict.fromkeys(frame.f_locals, 0)
        known.update({name: id(value) for name, value in frame.f_locals.items() if isinstance(value, torch.Tensor)})
        self._note(frame, frame.f_lineno, dict.fromkeys(known, -1))
        if code not in self._names:
            self._names[code] = names_of(code)
        names = self._names[code]
        last = [frame.f_lineno, -1]

        def local(frame: FrameType, event: str, argument: Any) -> Any:
            if event in ("line", "return"):
                self._note(frame, last[0], known, names.stored.get(last[1], frozenset()))
                last[:] = [frame.f_lineno, frame.f_lasti]
            if event == "line":
                self._use(frame, names.read.get(frame.f_lasti, frozenset()))
            return local

        return local

    def _note(self, frame: FrameType, line: int, known: dict[str, int], stored: frozenset[str] = frozenset()) -> None:
        if len(self.found) > MAXIMUM_VARIABLES:
            return
        for name, value in frame.f_locals.items():
            # A call may give back the tensor that went in: the name is assigned then, though nothing has changed.
            unchanged = known.get(name) == id(value) and name not in stored
            if unchanged or name == "self" or name.startswith("."):
                continue
            known[name] = id(value)
            if isinstance(value, (torch.Tensor, list, tuple, dict)):
                seen = shapes(value)
                self.found.setdefault((name, line, repr(seen)), Local(name, line, seen))

    def _use(self, frame: FrameType, names: frozenset[str]) -> None:
        if len(self.uses) > MAXIMUM_VARIABLES:
            return
        values, line = frame.f_locals, frame.f_lineno
        for name in names:
            value = values.get(name)
            if name != "self" and isinstance(value, (torch.Tensor, list, tuple, dict)):
                seen = shapes(value)
                self.uses.setdefault((name, line, repr(seen)), Local(name, line, seen))


@dataclass(frozen=True)
class LocalNames:
    """The names that each stretch of a line's instructions stores and reads, by the offset at which it begins."""

    stored: Mapping[int, frozenset[str]]
    read: Mapping[int, frozenset[str]]


def names_of(code: CodeType) -> LocalNames:
    """The local names of a function's stretches."""
    starts = {offset for offset, line in dis.findlinestarts(code) if line is not None}
    stored: dict[int, set[str]] = defaultdict(set)
    read: dict[int, set[str]] = defaultdict(set)
    start = -1
    for instruction in dis.get_instructions(code):
        start = instruction.offset if instruction.offset in starts else start
        operation = instruction.opname
        if not operation.startswith(("STORE_FAST", "STORE_DEREF", "LOAD_FAST", "LOAD_DEREF")):
            continue
        names = instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,)
        if operation.startswith("LOAD"):
            read[start].update(names)
            continue
        # One instruction of newer Pythons stores a name and reads the next.
        stored[start].update(names[:1] if "LOAD" in operation else names)
        read[start].update(names[1:] if "LOAD" in operation else ())
    return LocalNames(_frozen(stored), _frozen(read))


def _frozen(names: Mapping[int, set[str]]) -> dict[int, frozenset[str]]:
    return {start: frozenset(found) for start, found in names.items()}
