"""The sizes at which a claim begins: those that were found, but for sides of one that have nothing to do with it.

Limits that are read beside a side of one are those of that row alone: an instance norm needs two places, and beside one
row that looks like two columns. Knows nothing of names.
"""

from __future__ import annotations

from dataclasses import replace

from ts_shape_server.agent import trees
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.inputs.search import Found
from ts_shape_server.agent.infer.running.session import Session

LONGER = (5, 8)
"""Sides that are tried in the place of one: with a side that is spread over another, no two of them run."""
FIRST_SIDE = 2
"""The axes before it are those of the batch and of channels."""


def of(session: Session, found: Found) -> Found:
    """The find with sides of more than one where those run. A side of a tensor that is spread over another one, as a
    mask is, stays one.
    """
    slot = 0
    for tensor in values.all_tensors(found.inputs):
        for axis, size in enumerate(tensor.dims):
            if size == 1 and axis >= FIRST_SIDE and tensor.dtype.startswith("float"):
                found = _with_longer(session, found, slot)
            slot += 1
    return found


def _with_longer(session: Session, found: Found, slot: int) -> Found:
    sizes = values.sizes(found.inputs)
    rank = _ranks(found.outcome.output)
    for longer in LONGER:
        inputs = values.with_sizes(found.inputs, [longer if at == slot else size for at, size in enumerate(sizes)])
        outcome = session.concrete(inputs)
        if not outcome.ok or _ranks(outcome.output) != rank:
            return found
    return replace(found, inputs=inputs, outcome=outcome)


def _ranks(output: object) -> list[int]:
    return [tensor.dim() for tensor in trees.tensors(output)]
