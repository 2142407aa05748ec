"""What Python reads out of Tensors while a module is traced: flags, numbers, lengths, lists.

A trace keeps the value of the example for each. Where the value is that of a size, the same at every other size means
that nothing is frozen. Torch warns of most of these reads and tells no values, and of `range(x.size(0))` it says
nothing. It knows nothing of what follows from a read.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any

import torch

from ts_shape_server.agent.script import locate
from ts_shape_server.agent.script.locate import MarkedPlace
from ts_shape_server.agent.script.observe import innermost

_C: Any = torch._C

KINDS = {
    "__bool__": "trace-branch",
    "__int__": "trace-number",
    "__index__": "trace-number",
    "__float__": "trace-number",
    "item": "trace-number",
    "tolist": "trace-leaves-graph",
    "numpy": "trace-leaves-graph",
    "__len__": "trace-length",
    "__iter__": "trace-loop",
}
"""Methods of a Tensor that give something which a trace cannot follow, and what that is called."""
_LENGTHS = ("__len__", "__iter__")
_LARGEST = 10_000
"""Elements of a Tensor whose values are kept."""
_OF_SIZES = frozenset({"aten::size", "aten::numel", "aten::dim", "aten::len"})
_EXACT = frozenset(f"aten::{name}" for name in ("eq", "ne", "remainder", "fmod", "floor_divide", "floordiv", "div"))
_STEPS = 10_000
"""Nodes that are looked at for where a value comes from."""


@dataclass
class Read:
    """All reads at one place in one trace. `of_values`: what is read follows the values of an input, not only sizes.
    `sizes` are the sizes that it follows; `exact`: they are compared for equality or divided on the way, so that single
    sizes may read otherwise than their neighbours.
    """

    kind: str
    values: list[object] = field(default_factory=list)
    of_values: bool = False
    sizes: list[int] = field(default_factory=list)
    exact: bool = False


Reads = dict[MarkedPlace, Read]
Forced = Mapping[MarkedPlace, object]
"""What a read at a place gives in place of what it would."""


@functools.lru_cache(maxsize=4096)
def _expression(code: CodeType, instruction: int, line: int) -> MarkedPlace:
    return locate.expression(code, instruction, line)


def place_of(frame: FrameType | None) -> tuple[MarkedPlace, FrameType] | None:
    """The innermost expression of the user's, and its frame. Not the instruction: once a function has run some times,
    Python has another do the call.
    """
    frames: list[FrameType] = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    found = innermost(frames, lambda item: item.f_code.co_filename)
    return None if found is None else (_expression(found.f_code, found.f_lasti, found.f_lineno), found)


def others(value: object) -> tuple[object, ...]:
    """Some other values of the kind of a flag or number that was read; none for anything else."""
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int):
        return (value + 1, 0, value + 100)
    return (1e6, 0.0, -1e6) if isinstance(value, float) else ()


@contextlib.contextmanager
def noted(reads: Reads, origins: bool = False, forced: Forced | None = None) -> Iterator[None]:
    """Note the reads of a trace that is made meanwhile. With `origins` what each follows is found out, which leaves
    constants in the trace: it is then good for nothing else. `forced` are reads that give something else.
    """
    patched: Any = torch.Tensor
    own = {name: vars(torch.Tensor)[name] for name in KINDS if name in vars(torch.Tensor)}
    for name in KINDS:
        setattr(patched, name, _noting(name, getattr(torch.Tensor, name), reads, origins, forced or {}))
    try:
        yield
    finally:
        for name in KINDS:
            if name in own:
                setattr(patched, name, own[name])
            else:
                delattr(patched, name)


def _noting(name: str, original: Any, reads: Reads, origins: bool, forced: Forced) -> Any:
    def read(tensor: Any, *arguments: Any, **keywords: Any) -> Any:
        given = original(tensor, *arguments, **keywords)
        found = place_of(sys._getframe(1))
        if found is not None and _C._get_tracing_state() is not None:
            entry = reads.setdefault(found[0], Read(KINDS[name]))
            entry.values.append(_value(name, tensor, given))
            if origins and name not in _LENGTHS:
                _follow(tensor, entry)
            if found[0] in forced and isinstance(given, (bool, int, float)):
                value: Any = forced[found[0]]
                return type(given)(value)
        return given

    return read


def _value(name: str, tensor: Any, given: Any) -> object:
    """What was read, to be compared with another read; asked of torch while nothing is traced."""
    if isinstance(given, (bool, int, float)):
        return given
    state = _C._get_tracing_state()
    _C._set_tracing_state(None)
    try:
        if name in _LENGTHS:
            return tensor.size(0) if tensor.dim() else 0
        if tensor.numel() > _LARGEST:
            return tuple(tensor.shape), float(tensor.double().sum())
        return tuple(tensor.shape), repr(tensor.detach().cpu().reshape(-1).tolist())
    finally:
        _C._set_tracing_state(state)


def _follow(tensor: Any, entry: Read) -> None:
    """Note what the graph under way computes a Tensor from: values of an input, sizes, or weights, which is nothing."""
    waiting = [_C._get_value_trace(tensor)]
    seen: set[int] = set()
    while waiting and len(seen) < _STEPS:
        value = waiting.pop()
        node = value.node()
        if value.unique() in seen:
            continue
        seen.add(value.unique())
        entry.exact = entry.exact or node.kind() in _EXACT
        if node.kind() in _OF_SIZES:
            entry.sizes += _sizes(node)
            continue
        if node.kind() == "prim::Param" and value.type().kind() != "ClassType":
            entry.of_values = True
        waiting.extend(node.inputs())


def _sizes(node: Any) -> list[int]:
    """The size that a node asks a Tensor for; all of them where it asks for no single one."""
    tensor, *rest = node.inputs()
    sizes = list(tensor.type().sizes() or ()) if tensor.type().kind() == "TensorType" else []
    dim = rest[0].toIValue() if rest else None
    return [sizes[dim]] if isinstance(dim, int) and -len(sizes) <= dim < len(sizes) else sizes
