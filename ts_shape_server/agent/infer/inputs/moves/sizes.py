"""Other sizes for the same structure: what consumers document, what an error names. Equations are `solving`'s."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.guesses.first_tensors import LARGEST_RANK, ranked
from ts_shape_server.agent.infer.guesses.values import Guess, TensorGuess
from ts_shape_server.agent.infer.inputs import solving, wishes
from ts_shape_server.agent.infer.inputs.moves.move import Attempt, Proposals, move, with_features
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
    if wished != attempt.inputs and (attempt.real_only or not values.same_form(wished, attempt.inputs)):
        # Without memory no value is looked at: what differs in values alone would only be run twice.
        yield WISH_PRIORITY, wished


@move
def form_of_later_layer(attempt: Attempt) -> Proposals:
    """A layer further on takes one number of dims, so what it is made from has as many more or fewer.

    before: x=T(2, 9)
    wishes: axes={-1: 9}, later=3
    says: RuntimeError: input_lengths must be of size batch_size
    after: x=T(2, 8, 9)
    """
    owners = values.owners(attempt.inputs)
    for index, guess in enumerate(values.all_tensors(attempt.inputs)):
        wish = attempt.wishes.get(index)
        rank = None if wish is None or owners[index].given else wish.later
        if wish is not None and rank is not None and 0 < rank <= LARGEST_RANK and rank != len(guess.dims):
            form = with_features(ranked(guess, rank), wish)
            yield PLAIN_PRIORITY, values.map_tensors(attempt.inputs, _with(index, form))


def _with(index: int, form: TensorGuess) -> Callable[[int, TensorGuess], Guess]:
    return lambda at, tensor: form if at == index else tensor


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


@move
def one_for_each_module(attempt: Attempt) -> Proposals:
    """Where the items of an axis go to the modules of a list one by one, there are no more of them than modules.

    before: codes=T(2, 8, 16, dtype='int64')
    says: IndexError: index 4 is out of range
    after: codes=T(2, 4, 16, dtype='int64')
    """
    few = attempt.said.get("modules-too-few")
    count = few.number("count") if few is not None else None
    if not count:
        return
    for index, guess in enumerate(values.all_tensors(attempt.inputs)):
        for axis, size in enumerate(guess.dims):
            if axis > 0 and size > count and not attempt.owners[index].given:
                dims = (*guess.dims[:axis], count, *guess.dims[axis + 1 :])
                form = replace(guess, dims=dims)
                yield WISH_PRIORITY + axis, values.map_tensors(attempt.inputs, _with(index, form))


ALL = (documented_form, form_of_later_layer, size_that_is_named, part_of_size_that_is_named, one_for_each_module)
