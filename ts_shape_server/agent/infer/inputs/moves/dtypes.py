"""Other dtypes and other values of one tensor: integers for an index, flags for a mask, the dtype of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ts_shape_server.agent.infer.guesses.first_tensors import tensor
from ts_shape_server.agent.infer.guesses.values import TensorGuess
from ts_shape_server.agent.infer.inputs.moves.move import tensor_move
from ts_shape_server.agent.torch_says import Complaints

Guesses = Iterator["tuple[int, TensorGuess]"]


@tensor_move
def integers(guess: TensorGuess, said: Complaints) -> Guesses:
    """An index, and what an embedding takes, is of integers.

    before: x=T(2, 3, 64, 64)
    says: IndexError: tensors used as indices must be long, int, byte or bool tensors
    after: x=T(2, 3, 64, 64, dtype='int64')
    """
    if "integer-needed" in said and guess.dtype != "int64":
        yield 1, replace(guess, dtype="int64")
        if len(guess.dims) != 2:
            yield 2, tensor(2, "int64")


@tensor_move
def flags(guess: TensorGuess, said: Complaints) -> Guesses:
    """A mask is of flags.

    before: mask=T(2, 16)
    says: RuntimeError: masked_fill_ only supports boolean masks, but got mask with dtype float
    after: mask=T(2, 16, dtype='bool')
    """
    if "boolean-needed" in said and guess.dtype != "bool":
        yield 1, replace(guess, dtype="bool")


@tensor_move
def floats(guess: TensorGuess, said: Complaints) -> Guesses:
    """What meets weights, or has a mean, is of floating numbers.

    before: x=T(2, 16, dtype='int64')
    says: RuntimeError: mat1 and mat2 must have the same dtype, but got Long and Float
    after: x=T(2, 16)
    """
    if "float-needed" in said and guess.dtype != "float32":
        yield 1, replace(guess, dtype="float32")


@tensor_move
def dtype_of_weights(guess: TensorGuess, said: Complaints) -> Guesses:
    """A module that was converted takes tensors of the dtype that its weights have.

    before: x=T(2, 16)
    says: RuntimeError: mat1 and mat2 must have the same dtype, but got Float and Half
    after: x=T(2, 16, dtype='float16')
    """
    differing = said.get("dtypes-differ")
    for dtype in differing.names("dtypes") if differing is not None and guess.dtype == "float32" else ():
        yield 0, replace(guess, dtype=dtype)


@tensor_move
def complex_numbers(guess: TensorGuess, said: Complaints) -> Guesses:
    """A spectrum is of complex numbers.

    before: x=T(2, 16)
    says: RuntimeError: view_as_real is only supported for complex tensors
    after: x=T(2, 16, dtype='complex64')
    """
    if "complex-needed" in said and not guess.dtype.startswith("complex"):
        yield 2, replace(guess, dtype="complex64")


@tensor_move
def smallest_index(guess: TensorGuess, said: Complaints) -> Guesses:
    """Where an index is beyond what it points into, zero is not.

    before: x=T(2, 16, dtype='int64', high=9)
    says: IndexError: index out of range in self
    after: x=T(2, 16, dtype='int64', high=0)
    """
    if "index-out-of-range" in said and "int" in guess.dtype and guess.high > max(guess.low, 0):
        yield 1, replace(guess, high=max(guess.low, 0))


@tensor_move
def classes_of_distribution(guess: TensorGuess, said: Complaints) -> Guesses:
    """What a distribution over classes is asked the probability of is one of the classes.

    before: action=T(2)
    says: ValueError: (Tensor of shape (2,)) to be within the support (IntegerInterval(lower_bound=0, upper_bound=4))
    after: action=T(2, dtype='int64', high=4, limited_below=True, limited_above=True)
    """
    within = said.get("values-wanted")
    if within is not None and guess.dims == within.numbers("got"):
        low, high = within.number("low") or 0, within.number("high") or 0
        yield -1, replace(guess, dtype="int64", low=low, high=high, limited_below=True, limited_above=True)


@tensor_move
def positive_lengths(guess: TensorGuess, said: Complaints) -> Guesses:
    """No sequence of a packed batch is empty.

    before: lengths=T(2, dtype='int64')
    says: RuntimeError: Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0
    after: lengths=T(2, dtype='int64', low=1, high=1, limited_below=True)
    """
    if "positive-needed" in said and (guess.dtype == "bool" or ("int" in guess.dtype and guess.low < 1)):
        yield 1, replace(guess, dtype="int64", low=1, high=max(1, guess.high), limited_below=True)


@tensor_move
def shortest_lengths(guess: TensorGuess, said: Complaints) -> Guesses:
    """Lengths may be too long for what they are the lengths of.

    before: lengths=T(2, dtype='int64', low=1, high=4)
    says: RuntimeError: start (0) + length (8) exceeds dimension size (4).
    after: lengths=T(2, dtype='int64', low=1, high=1)
    """
    if guess.dtype == "int64" and guess.low >= 1 and guess.high > 1 and "too-long" in said:
        yield 1, replace(guess, low=1, high=1)


@tensor_move
def equal_lengths(guess: TensorGuess, said: Complaints) -> Guesses:
    """Lengths that have to come the longest first are in order where all are alike; and the shortest may be too short.

    before: lengths=T(2, dtype='int64', low=1, high=4)
    says: RuntimeError: `lengths` array must be sorted in decreasing order when `enforce_sorted` is True.
    after: lengths=T(2, dtype='int64', low=4, high=4)
    """
    lengths = "int" in guess.dtype and 1 <= guess.low < guess.high
    if lengths and ("sorted-needed" in said or "too-small" in said):
        yield 0, replace(guess, low=guess.high)


@tensor_move
def size_of_states(guess: TensorGuess, said: Complaints) -> Guesses:
    """A recurrent layer says which size its state has.

    before: hx=T(1, 2, 4)
    says: RuntimeError: Expected hidden size (1, 5, 4), got [1, 2, 4]
    after: hx=T(1, 5, 4)
    """
    state = said.get("state-size-differs")
    if state is not None and guess.dims == state.numbers("got"):
        yield 0, replace(guess, dims=state.numbers("wanted"), axes=())


@tensor_move
def integers_at_last(guess: TensorGuess, said: Complaints) -> Guesses:
    """When nothing else is known of a tensor it may be of integers: late, and cheap.

    before: x=T(2, 16)
    says: RuntimeError: it fails
    after: x=T(2, 16, dtype='int64')
    """
    if guess.dtype == "float32":
        yield 12, replace(guess, dtype="int64")


FIRST = (
    integers,
    flags,
    floats,
    dtype_of_weights,
    complex_numbers,
    smallest_index,
    classes_of_distribution,
    positive_lengths,
    shortest_lengths,
    equal_lengths,
    size_of_states,
)
LAST = (integers_at_last,)
