"""Where the search for inputs starts, in the order of evidence: pragma, data and calls, what is written, nothing.

A weaker kind fills what a stronger left open: a call gives the sizes that a pragma for another parameter does not.
Reads; runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ts_shape_server.agent.infer.facts import documented
from ts_shape_server.agent.infer.facts.body import Hint
from ts_shape_server.agent.infer.facts.documented import Written
from ts_shape_server.agent.infer.facts.evidence import Drawn
from ts_shape_server.agent.infer.guesses import shape_text, values
from ts_shape_server.agent.infer.guesses.first_tensors import default_sizes
from ts_shape_server.agent.infer.guesses.shape_text import WrittenShape
from ts_shape_server.agent.infer.inputs import starting


@dataclass(frozen=True)
class Said:
    """What the author says of the inputs by parameter, apart from code that runs."""

    pinned: Mapping[str, values.InputGuess]
    shapes: Mapping[str, WrittenShape]
    written: Mapping[str, Written]


@dataclass(frozen=True)
class Start:
    """Inputs to begin with. `drawn` is the call or loader that they come from; `by` names what else is behind them."""

    inputs: values.Inputs
    drawn: Drawn | None = None
    by: tuple[str, ...] = ()


def starts(
    cls: type, drawn: Sequence[Drawn], said: Said, module: Any = None
) -> tuple[list[Start], Mapping[str, Hint], tuple[values.InputGuess, ...]]:
    """The starts in their order, the hints of the body, and the parameters that are left to their defaults."""
    plain, known, omitted = starting.first_guess(cls, said.pinned, module)
    written = _with_written(plain, said)
    agreeing = [
        Start(starting.first_guess(cls, {**item.inputs, **said.pinned})[0], item) for item in drawn if item.inputs
    ]
    others = [item for item in agreeing if item.drawn is not None and not agrees(item.drawn.inputs or {}, said)]
    found = [item for item in agreeing if item not in others]
    if written != plain:
        found.append(Start(written, None, tuple(_labels(plain, written, said))))
    found += [*others, Start(plain)]
    if said.pinned:
        # A pragma that cannot be true is told at the pragma; the class still has inputs.
        found.append(Start(tuple(replace(item, given=False) for item in plain)))
        found.append(Start(starting.first_guess(cls, {}, module)[0]))
    return found, known, omitted


def agrees(inputs: Mapping[str, values.InputGuess], said: Said) -> bool:
    """Whether inputs are what pragmas and annotations say."""
    return all(disagreement(name, item.guess, said) is None for name, item in inputs.items())


def disagreement(name: str, guess: values.Guess, said: Said) -> tuple[str, WrittenShape] | None:
    """What formally says something else of a parameter: ``pragma`` or ``annotation``, and its shape."""
    if not isinstance(guess, values.TensorGuess):
        return None
    pinned, written = said.shapes.get(name), said.written.get(name)
    if pinned is not None and not shape_text.fits(pinned, guess.dims):
        return "pragma", pinned
    if written is not None and written.formal and not shape_text.fits(written.shape, guess.dims):
        return "annotation", written.shape
    return None


def _with_written(plain: values.Inputs, said: Said) -> values.Inputs:
    """The plain start with the shapes that are written down."""
    names: shape_text.Names = {}
    result = []
    for item in plain:
        written = said.written.get(item.name)
        made = None if written is None or item.given else _guess(item.guess, written, names)
        if made is None or written is None:
            result.append(item)
            continue
        result.append(values.InputGuess(item.name, made, documented.label(written)))
    return tuple(result)


def _guess(plain: values.Guess, written: Written, names: shape_text.Names) -> values.Guess | None:
    dims = written.shape.closed()
    if dims is None:
        return None
    first = next(iter(values.tensors(plain)), None)
    if first is None:
        return None
    dtype = written.dtype or first.dtype
    tensor = shape_text.tensor(written.shape, dtype, default_sizes(len(dims)), names)
    if tensor is None:
        return None
    if isinstance(plain, values.SequenceGuess) or (written.listed and isinstance(plain, values.TensorGuess)):
        kind = plain.kind if isinstance(plain, values.SequenceGuess) else "list"
        count = len(plain.items) if isinstance(plain, values.SequenceGuess) else 2
        return values.SequenceGuess((tensor,) * count, kind)
    return tensor if isinstance(plain, values.TensorGuess) else None


def _labels(plain: values.Inputs, written: values.Inputs, said: Said) -> list[str]:
    changed = [item.name for before, item in zip(plain, written) if before != item]
    return [documented.label(said.written[name]) for name in changed]


def sourced(found: values.Inputs, said: Said) -> values.Inputs:
    """The inputs with ``solved`` as the source of those that are not as the words behind them say."""
    return tuple(item if _as_said(item, said) else replace(item, source="solved") for item in found)


def _as_said(item: values.InputGuess, said: Said) -> bool:
    written, shape = said.written.get(item.name), said.shapes.get(item.name)
    if item.source == "pragma":
        shape = shape or WrittenShape((), 0)
    elif written is not None and item.source == documented.label(written):
        shape = written.shape
    else:
        return True
    tensors = list(values.tensors(item.guess))
    return not tensors or shape_text.fits(shape, tensors[0].dims)


def axes(known: Mapping[str, Hint], found: values.Inputs, said: Said) -> dict[str, tuple[str | None, ...]]:
    """The author's names for the axes of each input: those written down, else those that the body unpacks to."""
    result = {name: tuple(hint.axes) for name, hint in known.items()}
    for item in found:
        written = said.written.get(item.name)
        shape = said.shapes.get(item.name) or (None if written is None else written.shape)
        dims = None if shape is None else shape.closed()
        if dims is None or not isinstance(item.guess, values.TensorGuess) or len(dims) != len(item.guess.dims):
            continue
        body = result.get(item.name, ())
        result[item.name] = tuple(
            dim if isinstance(dim, str) and dim.isidentifier() else (body[axis] if axis < len(body) else None)
            for axis, dim in enumerate(dims)
        )
    return result
