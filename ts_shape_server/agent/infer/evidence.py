"""Runs the slices that the workspace's own code gives: constructor arguments and real inputs, each with its label.

A slice is a stranger's code, run under a time limit; one that fails is left out. Strongest kind first: real data, then
calls. What comes out are guesses, never live objects.
"""

from __future__ import annotations

import contextlib
import inspect
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ts_shape_server.agent import runs
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer import values
from ts_shape_server.agent.infer.limits import TimeLimit, time_limit

SECONDS = 3.0
_ORDER = {"pragma": 0, "annotation": 1, "loader": 2, "trace": 3, "export": 4, "call": 5, "script": 6, "constructor": 7}


@dataclass(frozen=True)
class Drawn:
    """What one piece of evidence gave: constructor expressions, guesses by parameter, or both."""

    label: str
    kind: str
    path: str
    line: int
    init: Mapping[str, str] | None
    inputs: Mapping[str, values.InputGuess] | None


def draw_all(cls: type, items: list[Mapping[str, Any]], context: Context) -> list[Drawn]:
    """Every piece of evidence that could be run, strongest first."""
    drawn = [
        draw(cls, item, context) for item in sorted(items, key=lambda item: _ORDER.get(item.get("kind", ""), 9))[:12]
    ]
    return [item for item in drawn if item is not None and (item.init is not None or item.inputs is not None)]


def draw(cls: type, item: Mapping[str, Any], context: Context) -> Drawn | None:
    """What one piece of evidence gives; None where its code does not run here."""
    namespace: dict[str, Any] = {"torch": torch, **context.namespace, "__name__": "ts_shape_evidence"}
    init: dict[str, str] | None = None
    inputs: dict[str, values.InputGuess] | None = None
    try:
        with time_limit(min(SECONDS, max(0.1, context.remaining() / 4))), _quiet(), torch.no_grad():
            runs.seed()
            if item.get("setup"):
                exec(compile(item["setup"], str(item.get("path", "<evidence>")), "exec", dont_inherit=True), namespace)
            if item.get("init") is not None:
                init = _init(cls, item["init"], namespace, context)
            if item.get("inputs") is not None:
                inputs = _inputs(cls, item["inputs"], namespace, str(item.get("label", "call")))
    except (Exception, TimeLimit, SystemExit):
        return None
    return Drawn(
        str(item.get("label", "")),
        str(item.get("kind", "")),
        str(item.get("path", "")),
        int(item.get("line", 0)),
        init,
        inputs,
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _init(cls: type, call: Mapping[str, Any], namespace: dict[str, Any], context: Context) -> dict[str, str] | None:
    """Constructor expressions that hold in the module's own namespace. TypeError if they do not fit the signature."""
    positional = [_spelled(text, namespace, context) for text in call.get("args", ())]
    keywords = {name: _spelled(text, namespace, context) for name, text in dict(call.get("kwargs", {})).items()}
    if any(item is None for item in (*positional, *keywords.values())):
        return None
    bound = inspect.signature(cls).bind(*positional, **keywords)
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


def _spelled(text: str, namespace: dict[str, Any], context: Context) -> str | None:
    """An expression for the value of `text` that the module's namespace understands, None if there is none."""
    value = eval(text, namespace)
    if _plain(value):
        return repr(value)
    try:
        runs.evaluate(text, context.namespace)
    except Exception:
        return None
    return text


def _plain(value: Any) -> bool:
    if value is None or isinstance(value, (bool, int, float, str)):
        return True
    if type(value) in (list, tuple):
        return all(_plain(item) for item in value)
    return type(value) is dict and all(_plain(key) and _plain(item) for key, item in value.items())


def _inputs(
    cls: type, call: Mapping[str, Any], namespace: dict[str, Any], label: str
) -> dict[str, values.InputGuess] | None:
    arguments = [eval(text, namespace) for text in call.get("args", ())]
    keywords = {name: eval(text, namespace) for name, text in dict(call.get("kwargs", {})).items()}
    forward = cls.forward  # type: ignore[attr-defined]  # only modules come here
    bound = inspect.signature(forward).bind(None, *arguments, **keywords)
    result: dict[str, values.InputGuess] = {}
    for name, value in list(bound.arguments.items())[1:]:
        guess = values.from_value(value)
        if guess is None:
            return None
        result[name] = values.InputGuess(name, guess, label, True)
    return result


def pragma_inputs(pragmas: Mapping[str, str]) -> dict[str, values.InputGuess]:
    """Guesses from pragmas such as ``(B, 3, 28, 28)``, ``(B, 7) int64`` or ``[(L, ) int64, ...]``.

    Bad ones are left out.
    """
    result: dict[str, values.InputGuess] = {}
    for name, text in pragmas.items():
        guess = pragma_guess(text)
        if guess is not None:
            result[name] = values.InputGuess(name, guess, "pragma", True)
    return result


def pragma_guess(text: str) -> values.Guess | None:
    """The guess of one pragma value; a Python literal is a constant. None if it is neither."""
    import re

    text = text.strip()
    listed = re.fullmatch(r"\[(\(.*?\)\s*\w*)\s*,\s*\.\.\.\]", text)
    if listed:
        inner = pragma_guess(listed.group(1))
        return None if inner is None else values.SequenceGuess((inner, inner), "list")
    match = re.fullmatch(r"\(([^()]*)\)\s*(\w*)", text)
    if match:
        dims = [part.strip() for part in match.group(1).split(",") if part.strip()]
        dtype = match.group(2) or "float32"
        if not isinstance(getattr(torch, dtype, None), torch.dtype):
            return None
        numbers = {4: (2, 3, 64, 64), 3: (2, 8, 16), 2: (2, 16), 1: (16,)}.get(len(dims), (2,) * len(dims))
        sizes = tuple(int(part) if part.isdigit() else numbers[axis] for axis, part in enumerate(dims))
        axes = tuple(part if part.isidentifier() else None for part in dims)
        return values.TensorGuess(sizes, dtype, 0, 1, axes)
    try:
        import ast

        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return None
    return values.from_value(value)
