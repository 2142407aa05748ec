"""Other sizes for the same structure: what consumers document, what an error names. Equations are `solving`'s."""

from __future__ import annotations

from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.inputs import solving, wishes
from ts_shape_server.agent.infer.inputs.moves.move import Attempt, Proposals, move
from ts_shape_server.agent.infer.running import mismatch

WISH_PRIORITY, PLAIN_PRIORITY, EQUATION_PRIORITY = -3, -2, -1
"""What consumers document is tried first, then a size that the error names, and other structures after the equation."""


@move
def documented_form(attempt: Attempt) -> Proposals:
    """A tensor has the form that the layer documents which takes it first.

    before: x=T(2, 3, 64, 64)
    wishes: rank=3
    says: RuntimeError: it fails
    after: x=T(2, 8, 16)
    """
    wished = wishes.fulfilled(attempt.inputs, attempt.wishes, ranks=True)
    if wished != attempt.inputs:
        yield WISH_PRIORITY, wished


@move
def size_that_is_named(attempt: Attempt) -> Proposals:
    """Of two sizes that should be one, the input's is the other one.

    before: x=T(2, 37)
    says: RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x37 and 10x5)
    after: x=T(2, 10)
    """
    pair = mismatch.sizes_that_disagree(attempt.error)
    if pair is not None:
        for solved in solving.replaced(values.sizes(attempt.inputs), solving.places(attempt.inputs), *pair):
            yield PLAIN_PRIORITY, values.with_sizes(attempt.inputs, solved)


@move
def part_of_size_that_is_named(attempt: Attempt) -> Proposals:
    """Where a run leaves no equation, a size that is wanted may be a multiple of the input's.

    before: x=T(2, 5, 3)
    real: True
    says: RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x15 and 12x5)
    after: x=T(2, 4, 3)
    """
    pair = mismatch.sizes_that_disagree(attempt.error) if attempt.real_only else None
    if pair is not None:
        for solved in solving.scaled(values.sizes(attempt.inputs), solving.places(attempt.inputs), *pair):
            yield EQUATION_PRIORITY, values.with_sizes(attempt.inputs, solved)


ALL = (documented_form, size_that_is_named, part_of_size_that_is_named)
