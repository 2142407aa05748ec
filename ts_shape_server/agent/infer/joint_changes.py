"""From what an error says to changes of several inputs at once, and of one to what it meets in the module.

Sides that are too small, tensors that have to have one rank, inputs that are added or put beside each other. Runs
nothing; `repairs` decides when each is tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from ts_shape_server.agent.infer import values
from ts_shape_server.agent.infer.starting import default_sizes
from ts_shape_server.agent.infer.values import Guess, Inputs, TensorGuess
from ts_shape_server.agent.torch_says import Complaints

Child = tuple[int, Inputs]
"""A priority (less is sooner) and what to try."""
LARGEST_RANK = 6
SHORT_SIDE = 8
CUSTOMARY_SIDES = (224, 256, 384, 512)
ALIKE = 4
"""So many inputs at most are tried with the dims of each other."""


def enlarged(inputs: Inputs, factor: int) -> Inputs:
    """The sides of images, and the length of what is no image, so much larger."""
    owners = values.owners(inputs)

    def change(index: int, guess: TensorGuess) -> Guess:
        first = 2 if len(guess.dims) > 2 else len(guess.dims)
        if owners[index].given:
            return guess
        return replace(guess, dims=(*guess.dims[:first], *(size * factor for size in guess.dims[first:])))

    return values.map_tensors(inputs, change)


def with_sides(inputs: Inputs, side: int) -> Inputs:
    """Images with both sides that long: nets that cut them into windows are written for the customary sizes."""
    owners = values.owners(inputs)

    def change(index: int, guess: TensorGuess) -> Guess:
        known = owners[index].given or len(guess.dims) != 4
        return guess if known else replace(guess, dims=(*guess.dims[:2], side, side))

    return values.map_tensors(inputs, change)


def with_short_sides(inputs: Inputs) -> Inputs:
    """Sides of `SHORT_SIDE` at most, for modules that go through the pixels one by one."""
    return _resized(inputs, lambda size: min(size, SHORT_SIDE))


def all_of_rank(inputs: Inputs, rank: int) -> Inputs:
    """All tensors that nothing is known of, with that many dims: what meets in one call has to change together."""
    owners = values.owners(inputs)

    def change(index: int, guess: TensorGuess) -> Guess:
        plain = guess.dims == default_sizes(len(guess.dims)) and guess.dtype == "float32"
        return ranked(guess, rank) if plain and not owners[index].given and rank <= LARGEST_RANK else guess

    return values.map_tensors(inputs, change)


def lowered(inputs: Inputs, count: int) -> Inputs:
    """All tensors with so many dims less: what was made of one of them has too many."""
    owners = values.owners(inputs)

    def change(index: int, guess: TensorGuess) -> Guess:
        rank = len(guess.dims) - count
        return guess if owners[index].given or not 0 < rank <= LARGEST_RANK else ranked(guess, rank)

    return values.map_tensors(inputs, change)


def fitted(inputs: Inputs, said: Complaints) -> Iterator[Child]:
    """A tensor with the sides, or all the sizes, of what it is put beside or added to."""
    spread = said.get("broadcast-differs")
    if spread is not None:
        had, wanted = spread.numbers("had"), spread.numbers("wanted")
        for index, guess in enumerate(values.all_tensors(inputs)):
            if guess.dims == had and had != wanted:
                yield -1, _changed(inputs, index, replace(guess, dims=wanted, axes=()))
    for wanted_side, got in _sides_that_disagree(said):
        for index, guess in enumerate(values.all_tensors(inputs)):
            if got in guess.dims[2:]:
                yield -1, _resized(inputs, _replacing(got, wanted_side), only=index)


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


def alike(inputs: Inputs, said: Complaints, blamed: frozenset[str]) -> Iterator[Child]:
    """Inputs that get the dims of another one, as the two sides of a loss or of a sum have them."""
    plain = [(at, item.guess) for at, item in enumerate(inputs) if isinstance(item.guess, TensorGuess)][:ALIKE]
    sooner = 1 if "equal-sizes-needed" in said else 4
    for position, guess in plain:
        for at, other in plain:
            if inputs[position].given or guess.dims == other.dims or not other.dims:
                continue
            distance = 0 if not blamed or {inputs[position].name, inputs[at].name} <= blamed else 2
            yield sooner + distance, replaced(inputs, position, replace(guess, dims=other.dims, axes=other.axes))


def replaced(inputs: Inputs, position: int, guess: Guess) -> Inputs:
    return tuple(replace(item, guess=guess) if at == position else item for at, item in enumerate(inputs))


def ranked(guess: TensorGuess, rank: int) -> TensorGuess:
    """A tensor of that rank, with the first sizes that are tried."""
    return replace(guess, dims=default_sizes(rank), axes=())
