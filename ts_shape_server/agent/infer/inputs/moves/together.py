"""Changes of several inputs at once: sides that are too short or differ, ranks and dims that have to be alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.guesses.first_tensors import BATCH, LARGEST_RANK, SEQUENCE, default_sizes, ranked
from ts_shape_server.agent.infer.guesses.values import Guess, Inputs, TensorGuess
from ts_shape_server.agent.infer.inputs.moves.move import Attempt, Proposals, move
from ts_shape_server.agent.torch_says import Complaints

SHORT_SIDE = 8
CUSTOMARY_SIDES = (224, 256, 384, 512)
ALIKE = 4
"""So many inputs at most are tried with the dims of each other."""


@move
def longer_sides(attempt: Attempt) -> Proposals:
    """An image from which nothing is left after the last pooling, or a sequence, was too short.

    before: x=T(2, 3, 64, 64)
    says: RuntimeError: Given input size: (3x4x4). Calculated output size: (3x0x0). Output size is too small
    after: x=T(2, 3, 128, 128)
    """
    if "too-small" in attempt.said:
        for order, factor in enumerate((2, 4, 8)):
            yield order - 3, _enlarged(attempt.inputs, factor)


@move
def short_sides(attempt: Attempt) -> Proposals:
    """A module that goes through the pixels one by one ends in time on a small image.

    before: x=T(2, 3, 64, 64)
    says: TimeoutError: it took longer than 1 s
    after: x=T(2, 3, 8, 8)
    """
    if isinstance(attempt.error, TimeoutError):
        yield -1, _resized(attempt.inputs, lambda size: min(size, SHORT_SIDE))


@move
def ranks_together(attempt: Attempt) -> Proposals:
    """What meets in one call has to change its rank together.

    before: x=T(2, 3, 64, 64), y=T(2, 3, 64, 64)
    says: RuntimeError: batch1 must be a 3D tensor
    after: x=T(2, 8, 16), y=T(2, 8, 16)
    """
    for rank in wanted_ranks(attempt.said):
        yield 0, _all_of_rank(attempt.inputs, rank)


@move
def same_sizes_as_partner(attempt: Attempt) -> Proposals:
    """A tensor has the sizes, or the side, of what it is put beside or added to.

    before: x=T(2, 3, 64, 32), y=T(2, 3, 64, 64)
    says: RuntimeError: Sizes of tensors must match except in dimension 1. Expected 32 in dimension 3 but got 64 for
    after: x=T(2, 3, 64, 32), y=T(2, 3, 32, 32)
    """
    spread = attempt.said.get("broadcast-differs")
    if spread is not None:
        had, wanted = spread.numbers("had"), spread.numbers("wanted")
        for index, guess in enumerate(values.all_tensors(attempt.inputs)):
            if guess.dims == had and had != wanted:
                yield -1, _changed(attempt.inputs, index, replace(guess, dims=wanted, axes=()))
    for side, got in _sides_that_disagree(attempt.said):
        for index, guess in enumerate(values.all_tensors(attempt.inputs)):
            if got in guess.dims[2:]:
                yield -1, _resized(attempt.inputs, _replacing(got, side), only=index)


@move
def value_of_distribution(attempt: Attempt) -> Proposals:
    """What a distribution is asked the probability of has the sizes of the distribution.

    before: state=T(2, 10), action=T(2, 16)
    says: ValueError: Value is not broadcastable with batch_shape+event_shape: torch.Size([2, 16]) vs torch.Size([2]).
    after: state=T(2, 10), action=T(2)
    """
    differing = attempt.said.get("value-differs")
    if differing is None:
        return
    for index, guess in enumerate(values.all_tensors(attempt.inputs)):
        if guess.dims == differing.numbers("got"):
            yield -1, _changed(attempt.inputs, index, replace(guess, dims=differing.numbers("wanted"), axes=()))


@move
def mask_of_its_tensor(attempt: Attempt) -> Proposals:
    """A mask that chooses has the first dims of what it chooses from, as many as it has.

    before: x=T(2, 8, 7), mask=T(2, 16, dtype='bool')
    says: IndexError: The shape of the mask [2, 16] at index 1 does not match the shape of the indexed tensor [2, 8, 7]
    after: x=T(2, 8, 7), mask=T(2, 8, dtype='bool')
    """
    differing = attempt.said.get("mask-differs")
    if differing is None:
        return
    got, wanted = differing.numbers("got"), differing.numbers("wanted")
    for index, guess in enumerate(values.all_tensors(attempt.inputs)):
        if guess.dims == got and len(got) <= len(wanted):
            yield -1, _changed(attempt.inputs, index, replace(guess, dims=wanted[: len(got)], axes=()))


@move
def padding_masks(attempt: Attempt) -> Proposals:
    """A padding mask has a row for each sequence and a flag for each of its places, also where sequences come first.

    before: src=T(2, 16, dtype='int64'), src_padding_mask=T(2, 16)
    says: AssertionError: Expected key_padded_mask.shape[0] to be 16, but got 2
    after: src=T(2, 16, dtype='int64'), src_padding_mask=T(16, 16)
    """
    differing = attempt.said.get("padding-mask-differs")
    if differing is None:
        return
    axis, wanted, got = (differing.number(name) or 0 for name in ("axis", "wanted", "got"))

    def change(index: int, guess: TensorGuess) -> Guess:
        owner = attempt.owners[index]
        masks = "pad" in owner.name.lower() and "mask" in owner.name.lower() and not owner.given
        if not masks or len(guess.dims) <= axis or guess.dims[axis] != got:
            return guess
        return replace(guess, dims=(*guess.dims[:axis], wanted, *guess.dims[axis + 1 :]), axes=())

    yield -2, values.map_tensors(attempt.inputs, change)


@move
def customary_sides(attempt: Attempt) -> Proposals:
    """Nets that cut images into windows are written for the customary sizes, and assert that in their own words.

    before: x=T(2, 3, 64, 64)
    says: AssertionError: Input image size (64*64) doesn't match model (224*224).
    after: x=T(2, 3, 224, 224)
    """
    if "sides-wrong" in attempt.said or (isinstance(attempt.error, AssertionError) and not attempt.said.text.strip()):
        for side in CUSTOMARY_SIDES:
            # Before the equation is read: deep in a net it is long, and each window states one of its own.
            yield -2, _with_sides(attempt.inputs, side)


@move
def dims_of_another(attempt: Attempt) -> Proposals:
    """The two sides of a loss or of a sum have the same dims.

    before: x=T(2, 3, 64, 64), y=T(2, 16)
    says: RuntimeError: The size of tensor a (64) must match the size of tensor b (16) at non-singleton dimension 3
    after: x=T(2, 3, 64, 64), y=T(2, 3, 64, 64)
    """
    inputs, blamed = attempt.inputs, attempt.blamed
    plain = [(at, item.guess) for at, item in enumerate(inputs) if isinstance(item.guess, TensorGuess)][:ALIKE]
    sooner = 1 if "equal-sizes-needed" in attempt.said else 4
    for position, guess in plain:
        for at, other in plain:
            if inputs[position].given or guess.dims == other.dims or not other.dims:
                continue
            distance = 0 if not blamed or {inputs[position].name, inputs[at].name} <= blamed else 2
            changed = replace(guess, dims=other.dims, axes=other.axes)
            yield sooner + distance, values.replaced(inputs, position, changed)


LATE = 3
"""Behind what tries other ranks."""


@move
def as_many_parts(attempt: Attempt) -> Proposals:
    """What is split into parts of another's size, and unpacked, has so many times that size. Other ranks come first:
    sizes are unpacked much more often than parts.

    before: gates=T(2, 3, 64, 64), cell=T(2, 3, 64, 64)
    says: ValueError: not enough values to unpack (expected 4, got 1)
    after: gates=T(2, 12, 64, 64), cell=T(2, 3, 64, 64)
    """
    complaint = attempt.said.get("count-wanted")
    count = complaint.number("wanted") if complaint is not None else None
    if count is None or count < 2 or "too-few-values" not in attempt.said:
        return
    tensors = values.all_tensors(attempt.inputs)
    for index, guess in enumerate(tensors):
        for other in tensors[:ALIKE]:
            for axis in range(1, len(guess.dims)):
                if axis < len(other.dims) and other is not guess:
                    dims = (*guess.dims[:axis], count * other.dims[axis], *guess.dims[axis + 1 :])
                    yield LATE + axis, _changed(attempt.inputs, index, replace(guess, dims=dims))


@move
def table_as_long(attempt: Attempt) -> Proposals:
    """Where places are found in one tensor and looked up in another, the second is as long as the first.

    before: scores=T(2, 16), items=T(2, 8, 16)
    says: IndexError: index 12 is out of bounds for dimension 1 with size 8
    after: scores=T(2, 16), items=T(2, 16, 16)
    """
    beyond = attempt.said.get("beyond-the-end")
    axis = beyond.number("axis") if beyond is not None else None
    size = beyond.number("size") if beyond is not None else None
    tensors = values.all_tensors(attempt.inputs)
    if axis is None or size is None:
        return
    longer = {tensor.dims[axis] for tensor in tensors if len(tensor.dims) > axis and tensor.dims[axis] > size}
    for index, guess in enumerate(tensors):
        if len(guess.dims) > axis and guess.dims[axis] == size:
            for length in sorted(longer):
                dims = (*guess.dims[:axis], length, *guess.dims[axis + 1 :])
                yield 0, _changed(attempt.inputs, index, replace(guess, dims=dims))


@move
def lower_ranks(attempt: Attempt) -> Proposals:
    """What was made of an input has too many dims, so the inputs have.

    before: x=T(2, 8, 16), y=T(2, 16)
    says: RuntimeError: 'lengths' argument should be a 1D CPU int64 tensor, but got 2D cpu Long tensor
    after: x=T(2, 16), y=T(16)
    """
    between = attempt.said.get("rank-too-high")
    if between is not None:
        yield 0, _lowered(attempt.inputs, (between.number("got") or 0) - (between.number("wanted") or 0))


@move
def one_more_dim_for_all(attempt: Attempt) -> Proposals:
    """What was made of several inputs lacks a dim, so each of them lacks it: the steps of a sequence behind the batch,
    or the batch itself.

    before: states=T(2, 7), actions=T(2, 3), steps=T(2, dtype='int64')
    says: RuntimeError: number of dimensions does not match: input.dim() = 3 is not equal to len(dims) = 4
    after: states=T(2, 8, 7), actions=T(2, 8, 3), steps=T(2, 8, dtype='int64')
    """
    tensors = values.all_tensors(attempt.inputs)
    if len(tensors) < 2 or _missing_dims(attempt.said) != 1:
        return

    def with_dims(dims_of: Callable[[TensorGuess], tuple[int, ...]]) -> Callable[[int, TensorGuess], Guess]:
        def change(index: int, guess: TensorGuess) -> Guess:
            grows = guess.dims and not attempt.owners[index].given and len(guess.dims) < LARGEST_RANK
            axes = (None, *guess.axes) if len(guess.axes) == len(guess.dims) else ()
            return replace(guess, dims=dims_of(guess), axes=axes) if grows else guess

        return change

    steps = with_dims(lambda guess: (guess.dims[0], SEQUENCE, *guess.dims[1:]))
    batch = with_dims(lambda guess: (BATCH, *guess.dims))
    for order, change in enumerate((steps, batch)):
        yield order, values.map_tensors(attempt.inputs, change)


def _missing_dims(said: Complaints) -> int:
    """How many dims more are asked for than there are."""
    low, axis = said.get("rank-too-low"), said.get("axis-out-of-range")
    if low is not None:
        return (low.number("wanted") or 0) - (low.number("got") or 0)
    place, rank = (axis.number("axis"), axis.number("rank")) if axis is not None else (None, None)
    return 0 if place is None or rank is None or place < rank else place + 1 - rank


@move
def all_states(attempt: Attempt) -> Proposals:
    """The states of a recurrent layer that are passed one by one have one size.

    before: h=T(2, 8, 16), c=T(2, 8, 16)
    says: RuntimeError: Expected hidden[0] size (4, 8, 5), got [2, 8, 16]
    after: h=T(4, 8, 5), c=T(4, 8, 5)
    """
    state = attempt.said.get("state-size-differs")
    if state is None:
        return
    got, wanted = state.numbers("got"), state.numbers("wanted")

    def change(index: int, guess: TensorGuess) -> Guess:
        alike = guess.dims == got and not attempt.owners[index].given
        return replace(guess, dims=wanted, axes=()) if alike else guess

    if sum(guess.dims == got for guess in values.all_tensors(attempt.inputs)) > 1:
        yield -1, values.map_tensors(attempt.inputs, change)


@move
def states_of_a_step(attempt: Attempt) -> Proposals:
    """The states of a cell have a row for each item of the batch that a step has.

    before: seq=T(2, 8, 5), h=T(2, 9), c=T(2, 9)
    says: RuntimeError: Input batch size 8 doesn't match hidden0 batch size 2
    after: seq=T(2, 8, 5), h=T(8, 9), c=T(8, 9)
    """
    state = attempt.said.get("state-batch-differs")
    if state is None:
        return
    got, wanted = state.number("got"), state.number("wanted")
    features = {wish.axes[-1] for wish in attempt.wishes.values() if -1 in wish.axes}

    def change(index: int, guess: TensorGuess) -> Guess:
        is_state = len(guess.dims) == 2 and guess.dims[0] == got and not attempt.owners[index].given
        known = not features or guess.dims[-1] in features
        return replace(guess, dims=(wanted or 1, guess.dims[1]), axes=()) if is_state and known else guess

    yield -1, values.map_tensors(attempt.inputs, change)


def wanted_ranks(said: Complaints) -> list[int]:
    """The ranks that an error asks for, the likeliest first."""
    return list(dict.fromkeys(rank for complaint in said.all("rank-wanted") for rank in complaint.numbers("ranks")))


def _enlarged(inputs: Inputs, factor: int) -> Inputs:
    """The sides of images, and the length of what is no image, so much larger."""
    owners = values.owners(inputs)

    def change(index: int, guess: TensorGuess) -> Guess:
        first = min(2, max(0, len(guess.dims) - 1))
        if owners[index].given or (len(guess.dims) < 2 and "int" in guess.dtype):
            return guess
        return replace(guess, dims=(*guess.dims[:first], *(size * factor for size in guess.dims[first:])))

    return values.map_tensors(inputs, change)


def _with_sides(inputs: Inputs, side: int) -> Inputs:
    owners = values.owners(inputs)

    def change(index: int, guess: TensorGuess) -> Guess:
        known = owners[index].given or len(guess.dims) != 4
        return guess if known else replace(guess, dims=(*guess.dims[:2], side, side))

    return values.map_tensors(inputs, change)


def _all_of_rank(inputs: Inputs, rank: int) -> Inputs:
    """All tensors that nothing is known of, with that many dims."""
    owners = values.owners(inputs)

    def change(index: int, guess: TensorGuess) -> Guess:
        plain = guess.dims == default_sizes(len(guess.dims)) and guess.dtype == "float32"
        return ranked(guess, rank) if plain and not owners[index].given and rank <= LARGEST_RANK else guess

    return values.map_tensors(inputs, change)


def _lowered(inputs: Inputs, count: int) -> Inputs:
    """All tensors with so many dims less."""
    owners = values.owners(inputs)

    def change(index: int, guess: TensorGuess) -> Guess:
        rank = len(guess.dims) - count
        return guess if owners[index].given or not 0 < rank <= LARGEST_RANK else ranked(guess, rank)

    return values.map_tensors(inputs, change)


def _replacing(old: int, new: int) -> Callable[[int], int]:
    return lambda size: new if size == old else size


def _changed(inputs: Inputs, index: int, guess: TensorGuess) -> Inputs:
    given = values.owners(inputs)[index].given
    return values.map_tensors(inputs, lambda at, tensor: guess if at == index and not given else tensor)


def _sides_that_disagree(said: Complaints) -> list[tuple[int, int]]:
    """Pairs of a size that a side should have and the one that it has."""
    beside = said.get("side-differs")
    if beside is not None:
        wanted, got = beside.number("wanted"), beside.number("got")
        return [] if wanted is None or got is None else [(wanted, got)]
    added = said.get("sides-added-differ")
    if added is not None:
        first, second = added.number("wanted"), added.number("got")
        return [] if first is None or second is None else [(first, second), (second, first)]
    spread = said.get("broadcast-differs")
    if spread is not None:
        length, axis, sizes = spread.number("length"), spread.number("axis"), spread.numbers("wanted")
        if length is not None and axis is not None and axis <= min(2, len(sizes)) and length != sizes[-axis]:
            return [(sizes[-axis], length), (length, sizes[-axis])]
    return []


def _resized(inputs: Inputs, resize: Callable[[int], int], only: int | None = None) -> Inputs:
    """Tensors (or the one at that index) with their sizes behind batch and channels changed."""
    owners = values.owners(inputs)

    def change(index: int, guess: TensorGuess) -> Guess:
        if owners[index].given or (only is not None and index != only):
            return guess
        return replace(guess, dims=(*guess.dims[:2], *map(resize, guess.dims[2:])))

    return values.map_tensors(inputs, change)


ALL = (
    longer_sides,
    short_sides,
    ranks_together,
    same_sizes_as_partner,
    value_of_distribution,
    mask_of_its_tensor,
    padding_masks,
    customary_sides,
    dims_of_another,
    as_many_parts,
    table_as_long,
    lower_ranks,
    one_more_dim_for_all,
    all_states,
    states_of_a_step,
)
