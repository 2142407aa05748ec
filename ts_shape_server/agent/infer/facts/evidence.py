"""Runs the slices that the workspace's own code gives: constructor arguments and real inputs, each with its label.

A slice is a stranger's code, run under a time limit; one that fails is left out, and said where it was to give real
data. Strongest kind first: real data, then calls. What comes out are guesses, never live objects.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from ts_shape_server.agent import devices, importing, runs, shares, standins, torch_says, trees
from ts_shape_server.agent.clock import TimeLimit, now, waiting_limit
from ts_shape_server.agent.command_lines import ByName
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer.facts import drawing, open_numbers, partly
from ts_shape_server.agent.infer.guesses import portable, remade, values
from ts_shape_server.agent.infer.running.memory import SkipInitialisation
from ts_shape_server.contract.asked import CallArguments, CallEvidence

MAXIMUM = 15
MAXIMUM_WAITS = 2
"""After so many slices that took too long no others are run."""
_IMPORT = re.compile(r"^\s*(?:from|import)\s+(\w+)", re.MULTILINE)
_ACCELERATOR = re.compile(r"cuda|\b(?:mps|xpu)\b")
_ORDER = {
    "pragma": 0,
    "annotation": 1,
    "loader": 2,
    "trace": 3,
    "export": 4,
    "call": 5,
    "script": 6,
    "constructor": 7,
    "settings": 8,
}


Span = tuple[int, int, int, int]


@dataclass(frozen=True)
class Drawn:
    """What one piece of evidence gave: constructor expressions, guesses by parameter, or both.

    `certain` where the call is reached on an object that is as `init` made it: what it denies is an error there.
    `integers` are the integer tensors among the inputs, in their order: a layer may take a value in one place only.
    `numbers` are guesses for what the modules among the arguments are made of, by the name of their parameter.
    """

    label: str
    kind: str
    path: str
    line: int
    init: Mapping[str, str] | None
    inputs: Mapping[str, values.InputGuess] | None
    span: Span | None = None
    certain: bool = False
    integers: tuple[torch.Tensor, ...] = field(default=(), compare=False, repr=False)
    numbers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """A call that cannot bind to the signature it is for. `target` is ``__init__`` or ``forward``."""

    label: str
    path: str
    line: int
    target: str
    error: TypeError
    span: Span | None = None


@dataclass(frozen=True)
class Evidence:
    """All that was drawn, strongest first; calls that do not fit a signature; and what could not be had, in words.

    `partial` are constructions of which some arguments could not be had, and objects of settings that a class may be
    given: those say less than any other.
    """

    drawn: tuple[Drawn, ...]
    refused: tuple[Refused, ...]
    notes: tuple[str, ...]
    partial: tuple[Drawn, ...] = ()


def draw_all(cls: type, items: Sequence[CallEvidence], context: Context, by_name: ByName) -> Evidence:
    """Every piece of evidence that could be run, strongest first. `by_name` guesses what a command line has to give."""
    drawn: list[Drawn] = []
    partial: list[Drawn] = []
    refused: list[Refused] = []
    notes: dict[str, str] = {}
    waited = 0
    deadline = now() + shares.EVIDENCE.of(context.remaining())
    for item in sorted(items, key=lambda item: _ORDER.get(item.kind, 9))[:MAXIMUM]:
        setup = item.setup
        left = deadline - now()
        if left <= 0 or setup in notes or waited >= MAXIMUM_WAITS:
            continue
        try:
            made = draw(cls, item, context, by_name, shares.SLICE.of(left))
        except _DoesNotFit as error:
            if item.certain:
                refused.append(Refused(item.label, item.path, item.line, error.target, error.cause, _span(item)))
            continue
        except TimeLimit:
            waited += 1
            notes[setup] = f"{_named(item)} gave nothing within {shares.SLICE.of(left):.0f} s and was not waited for."
            continue
        except (Exception, SystemExit) as error:
            if item.kind == "loader":
                notes[setup] = f"{_named(item)} gave no item: {_why(error, setup)}."
            if item.kind in ("constructor", "settings"):
                with contextlib.suppress(Exception, SystemExit, TimeLimit):
                    partial += _draw_partly(cls, item, context, by_name, shares.SLICE.of(left))
            continue
        if made.init is not None or made.inputs is not None:
            (partial if item.kind == "settings" else drawn).append(made)
    return Evidence(tuple(drawn), tuple(refused), tuple(dict.fromkeys(notes.values())), tuple(partial))


def _why(error: BaseException, setup: str) -> str:
    """The error, or the package whose absence is behind it: a stand-in has no items."""
    missing = standins.stood_in(imported.group(1) for imported in _IMPORT.finditer(setup))
    return f"it needs `{missing}`, which is not installed" if missing else torch_says.one_line(error)


class _DoesNotFit(Exception):
    """Arguments that a signature refuses."""

    def __init__(self, target: str, cause: TypeError) -> None:
        super().__init__(str(cause))
        self.target = target
        self.cause = cause


def _span(item: CallEvidence) -> Span | None:
    """The range of the call: line, column, end line, end column."""
    found = item.range
    return None if found is None else (found.line, found.column, found.end_line, found.end_column)


def _named(item: CallEvidence) -> str:
    kind, _, rest = item.label.partition(" ")
    what, _, place = rest.rpartition(" ")
    return f"The {kind} `{what}` in {place}" if what and what != kind else f"The {kind} in {place or rest}"


def draw(cls: type, item: CallEvidence, context: Context, by_name: ByName, seconds: float = shares.SLICE.most) -> Drawn:
    """What one piece of evidence gives. Raises what its code raises here, `TimeLimit` where that takes too long."""
    namespace = _surrounding_names(item, context)
    init: dict[str, str] | None = None
    inputs: dict[str, values.InputGuess] | None = None
    integers: tuple[torch.Tensor, ...] = ()
    without_weights = SkipInitialisation(of_parameters=True)
    surroundings = drawing.surroundings(item.path, context.root, by_name)
    with waiting_limit(seconds), surroundings, torch.no_grad(), without_weights, _default_dtype_put_back():
        runs.seed()
        if item.setup:
            tree = _of_this_file(item.setup, item.path, context)
            exec(compile(tree, item.path or "<evidence>", "exec", dont_inherit=True), namespace)
        if item.init is not None:
            init = _init(cls, item.init, namespace, context, item.setup)
        if item.inputs is not None:
            inputs, integers = _inputs(cls, item.inputs, namespace, item.label or "call", context.namespace)
            if inputs is not None and item.cast:
                inputs = _uncast(inputs, item.cast)
    certain = item.certain == "values"
    return Drawn(item.label, item.kind, item.path, item.line, init, inputs, _span(item), certain, integers)


def _surrounding_names(item: CallEvidence, context: Context) -> dict[str, Any]:
    """The names that a slice may use: those of the class's file."""
    if _ACCELERATOR.search(f"{item.setup} {item.init} {item.inputs}"):
        devices.pretend()
    own = {"__name__": "ts_shape_evidence", "__file__": item.path}
    if item.path != context.path:
        own = {**own, **_package(item)}
    return {"torch": torch, **context.namespace, **own}


