"""One run of `torch.jit.trace`: the traced module, what torch warned of, what Python read out of Tensors meanwhile.

It knows places and words, and nothing of whether a warning is true: that takes other inputs.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import linecache
import os
import re
import sys
import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import FrameType, TracebackType
from typing import Any

import torch

from ts_shape_server.agent.script import locate, observe, reads
from ts_shape_server.agent.script.finding import Facts, finding, first_line
from ts_shape_server.agent.script.locate import MarkedPlace
from ts_shape_server.agent.script.reads import Forced, Reads
from ts_shape_server.agent.torch_says import tracer
from ts_shape_server.contract.places import Location
from ts_shape_server.contract.report import Failure

_PLUMBING = ("_tensor.py", "warnings.py", "overrides.py")
_LAYERS = os.path.dirname(torch.nn.__file__)
_WORDS = {
    "trace-branch": "tracing keeps the branch that the example takes: this condition depends on a Tensor's values",
    "trace-number": "tracing freezes this number at the example's value",
    "trace-leaves-graph": "tracing freezes these values at the example's: they leave the graph",
    "trace-constant": "tracing freezes this Tensor as a constant of the example's values",
    "trace-loop": "tracing unrolls this loop to the example's length",
    "trace-length": "tracing freezes this length at the example's: use `.shape[0]`",
    "trace-shared-memory": "tracing an in-place write to memory that is shared may lose it",
}
_OF_SIZES = {"trace-branch": "tracing keeps the branch that the example takes: this condition depends on a size"}
_SIZE = re.compile(r"\.shape\b|\.size\(|\.numel\(|\blen\(")
"""What of an expression tells that it is about sizes, which are Tensors while a module is traced."""
_OWN_LENGTH = re.compile(r"len\(self(\.\w+)+\)")
"""The length of what a module holds, which no input changes."""
_LITERAL = re.compile(
    r"torch\.(as_)?tensor\((\[[-\d.,e\[\] ]*\]|-?[\d.e-]+|float\(['\"]-?inf['\"]\))(, *\w+=[\w.]+)*\)"
)
"""A Tensor of numbers that stand in the source."""


@dataclass(frozen=True)
class Noted:
    """A warning of the tracer's and the user's place that it is about. `of_torch`: it comes from inside of a layer of
    torch's.
    """

    failure: Failure
    place: MarkedPlace
    of_torch: bool


@dataclass(frozen=True)
class Trace:
    """One trace: the module, torch's warnings in order, the reads by place."""

    module: Any
    warnings: list[Noted]
    reads: Reads


def trace(
    module: Any,
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
    origins: bool = False,
    forced: Forced | None = None,
) -> Trace:
    """Trace a module on these inputs. Raises what that raises. With `origins` the module is good for nothing, and the
    reads tell what they follow. `forced` are reads that give something else.
    """
    found: list[Noted] = []
    seen: Reads = {}
    jit: Any = torch.jit
    tracer_warning = jit.TracerWarning

    def show(message: Any, category: Any, *_: Any) -> None:
        if issubclass(category, tracer_warning):
            found.extend(_noted(str(message), sys._getframe(1)))

    options: dict[str, Any] = {"check_trace": False, "strict": False}
    if keywords:
        names = list(inspect.signature(module.forward).parameters)
        options["example_kwarg_inputs"] = {**dict(zip(names, arguments)), **keywords}
    else:
        options["example_inputs"] = arguments
    with warnings.catch_warnings(), torch.no_grad(), reads.noted(seen, origins, forced):
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", tracer_warning)
        warnings.showwarning = show  # type: ignore[assignment]
        traced = jit.trace(module, **options)
    # Torch makes this once, and after a run without optimization it is another: two traces are compared.
    traced.inlined_graph  # noqa: B018  # asking for it is what counts
    return Trace(traced, found, seen)


def why(error: Exception) -> str:
    """The error in a line; values that it prints are left out."""
    if tracer.cannot_type(str(error)):
        return "it takes and gives Tensors and containers of one type; a value here is something else"
    return first_line(error)[:200]


