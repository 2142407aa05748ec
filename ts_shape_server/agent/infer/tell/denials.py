"""Whether the object that is called takes what is passed to it: sizes, dtypes, and the values of indices.

Fake tensors show which sizes a layer refuses. Kernels alone look at dtypes and at values: where these are others than
what was found to run, real tensors decide. Runs; says nothing in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer import solve
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.running import instances, mismatch
from ts_shape_server.agent.infer.running.session import Session, innermost_line
from ts_shape_server.agent.infer.tell import remedies

ERRORS = (RuntimeError, ValueError, IndexError, AssertionError, TypeError)
_OF_DTYPES = ("dtypes-differ", "integer-needed", "float-needed")
_OF_VALUES = ("index-out-of-range", "item-missing")
MOST_PLACES = 16
"""So many numbers that are out of a range are tried, each alone."""


@dataclass(frozen=True)
class Denial:
    """The error; the layer that refuses, and its name as a reader knows it; what would make it take what it is given;
    what is missing between two layers; of indices that are out of range the parameter, a number that is passed, and
    the least and greatest that are taken; and the expression of the class that fails.
    """

    error: BaseException
    wrong: mismatch.Mismatch | None = None
    layer: str = ""
    remedy: str = ""
    flat: mismatch.MissingReshape | None = None
    outside: tuple[str, int, tuple[int, int]] | None = None
    place: mismatch.Place | None = None


def are_changed(passed: values.Inputs, found: values.Inputs) -> bool:
    """Whether the search came from what is passed to tensors of other sizes, another dtype or fewer values."""
    return any(
        (one.dims, one.dtype) != (other.dims, other.dtype) or one.low < other.low or one.high > other.high
        for _, one, other in _pairs(passed, found)
    )


def of(
    session: Session,
    own: Mapping[str, str] | None,
    passed: values.Inputs,
    integers: Sequence[torch.Tensor],
    found: values.Inputs,
    context: Context,
) -> Denial | None:
    """What the session's object, or one made with arguments of its `own`, refuses of what is passed, where `found`
    runs; None if it takes it, or where only other values could tell. `integers` are the integer tensors among what is
    passed.
    """
    if own is not None:
        try:
            session = instances.build(session.cls, own, session.namespace, solve.warm())
        except Exception:
            return None
    denied = _of_dtypes(session, passed, found)
    if denied is None and own is None:
        denied = _of_values(session, passed, integers, found)
    if denied is not None or session.real_only:
        return denied
    watched = mismatch.FailingLayer(session.module)
    error = session.concrete(passed, [watched]).error
    if not isinstance(error, ERRORS) or session.real_only:
        return None
    if not isinstance(session.quickly(passed).error, ERRORS) or session.in_training(passed).ok:
        # A module is called as it is made, which is not in eval mode.
        return None
    flat = mismatch.missing_reshape(error, watched, session.module)
    wrong = mismatch.given(error, watched, context.path, context.source)
    layer = remedies.named(wrong.layer, session.module) if wrong is not None and wrong.layer else ""
    entered = watched.entered[-1] if watched.entered else ""
    place = mismatch.call_place(context.source, innermost_line(error, context.path), entered)
    missing = remedies.of(watched, session.module) or remedies.of_sum(error, values.all_tensors(passed))
    return Denial(error, wrong, layer, missing, flat, place=place)


def _of_dtypes(session: Session, passed: values.Inputs, found: values.Inputs) -> Denial | None:
    """Tensors of a dtype that kernels refuse, and not only for want of the casts of autocast."""
    if not any(one.dtype != other.dtype for _, one, other in _pairs(passed, found)):
        return None
    error = session.quickly(passed).error
    if error is None or not any(kind in torch_says.read(error) for kind in _OF_DTYPES):
        return None
    with torch.autocast("cpu", torch.bfloat16):
        return None if session.quickly(passed).ok else Denial(error)


def _of_values(
    session: Session, passed: values.Inputs, integers: Sequence[torch.Tensor], found: values.Inputs
) -> Denial | None:
    """Indices that are out of range, as a run with the very values shows: one column may take what another refuses."""
    pairs = [(name, one, other) for name, one, other in _pairs(passed, found) if "int" in one.dtype]
    wider = [pair for pair in pairs if pair[1].low < pair[2].low or pair[1].high > pair[2].high]
    if not wider or [one.dims for _, one, _ in pairs] != [tuple(item.shape) for item in integers]:
        return None
    error = session.quickly(passed, integers=integers).error
    if error is None or not any(kind in torch_says.read(error) for kind in _OF_VALUES):
        return None
    places = [at for at, pair in enumerate(pairs) if pair in wider]
    outside = next(filter(None, (_outside(session, passed, integers, pairs, at) for at in places)), None)
    return Denial(error, outside=outside)


def _outside(
    session: Session,
    passed: values.Inputs,
    integers: Sequence[torch.Tensor],
    pairs: Sequence[tuple[str, values.TensorGuess, values.TensorGuess]],
    at: int,
) -> tuple[str, int, tuple[int, int]] | None:
    """Of one tensor a number out of the range that was found, and that range; None where such a number runs in some
    places, so that the range is not that of all.
    """
    name, _, other = pairs[at]
    inside = [item.clamp(pair[2].low, pair[2].high) for item, pair in zip(integers, pairs)]
    flat = integers[at].flatten()
    beyond = ((flat < other.low) | (flat > other.high)).nonzero().flatten().tolist()
    for place in beyond[:: len(beyond) // MOST_PLACES + 1]:
        alone = inside[at].flatten().clone()
        alone[place] = flat[place]
        tried = [*inside[:at], alone.reshape(integers[at].shape), *inside[at + 1 :]]
        if session.quickly(passed, integers=tried).ok:
            return None
    return (name, int(flat[beyond[0]]), (other.low, other.high)) if beyond else None


def _pairs(passed: values.Inputs, found: values.Inputs) -> list[tuple[str, values.TensorGuess, values.TensorGuess]]:
    """Each tensor that is passed beside the one that ran in its place."""
    ran = {item.name: list(values.tensors(item.guess)) for item in found}
    return [(item.name, *pair) for item in passed for pair in zip(values.tensors(item.guess), ran.get(item.name, ()))]
