"""What `torch.jit.trace` makes of a module: where it would freeze a value, and whether it agrees with eager.

It compares on the example and on the second size itself; torch's own check is off. It knows nothing of scripting.
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from types import FrameType, TracebackType
from typing import Any

import torch

from ts_shape_server.agent.compare import compare
from ts_shape_server.agent.runs import Run
from ts_shape_server.agent.script import freezes, locate, observe, randomness
from ts_shape_server.agent.script.finding import Facts, finding, first_line
from ts_shape_server.agent.torch_says import tracer
from ts_shape_server.contract.places import Location
from ts_shape_server.contract.report import Failure, ScriptAttempt

_PLUMBING = ("_tensor.py", "warnings.py", "overrides.py", __file__)
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


@dataclass
class Traced:
    """`module` is None if tracing failed."""

    module: Any | None = None
    warnings: list[Failure] = field(default_factory=list)

    @property
    def faithful(self) -> bool:
        return self.module is not None and not self.warnings

    @property
    def attempt(self) -> ScriptAttempt:
        return ScriptAttempt(self.faithful, tuple(self.warnings))


Fresh = Callable[[], Any]


def trace(
    run: Run,
    module: Any,
    eager: Callable[[bool], Any],
    name: Location,
    fresh: Fresh | None = None,
    remembers: bool = False,
) -> Traced:
    """Trace `module` on the example, and compare with `eager(second)` on every size there is.

    `name` is the location for what has no place: the name of `forward`. `fresh` makes another instance: with it, a
    trace that is not faithful is traced again, and the first thing that it froze is told. `remembers`: a call changes
    what the module holds in Python, so that a second call is compared too.
    """
    result = Traced()
    arguments, keywords = run.arguments()
    before = randomness.state()
    try:
        result.module, found = _traced(module, arguments, keywords)
    except Exception as error:
        message = f"tracing fails: {_untraceable(arguments, keywords) or _why(error)}"
        detail = f"{type(error).__name__}: {error}"
        result.warnings.append(_failure("trace-fails", message, _raised_at(error) or name, detail))
        return result
    drew = randomness.state() != before
    if fresh is not None:
        found = _believed(found, result.module, fresh, run)
    places: list[Any] = []
    for warning in (item.failure for item in found):
        if warning.location not in places:
            places.append(warning.location)
            result.warnings.append(warning)
    for second in (False, True) if run.second is not None else (False,):
        where = "a second size" if second else "the example"
        try:
            expected = eager(second)
        except Exception:
            continue
        # A frozen batch has torch's LSTM write outside of its memory: such a trace is read and not run.
        frozen = _frozen(result.module, fresh, run) if second and fresh is not None and _has_lstm(module) else ""
        difference, detail = (frozen, frozen) if frozen else _compared(run, result.module, expected, second)
        if difference:
            _add(
                result, run, fresh, second, f"the traced module is not faithful on {where}: {difference}", detail, name
            )
            return result
    if fresh is not None and drew:
        _add_draws(result, run, fresh, name)
    if fresh is not None and remembers:
        _add_state(result, run, fresh, name)
    return result


def _has_lstm(module: Any) -> bool:
    return any(isinstance(part, torch.nn.LSTM) for part in module.modules())


def _frozen(traced: Any, fresh: Fresh, run: Run) -> str:
    """What a second trace shows to be frozen; empty where the two are alike."""
    try:
        found = freezes.first(traced, _traced(fresh(), *run.arguments(True))[0])
    except Exception as error:
        return f"it cannot be traced there: {_why(error)}"
    return "" if found is None else found.message


def _compared(run: Run, traced: Any, expected: Any, second: bool) -> tuple[str, str]:
    """How the traced module differs on a size, in short and at length; empty if it does not."""
    jit: Any = torch.jit
    try:
        with jit.optimized_execution(False):
            difference = compare(expected, run.call(traced, second)).reason
    except Exception as error:
        return "it raises", f"{type(error).__name__}: {error}"
    return difference, difference


def _add(
    result: Traced, run: Run, fresh: Fresh | None, second: bool, message: str, detail: str, name: Location
) -> None:
    """The difference, at what was frozen where a second trace tells; a warning that is there already tells more."""
    found: freezes.Freeze | None = None
    if second and fresh is not None:
        with contextlib.suppress(Exception):
            found = freezes.first(result.module, _traced(fresh(), *run.arguments(True))[0])
    if found is None:
        result.warnings.append(_failure("trace-differs", message, name, detail))
        return
    place = locate.location(found.place)
    for number, known in enumerate(result.warnings):
        where = known.location
        if where is not None and (where.path, where.range.line) == (found.place.path, found.place.line):
            result.warnings[number] = replace(known, message=f"{known.message}; {message}")
            return
    result.warnings.append(_failure("trace-differs", f"{found.message}; {message}", place, detail))


def _believed(found: list[_Noted], traced: Any, fresh: Fresh, run: Run) -> list[_Noted]:
    """The warnings without those that a trace of another input refutes: of Tensors made of the author's own numbers,
    and from inside of torch's layers, which look at what never changes.
    """
    if not any(item.of_constant or item.of_torch for item in found):
        return found
    try:
        inputs = run.arguments(True) if run.second is not None else run.arguments(draw=1)
        other = _traced(fresh(), *inputs)[0]
    except Exception:
        return found
    same, alike = freezes.same_tensors(traced, other), freezes.alike(traced, other)
    return [item for item in found if not ((item.of_constant and same) or (item.of_torch and alike))]


def _add_draws(result: Traced, run: Run, fresh: Fresh, name: Location) -> None:
    """Numbers that Python or numpy drew: each call of the trace has those of the example."""
    with contextlib.suppress(Exception):
        places = [locate.location(place) for place in randomness.draws(lambda: run.call(fresh()))]
        for place in places or [name]:
            message = "tracing freezes this random number at the one drawn for the example: draw it with torch"
            result.warnings.append(_failure("trace-random-number", message, place, ""))


def _add_state(result: Traced, run: Run, fresh: Fresh, name: Location) -> None:
    """What each call changes in Python is as the example left it: two calls of both tell."""
    module = fresh()
    first = run.call(module)
    expected = run.call(module)
    if compare(first, expected).agree:
        return
    difference, detail = _compared(run, result.module, expected, False)
    if difference:
        again = fresh()
        run.call(again)
        with contextlib.suppress(Exception):
            found = freezes.first(result.module, _traced(again, *run.arguments())[0])
            if found is not None:
                name = locate.location(found.place)
        message = f"tracing freezes what each call of the class changes: a second call differs, {difference}"
        result.warnings.append(_failure("trace-state", message, name, detail))


def state(module: Any) -> list[tuple[str, str, str]]:
    """The plain values that a module and its parts hold, of containers the length."""
    plain, containers = (bool, int, float, str, type(None)), (list, tuple, dict, set)
    return [
        (path, key, repr(value)[:200] if isinstance(value, plain) else str(len(value)))
        for path, part in module.named_modules()
        for key, value in vars(part).items()
        if isinstance(value, (*plain, *containers)) and not key.startswith("_")
    ]


@dataclass(frozen=True)
class _Noted:
    """A warning of the tracer's: of a Tensor that becomes a constant, or from inside of torch's own functions."""

    failure: Failure
    of_constant: bool
    of_torch: bool


def _traced(module: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Any, list[_Noted]]:
    found: list[_Noted] = []
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
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", tracer_warning)
        warnings.showwarning = show  # type: ignore[assignment]
        traced = jit.trace(module, **options)
    # Torch makes this once, and after a run without optimization it is another: two traces are compared.
    traced.inlined_graph  # noqa: B018  # asking for it is what counts
    return traced, found


def _raised_at(error: Exception) -> Location | None:
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


def _why(error: Exception) -> str:
    """The error in a line; values that it prints are left out."""
    if tracer.cannot_type(str(error)):
        return "it takes and gives Tensors and containers of one type; a value here is something else"
    return first_line(error)[:200]


def _untraceable(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    """The first input that is no Tensor."""
    plain = (int, float, bool, str, type(None))
    for value in (*arguments, *keywords.values()):
        if isinstance(value, plain):
            return f"it takes Tensors only, and an input is {value!r}"
    return ""


def _noted(text: str, frame: FrameType | None) -> Iterator[_Noted]:
    """The warning at the innermost frame of the user's, unless it only guards an error."""
    frames = list(_outwards(frame))
    frame = observe.innermost(frames, lambda item: item.f_code.co_filename)
    inner = next((item for item in frames if not item.f_code.co_filename.endswith(_PLUMBING)), None)
    inner = None if inner is frame else inner
    if frame is None or _guards_an_error(inner or frame) or _guards_an_error(frame):
        return
    kind = tracer.warning(text)
    words = _WORDS.get(kind) or text.split(". ")[0]
    place = locate.location(locate.expression(frame.f_code, frame.f_lasti, frame.f_lineno))
    source = _source(place)
    if _OWN_LENGTH.fullmatch(source) or _LITERAL.fullmatch(source):
        return
    if _SIZE.search(source):
        words = _OF_SIZES.get(kind, words)
    yield _Noted(
        _failure(kind, words, place, text, {"code": source[:60]}),
        kind == "trace-constant",
        inner is not None and inner.f_code.co_filename.startswith(_LAYERS),
    )


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _source(place: Location) -> str:
    """The text of a place in a file, up to the end of its first line."""
    where = place.range
    text = linecache.getline(place.path, where.line)
    return text[where.column : where.end_column if where.end_line == where.line else None]


def _failure(kind: str, message: str, location: Location, detail: str, facts: Facts | None = None) -> Failure:
    return finding("trace-warning", kind, message, location, detail, facts=facts)


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