def _package(item: CallEvidence) -> dict[str, Any]:
    """What the imports of a slice of another file than the class's are relative to."""
    try:
        tree = ast.parse(item.setup)
    except SyntaxError:
        return {}
    return {"__package__": importing.module_name(item.path, tree).rpartition(".")[0], "__spec__": None}


def _draw_partly(cls: type, item: CallEvidence, context: Context, by_name: ByName, seconds: float) -> Iterator[Drawn]:
    """The arguments of a construction whose slice fails that do not depend on what failed."""
    assert item.init is not None
    namespace = _surrounding_names(item, context)
    surroundings = drawing.surroundings(item.path, context.root, by_name)
    with waiting_limit(seconds), surroundings, torch.no_grad(), SkipInitialisation(of_parameters=True):
        runs.seed()
        tree = _of_this_file(item.setup, item.path, context)
        lost = partly.run(tree, item.path, namespace, by_name)
        call, numbers = _with_numbers(item.init, namespace, by_name)
        numbers = {**lost.numbers, **numbers}
        guessed = list(dict.fromkeys((*_filled(lost, by_name), *numbers)))
        init = _init(cls, call, namespace, context, ast.unparse(tree), partial=True)
        if init:
            label = f"{item.label}, with a guess for {', '.join(guessed)}" if guessed else item.label
            yield Drawn(label, item.kind, item.path, item.line, init, None, _span(item), numbers=numbers)


def _with_numbers(
    call: CallArguments, namespace: Mapping[str, Any], by_name: ByName
) -> tuple[CallArguments, Mapping[str, int]]:
    """A call whose arguments make modules, with guesses for the numbers that cannot be had; and those by name."""
    guessed: dict[str, int] = {}

    def filled(text: str) -> str:
        if text.startswith("*"):
            return text
        made, numbers = open_numbers.filled(ast.parse(text, mode="eval").body, namespace, by_name)
        guessed.update(numbers)
        return ast.unparse(made) if numbers else text

    args = tuple(map(filled, call.args))
    named = tuple((name, text if name.startswith("*") else filled(text)) for name, text in call.kwargs)
    return CallArguments(args, named), guessed


def _filled(lost: partly.Lost, by_name: ByName) -> list[str]:
    """The settings that were not set, now set to numbers that their names suggest."""
    guessed: list[str] = []
    for owner, name in lost.attributes:
        with contextlib.suppress(SyntaxError, ValueError, AttributeError):
            setattr(owner, name, ast.literal_eval(by_name(name)))
            guessed.append(name)
    return list(dict.fromkeys(guessed))