def untraceable(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    """The first input that is no Tensor."""
    plain = (int, float, bool, str, type(None))
    for value in (*arguments, *keywords.values()):
        if isinstance(value, plain):
            return f"it takes Tensors only, and an input is {value!r}"
    return ""


def raised_at(error: Exception) -> Location | None:
    """The user's innermost expression that an error came from."""
    steps: list[TracebackType] = []
    trace = error.__traceback__
    while trace is not None:
        steps.insert(0, trace)
        trace = trace.tb_next
    found = observe.innermost(steps, lambda item: item.tb_frame.f_code.co_filename)
    if found is None:
        return None
    return locate.location(locate.expression(found.tb_frame.f_code, found.tb_lasti, found.tb_lineno))


def is_in_statement(location: Location, place: MarkedPlace) -> bool:
    """Whether a location lies in the innermost statement, with all that is in it, that a place stands in."""
    try:
        tree = ast.parse("".join(linecache.getlines(place.path)))
    except (SyntaxError, ValueError, RecursionError):
        return False
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and node.lineno <= place.line <= (node.end_lineno or node.lineno)
    ]
    inner = max(around, key=lambda node: node.lineno, default=None)
    line = location.range.line
    return inner is not None and location.path == place.path and inner.lineno <= line <= (inner.end_lineno or line)


def of_read(place: MarkedPlace, kind: str) -> Failure:
    """A read as a warning of its kind, at its place."""
    return _worded(kind, locate.location(place), "")


def of_size(warning: Failure) -> Failure:
    """The warning in the words for a size."""
    return replace(warning, message=_OF_SIZES.get(warning.kind, warning.message))


def failure(kind: str, message: str, location: Location, detail: str, facts: Facts | None = None) -> Failure:
    return finding("trace-warning", kind, message, location, detail, facts=facts)


@contextlib.contextmanager
def data_as_detached(places: list[Location]) -> Iterator[None]:
    """`x.data` gives `x.detach()`, which a trace follows and `.data` is not; the places of it are noted."""
    patched: Any = torch.Tensor
    own: Any = torch._C.TensorBase

    def get(tensor: Any) -> Any:
        found = reads.place_of(sys._getframe(1))
        if found is None or torch._C._get_tracing_state() is None:
            return own.data.__get__(tensor)
        place = locate.location(found[0])
        if place not in places:
            places.append(place)
        return tensor.detach()

    patched.data = property(get, own.data.__set__, own.data.__delete__)
    try:
        yield
    finally:
        del patched.data


def _noted(text: str, frame: FrameType | None) -> Iterator[Noted]:
    """The warning at the innermost frame of the user's, unless it only guards an error."""
    frames = list(_outwards(frame))
    found = reads.place_of(frame)
    if found is None:
        return
    place, own = found
    inner = next((item for item in frames if not _is_plumbing(item.f_code.co_filename)), None)
    inner = None if inner is own else inner
    if _guards_an_error(inner or own) or _guards_an_error(own):
        return
    kind = tracer.warning(text)
    where = locate.location(place)
    source = _source(where)
    if _OWN_LENGTH.fullmatch(source) or _LITERAL.fullmatch(source):
        return
    of_torch = inner is not None and inner.f_code.co_filename.startswith(_LAYERS)
    yield Noted(_worded(kind, where, text), place, of_torch)


def _is_plumbing(path: str) -> bool:
    """Whether a code file only passes a call on: torch's, Python's or the agent's."""
    return path.endswith(_PLUMBING) or observe.is_agents(path)


def _worded(kind: str, where: Location, text: str) -> Failure:
    source = _source(where)
    if kind == "trace-number" and source.startswith("range("):
        kind = "trace-loop"
    words = _WORDS.get(kind) or text.split(". ")[0]
    if _SIZE.search(source):
        words = _OF_SIZES.get(kind, words)
    return failure(kind, words, where, text, {"code": source[:60]})


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _source(place: Location) -> str:
    """The text of a place in a file, up to the end of its first line."""
    where = place.range
    text = linecache.getline(place.path, where.line)
    return text[where.column : where.end_column if where.end_line == where.line else None]


def _guards_an_error(frame: FrameType) -> bool:
    """Whether the frame's statement is an `assert`, or an `if` that does nothing but raise or warn."""
    try:
        lines, first = inspect.getsourcelines(frame.f_code)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError, TypeError, ValueError):
        return False
    line = frame.f_lineno - max(first, 1) + 1
    best: ast.stmt | None = None
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno):
            best = node if best is None or node.lineno >= best.lineno else best
    if isinstance(best, ast.If):
        return all(isinstance(item, ast.Raise) for item in best.body) and not best.orelse
    return isinstance(best, ast.Assert)
