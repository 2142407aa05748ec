"""Whether the object that is called takes what is passed to it: sizes, dtypes, and the values of indices.

Fake tensors show which sizes a layer refuses. Kernels alone look at dtypes and at values: where these are others than
what was found to run, real tensors decide. Runs; says nothing in words.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.infer import solve
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.running import instances, mismatch
from ts_shape_server.agent.infer.running.session import Session

ERRORS = (RuntimeError, ValueError, IndexError, AssertionError, TypeError)
_OF_DTYPES = ("dtypes-differ", "integer-needed", "float-needed")
_OF_VALUES = ("index-out-of-range", "item-missing")


@dataclass(frozen=True)
class Denial:
    """The error, the layer that refuses, what is missing between two layers; and of indices that are out of range the
    parameter, a number that is passed, and the least and greatest that are taken.
    """

    error: BaseException
    wrong: mismatch.Mismatch | None = None
    flat: mismatch.MissingReshape | None = None
    outside: tuple[str, int, tuple[int, int]] | None = None


def are_changed(passed: values.Inputs, found: values.Inputs) -> bool:
    """Whether the search came from what is passed to tensors of other sizes, another dtype or fewer values."""
    return any(
        (one.dims, one.dtype) != (other.dims, other.dtype) or one.low < other.low or one.high > other.high
        for _, one, other in _pairs(passed, found)
    )


def of(session: Session, own: Mapping[str, str] | None, passed: values.Inputs, found: values.Inputs) -> Denial | None:
    """What the session's object, or one made with arguments of its `own`, refuses of what is passed, where `found`
    runs; None if it takes it, or where only other values could tell.
    """
    if own is not None:
        try:
            session = instances.build(session.cls, own, session.namespace, solve.warm())
        except Exception:
            return None
    denied = _of_dtypes(session, passed, found) or (_of_values(session, passed, found) if own is None else None)
    if denied is not None or session.real_only:
        return denied
    watched = mismatch.FailingLayer(session.module)
    error = session.concrete(passed, [watched]).error
    if not isinstance(error, ERRORS) or session.real_only:
        return None
    if not isinstance(session.quickly(passed).error, ERRORS):
        return None
    flat = mismatch.missing_reshape(error, watched, session.module)
    return Denial(error, mismatch.given(error, watched, "", ""), flat)


def _of_dtypes(session: Session, passed: values.Inputs, found: values.Inputs) -> Denial | None:
    """Tensors of a dtype that kernels refuse, and not only for want of the casts of autocast."""
    if not any(one.dtype != other.dtype for _, one, other in _pairs(passed, found)):
        return None
    error = session.quickly(passed).error
    if error is None or not any(kind in torch_says.read(error) for kind in _OF_DTYPES):
        return None
    with torch.autocast("cpu", torch.bfloat16):
        return None if session.quickly(passed).ok else Denial(error)


def _of_values(session: Session, passed: values.Inputs, found: values.Inputs) -> Denial | None:
    """Indices that are out of range."""
    for name, one, other in _pairs(passed, found):
        number = one.high if one.high > other.high else one.low
        if "int" not in one.dtype or other.low <= number <= other.high:
            continue
        all_alike = values.map_tensors(passed, functools.partial(_all_alike, tensor=one, number=number))
        error = session.quickly(all_alike).error
        if error is not None and any(kind in torch_says.read(error) for kind in _OF_VALUES):
            return Denial(error, outside=(name, number, (other.low, other.high)))
    return None


def _all_alike(_: int, guess: values.TensorGuess, tensor: values.TensorGuess, number: int) -> values.TensorGuess:
    return replace(guess, low=number, high=number) if guess == tensor else guess


def _pairs(passed: values.Inputs, found: values.Inputs) -> list[tuple[str, values.TensorGuess, values.TensorGuess]]:
    """Each tensor that is passed beside the one that ran in its place."""
    ran = {item.name: list(values.tensors(item.guess)) for item in found}
    return [(item.name, *pair) for item in passed for pair in zip(values.tensors(item.guess), ran.get(item.name, ()))]
