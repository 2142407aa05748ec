"""What a ``# ts-shape: x=…`` comment says of a parameter: shapes, lists, tuples and dicts of them, or a literal.

A named dim may be of any size, a number is meant. A dtype that is not written is not said. Runs nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import replace

import torch

from ts_shape_server.agent.infer.guesses import shape_text, values
from ts_shape_server.agent.infer.guesses.first_tensors import default_sizes
from ts_shape_server.agent.infer.guesses.shape_text import Names, WrittenShape

_TENSOR = re.compile(r"[(\[]([^()\[\]{}:]*)[)\]]\s*(\w*)")
_REPEATED = re.compile(r"\[(.+?)\s*,\s*\.\.\.\s*,?\s*\]", re.DOTALL)


def inputs(pragmas: Mapping[str, str]) -> dict[str, values.InputGuess]:
    """The guesses by parameter; a text that cannot be read is left out."""
    result: dict[str, values.InputGuess] = {}
    names: Names = {}
    for name, text in pragmas.items():
        found = guess(text, names)
        if found is not None:
            result[name] = values.InputGuess(name, found, "pragma", True)
    return result


def shapes(pragmas: Mapping[str, str]) -> dict[str, WrittenShape]:
    """The shapes of those that say one tensor."""
    found = {name: _shape(text.strip()) for name, text in pragmas.items()}
    return {name: item[0] for name, item in found.items() if item is not None}


def guess(text: str, names: Names | None = None) -> values.Guess | None:
    """The guess of one text, None if it is neither a shape nor a literal."""
    names = {} if names is None else names
    text = text.strip()
    shape = _shape(text)
    if shape is not None:
        return _tensor(*shape, names)
    repeated = _REPEATED.fullmatch(text)
    if repeated is not None:
        inner = guess(repeated.group(1), names)
        if inner is None:
            return None
        # Each item of a list has its own sizes.
        inner = values.map_tensors((values.InputGuess("", inner, ""),), _untied)[0].guess
        return values.SequenceGuess((inner, inner), "list")
    if text[:1] == "{" and text[-1:] == "}":
        return _mapping(text, names)
    parts = _parts(text)
    if parts is not None and any(part[:1] in "([{" for part in parts):
        items = [guess(part, names) for part in parts]
        kind = "list" if text[0] == "[" else "tuple"
        return None if None in items else values.SequenceGuess(tuple(item for item in items if item), kind)
    try:
        return values.from_value(ast.literal_eval(text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _shape(text: str) -> tuple[WrittenShape, str] | None:
    match = _TENSOR.fullmatch(text)
    if match is None or (text[0] == "[" and not match.group(2) and not re.search(r"[A-Za-z_]", match.group(1))):
        # A list of numbers without a dtype is a list of numbers.
        return None
    dtype = match.group(2)
    if dtype and not isinstance(getattr(torch, dtype, None), torch.dtype):
        return None
    parts = [part for part in match.group(1).split(",") if part.strip()]
    shape = shape_text.of_parts(parts, strong=True) if parts else WrittenShape(())
    return None if shape is None else (shape, dtype)


def _tensor(shape: WrittenShape, dtype: str, names: Names) -> values.TensorGuess | None:
    dims = shape.closed()
    if dims is None:
        return None
    guess = shape_text.tensor(shape, dtype or "float32", default_sizes(len(dims)), names)
    if guess is None:
        return None
    # Of a pragma, whoever writes one name twice means one size.
    tied = tuple(values.OneSize(name) if name is not None and name != "_" else name for name in guess.axes)
    return replace(guess, axes=tied)


def _untied(_: int, guess: values.TensorGuess) -> values.TensorGuess:
    return replace(guess, axes=tuple(None if name is None else str(name) for name in guess.axes))


def _mapping(text: str, names: Names) -> values.Guess | None:
    pairs: list[tuple[str, values.Guess]] = []
    for part in _parts(text) or []:
        key, colon, rest = part.partition(":")
        found = guess(rest, names) if colon else None
        if found is None:
            return None
        pairs.append((key.strip().strip("'\""), found))
    return values.DictGuess(tuple(pairs)) if pairs else None


def _parts(text: str) -> list[str] | None:
    """The texts between the commas of a bracketed text, a word behind a bracket kept with it; None if it has none."""
    if text[:1] not in "([{" or len(text) < 2 or text[-1] != {"(": ")", "[": "]", "{": "}"}[text[0]]:
        return None
    parts, depth, current = [], 0, ""
    for sign in text[1:-1]:
        depth += (sign in "([{") - (sign in ")]}")
        if depth < 0:
            return None
        if sign == "," and not depth:
            parts.append(current.strip())
            current = ""
        else:
            current += sign
    return [part for part in [*parts, current.strip()] if part] if not depth else None