@contextlib.contextmanager
def _default_dtype_put_back() -> Iterator[None]:
    """What a script says for its own tensors is not for the runs that follow."""
    before = torch.get_default_dtype()
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _of_this_file(setup: str, path: str, context: Context) -> ast.Module:
    """The statements of a slice, without the classes and functions that the class's own file has defined already: an
    object of a class that was made again is none of the file's.
    """
    tree = ast.parse(setup)
    if path == context.path:
        known = context.namespace
        defined = (ast.ClassDef, ast.FunctionDef)
        tree.body = [item for item in tree.body if not (isinstance(item, defined) and item.name in known)]
    return tree


def _uncast(inputs: Mapping[str, values.InputGuess], dtype: str) -> dict[str, values.InputGuess]:
    """What the class itself takes where the object was converted to `dtype`, and its floating inputs with it."""

    def plain(_: int, guess: values.TensorGuess) -> values.TensorGuess:
        return replace(guess, dtype="float32") if guess.dtype == dtype else guess

    return dict(zip(inputs, values.map_tensors(tuple(inputs.values()), plain)))


def _texts(call: CallArguments, namespace: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    """The expressions of a call by position and by name, with ``*args`` and ``**keywords`` taken apart."""
    positional: list[str] = []
    for text in call.args:
        if text.startswith("*"):
            positional += [f"list({text[1:]})[{place}]" for place, _ in enumerate(eval(text[1:], namespace))]
        else:
            positional.append(text)
    named: dict[str, str] = {}
    for name, text in call.kwargs:
        if name.startswith("*"):
            named.update({str(key): f"({text})[{key!r}]" for key in dict(eval(text, namespace))})
        else:
            named[name] = text
    return positional, named


def _bound(
    target: str, signature: inspect.Signature, arguments: Sequence[Any], keywords: Mapping[str, Any]
) -> inspect.BoundArguments:
    try:
        return signature.bind(*arguments, **keywords)
    except TypeError as error:
        raise _DoesNotFit(target, error) from None


def _init(
    cls: type, call: CallArguments, namespace: dict[str, Any], context: Context, setup: str, partial: bool = False
) -> dict[str, str] | None:
    """Constructor expressions that hold in the module's own namespace, None if one of them has no spelling there.

    With `partial`, those that can be had are given, and the others left out.
    """
    positional, named = _texts(call, namespace)

    def spelled(text: str) -> str | None:
        try:
            found = portable.spelled(text, namespace, context.namespace)
        except Exception:
            if partial:
                return None
            raise
        if found is None:
            found = remade.spelled(setup, text, namespace, context.namespace)
            # What made it may have failed in the end.
            found = None if partial and found is not None and not _holds(found, context) else found
        return found

    args = [spelled(text) for text in positional]
    keywords = {name: spelled(text) for name, text in named.items()}
    bound = _bound("__init__", inspect.signature(cls), args, keywords)
    if any(item is None for item in (*args, *keywords.values())):
        if not partial or any(item.startswith("*") for item in call.args):
            return None
        bound.arguments = {name: text for name, text in bound.arguments.items() if isinstance(text, str)}
    result: dict[str, str] = {}
    for name, parameter in bound.signature.parameters.items():
        if name not in bound.arguments:
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            result["*" + name] = "[" + ", ".join(bound.arguments[name]) + "]"
        elif parameter.kind is parameter.VAR_KEYWORD:
            result.update(bound.arguments[name])
        else:
            result[name] = bound.arguments[name]
    return result


def _holds(expression: str, context: Context) -> bool:
    try:
        runs.evaluate(expression, context.namespace)
    except Exception:
        return False
    return True


def _inputs(
    cls: type, call: CallArguments, namespace: dict[str, Any], label: str, own: Mapping[str, Any]
) -> tuple[dict[str, values.InputGuess] | None, tuple[torch.Tensor, ...]]:
    """The guesses by parameter, None if one of the values is nothing that can be told; and the integer tensors."""
    positional, named = _texts(call, namespace)
    arguments = [eval(text, namespace) for text in positional]
    keywords = {name: eval(text, namespace) for name, text in named.items()}
    bound = _bound("forward", runs.forward_signature(cls), arguments, keywords)
    result: dict[str, values.InputGuess] = {}
    integers: list[torch.Tensor] = []
    for name, parameter in bound.signature.parameters.items():
        if name not in bound.arguments:
            continue
        given = bound.arguments[name]
        if parameter.kind is parameter.VAR_KEYWORD:
            pairs = list(given.items())
        else:
            pairs = [("*" + name if parameter.kind is parameter.VAR_POSITIONAL else name, given)]
        for key, value in pairs:
            guess = values.from_value(value, own)
            if guess is None:
                return None, ()
            result[key] = values.InputGuess(key, guess, label, True)
            integers += [item.detach() for item in trees.tensors(value, fields=True) if "int" in str(item.dtype)]
    return result, tuple(integers)
