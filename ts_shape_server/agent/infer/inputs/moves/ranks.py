"""Other numbers of dims of one tensor: those that an error asks for, one more or less, and those that are left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ts_shape_server.agent.infer.guesses.first_tensors import LARGEST_RANK, lengths, ranked
from ts_shape_server.agent.infer.guesses.values import TensorGuess
from ts_shape_server.agent.infer.inputs.moves.move import tensor_move
from ts_shape_server.agent.infer.inputs.moves.together import wanted_ranks
from ts_shape_server.agent.torch_says import Complaints

Guesses = Iterator["tuple[int, TensorGuess]"]


@tensor_move
def index_beside_scores(guess: TensorGuess, said: Complaints) -> Guesses:
    """Classes beside their scores are one dim short of them, and of integers.

    before: target=T(2, 3, 64, 64)
    says: RuntimeError: Index tensor must have the same number of dimensions as input tensor
    after: target=T(2, 64, 64, dtype='int64')
    """
    if "index-rank-differs" in said and len(guess.dims) > 1:
        shorter = ranked(guess, len(guess.dims) - 1)
        yield 1, replace(shorter, dtype="int64", dims=(guess.dims[0], *guess.dims[2:]))


@tensor_move
def table_beside_index(guess: TensorGuess, said: Complaints) -> Guesses:
    """What is looked up has the dims of the places in it, to which one was added for what lies there.

    before: items=T(2, 16)
    says: RuntimeError: Index tensor must have the same number of dimensions as input tensor
    after: items=T(2, 8, 16)
    """
    if "index-rank-differs" in said and len(guess.dims) < LARGEST_RANK and guess.dtype != "int64":
        yield 2, ranked(guess, len(guess.dims) + 1)


@tensor_move
def wanted_rank(guess: TensorGuess, said: Complaints) -> Guesses:
    """The error says how many dims are taken.

    before: x=T(2, 5)
    says: RuntimeError: Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [2, 5]
    after: x=T(2, 3, 64, 64)
    """
    for order, rank in enumerate(wanted_ranks(said)):
        if rank != len(guess.dims) and rank <= LARGEST_RANK:
            yield 1 + order, ranked(guess, rank)


@tensor_move
def rows_of_steps(guess: TensorGuess, said: Complaints) -> Guesses:
    """A cell that goes through a sequence step by step takes the features of one step for each item: where it got the
    batch, or a step of one item, the sequence has a dim more.

    before: series=T(2, 16)
    says: RuntimeError: input has inconsistent input_size: got 2 expected 7
    after: series=T(2, 8, 7)
    """
    for complaint in said.all("step-size-differs"):
        got, wanted = complaint.number("got"), complaint.number("wanted")
        if wanted is None or guess.dtype == "int64":
            continue
        if len(guess.dims) == 2 and got in guess.dims:
            more = ranked(guess, 3)
            yield 0, replace(more, dims=(*more.dims[:-1], wanted))
        if guess.dims[-1] == got:
            yield 0, replace(guess, dims=(*guess.dims[:-1], wanted))


@tensor_move
def rank_of_axis(guess: TensorGuess, said: Complaints) -> Guesses:
    """A tensor has the axis that is asked for; one that it was made into, with other dims, has it where the tensor has
    as many more.

    before: x=T(2, 16)
    says: IndexError: Dimension out of range (expected to be in range of [-2, 1], but got 2)
    after: x=T(2, 8, 16)
    """
    beyond = said.get("axis-out-of-range")
    axis = beyond.number("axis") if beyond is not None else None
    if beyond is not None and axis is not None:
        wanted = axis + 1 if axis >= 0 else -axis
        missing = wanted - (beyond.number("rank") or 0)
        if 0 < missing <= LARGEST_RANK - len(guess.dims) and len(guess.dims) + missing != wanted:
            yield 0, ranked(guess, len(guess.dims) + missing)
        yield 1, ranked(guess, wanted)


@tensor_move
def one_dim_more(guess: TensorGuess, said: Complaints) -> Guesses:
    """There are more indices, or names, than dims.

    before: x=T(2, 16)
    says: IndexError: too many indices for tensor of dimension 2
    after: x=T(2, 8, 16)
    """
    if "more-dims-needed" in said and len(guess.dims) < LARGEST_RANK:
        yield 1, ranked(guess, len(guess.dims) + 1)


@tensor_move
def fewer_dims(guess: TensorGuess, said: Complaints) -> Guesses:
    """There are fewer names, or repeats, than dims.

    before: x=T(2, 3, 64, 64)
    says: RuntimeError: Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor
    after: x=T(2, 8, 16)
    """
    rank = len(guess.dims)
    if "fewer-dims-needed" in said and rank > 1:
        yield 1, ranked(guess, rank - 1)
        if rank > 2:
            yield 2, ranked(guess, rank - 2)


@tensor_move
def so_many_dims_fewer(guess: TensorGuess, said: Complaints) -> Guesses:
    """What was made of this tensor alone has too many dims, as an index has that gets a dim and is spread.

    before: x=T(2, 8, 16), index=T(2, 3, 64, 64)
    says: RuntimeError: sizes provided (3) must be greater or equal to the number of dimensions in the tensor (5)
    after: x=T(2, 8, 16), index=T(2, 16)
    """
    between = said.get("rank-too-high")
    if between is not None:
        rank = len(guess.dims) - (between.number("got") or 0) + (between.number("wanted") or 0)
        if 0 < rank < len(guess.dims):
            yield 0, ranked(guess, rank)


@tensor_move
def rank_beside_others(guess: TensorGuess, said: Complaints) -> Guesses:
    """What is put beside something with more dims has as many more, or the other has fewer: first what is looked up,
    which gets a dim where it is.

    before: noise=T(2, 16), labels=T(2, 16, dtype='int64')
    says: RuntimeError: Number of dimensions of tensors must match.  Expected 3-D tensors, but got 2-D for tensor number
    after: noise=T(2, 16), labels=T(2, dtype='int64')
    """
    beside = said.get("ranks-differ")
    if beside is None:
        return
    apart = abs((beside.number("wanted") or 0) - (beside.number("got") or 0))
    rank = len(guess.dims)
    looked_up = "int" in guess.dtype
    if rank > apart:
        shorter = ranked(guess, rank - apart)
        yield (0 if looked_up else 2), replace(shorter, dims=guess.dims[:1]) if rank - apart == 1 else shorter
    if rank + apart <= LARGEST_RANK:
        yield (2 if looked_up else 1), ranked(guess, rank + apart)


@tensor_move
def lengths_of_batch(guess: TensorGuess, said: Complaints) -> Guesses:
    """What is told one by one, as the lengths of sequences, has one number for each item of the batch.

    before: lengths=T(2, 16)
    says: RuntimeError: 'lengths' argument should be a 1D CPU int64 tensor, but got 2D cpu Long tensor
    after: lengths=T(2, dtype='int64', low=1, high=4)
    """
    if "vector-needed" in said and len(guess.dims) != 1:
        yield 1, lengths()


@tensor_move
def other_ranks(guess: TensorGuess, said: Complaints) -> Guesses:
    """When an error says nothing of dims, another number of them may be right all the same.

    before: x=T(2, 16)
    says: RuntimeError: it fails
    after: x=T(2, 8, 16)
    """
    for order, rank in enumerate((4, 3, 2, 5, 1)):
        if rank != len(guess.dims):
            yield 5 + order, ranked(guess, rank)


ALL = (
    index_beside_scores,
    table_beside_index,
    wanted_rank,
    rows_of_steps,
    rank_of_axis,
    one_dim_more,
    fewer_dims,
    so_many_dims_fewer,
    rank_beside_others,
    lengths_of_batch,
    other_ranks,
)
