"""`forward` makes tensors of a dtype that its weights only have once they are converted: ``module.double()``.

An author who makes tensors of a dtype in `forward` converts the module where he makes it. Shown by a short search on a
converted copy in memory.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from ts_shape_server.agent import shares, torch_says
from ts_shape_server.agent.clock import now
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.guesses.values import Guess, TensorGuess
from ts_shape_server.agent.infer.inputs import search
from ts_shape_server.agent.infer.running.session import Session
from ts_shape_server.agent.infer.tell.reasons.unsolved import Unfound, Unsolved, shape, unsolved

CONVERSIONS: Mapping[str, str] = {"float64": "double", "float16": "half", "bfloat16": "bfloat16"}
"""The method of a module that gives its weights a dtype."""
ATTEMPTS = 24
LARGEST = 1 << 24
"""Elements of the weights of a module that is copied."""


@dataclass(frozen=True)
class _Converted:
    """The method that has to be called, and the inputs that run then."""

    method: str
    dtype: str
    inputs: values.Inputs


def reason(unfound: Unfound) -> Unsolved | None:
    other = _converted(unfound)
    if other is None:
        return None
    tensors = [(item.name, item.guess) for item in other.inputs if isinstance(item.guess, TensorGuess)]
    shapes = ", ".join(f"`{name}` {shape(guess)} {guess.dtype}" for name, guess in tensors)
    message = (
        f"It runs only after `.{other.method}()`: as it is made, its weights are float32, and `forward` makes "
        f"{other.dtype} tensors. Converted, it takes for example {shapes}."
    )
    named = "no-input", "runs-converted"
    facts = {"method": other.method, "dtype": other.dtype}
    return unsolved(unfound.context, unfound.error, *named, message, place=unfound.place(), facts=facts)


def _converted(unfound: Unfound) -> _Converted | None:
    """The conversion after which the module runs; None where the last failure is not about a dtype, or none helps."""
    session, context = unfound.session, unfound.context
    differing = torch_says.read(unfound.error).get("dtypes-differ")
    names = [name for name in differing.names("dtypes") if name in CONVERSIONS] if differing is not None else []
    weights = [item for item in session.module.parameters() if item.is_floating_point()]
    if not names or {item.dtype for item in weights} != {torch.float32} or sum(map(torch.numel, weights)) > LARGEST:
        # A module of several dtypes may want them to be one, whichever.
        return None
    for dtype in names:
        try:
            module = copy.deepcopy(session.real).to(getattr(torch, dtype))
        except Exception:  # what the constructor raises on real memory, and what cannot be copied
            return None
        other = Session(session.cls, session.namespace, None, None, functools.partial(_itself, module))
        starts = [_of_dtype(unfound.result.inputs, dtype)]
        lines = dict(enumerate(context.source.splitlines(), 1))
        deadline = now() + shares.CONVERTED.of(context.remaining())
        found = search.search(other, starts, context.path, lines, deadline, attempts=ATTEMPTS)
        if isinstance(found, search.Found):
            return _Converted(CONVERSIONS[dtype], dtype, found.inputs)
    return None


def _itself(module: nn.Module) -> nn.Module:
    return module


def _of_dtype(inputs: values.Inputs, dtype: str) -> values.Inputs:
    def change(index: int, guess: TensorGuess) -> Guess:
        return replace(guess, dtype=dtype) if guess.dtype in ("float32", *CONVERSIONS) else guess

    return values.map_tensors(inputs, change)
