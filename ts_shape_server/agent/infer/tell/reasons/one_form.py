"""Whether what follows from one attempt holds for every input: the number of dims of each tensor is known."""

from __future__ import annotations

import functools

from ts_shape_server.agent import runs, torch_says
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.guesses.first_tensors import ranked
from ts_shape_server.agent.infer.inputs import search
from ts_shape_server.agent.infer.running import mismatch
from ts_shape_server.agent.infer.running.session import Session
from ts_shape_server.agent.infer.tell.reasons.unsolved import Unfound

OTHER_RANKS = (1, 2, 3, 4, 5)


def are_all_tensors(unfound: Unfound) -> bool:
    """Whether tensors are all that goes in, and every parameter gets one: a flag, a number or what may be left out can
    lead another way.
    """
    given = {item.name for item in unfound.result.inputs if isinstance(item.guess, values.TensorGuess)}
    try:
        names = set(runs.forward_signature(unfound.session.cls).parameters)
    except (TypeError, ValueError):
        return False
    return bool(given) and names == given


def has_one_form(unfound: Unfound) -> bool:
    """Whether a layer takes that number of dims alone, or `forward` unpacks it, for each tensor, and any other number
    is refused for being another one. Runs each other number.
    """
    result = unfound.result
    tensors = values.all_tensors(result.inputs)
    if not all(_is_known(result, index, tensor) for index, tensor in enumerate(tensors)):
        return False
    others = [(index, rank) for index, tensor in enumerate(tensors) for rank in OTHER_RANKS if rank != len(tensor.dims)]
    return all(_is_refused(unfound.session, result.inputs, index, rank) for index, rank in others)


def _is_known(result: search.NotFound, index: int, tensor: values.TensorGuess) -> bool:
    rank = len(tensor.dims)
    wish = result.outcome.wishes.get(index)
    unpacked = len(tensor.axes) == rank and all(tensor.axes)
    return unpacked or (wish is not None and (wish.later or (wish.rank if wish.firm else None)) == rank)


def _is_refused(session: Session, inputs: values.Inputs, index: int, rank: int) -> bool:
    """Whether so many dims are refused for their number: else `forward` goes another way with them."""
    error = session.concrete(values.with_tensor(inputs, index, functools.partial(ranked, rank=rank))).error
    return error is not None and any(kind in torch_says.read(error) for kind in mismatch.RANK_KINDS)
