"""Inputs in the form that the layers document which take them first: ranks, sizes of axes, dtypes, ranges of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.guesses.first_tensors import default_sizes
from ts_shape_server.agent.infer.guesses.values import Guess, Inputs, SequenceGuess, TensorGuess
from ts_shape_server.agent.infer.running.spy import Wish


def fulfilled(inputs: Inputs, wishes: Mapping[int, Wish], ranks: bool) -> Inputs:
    """`inputs` in the form that their consumers document. `ranks`: also where other ranks are accepted."""
    owners = values.owners(inputs)
    groups = values.groups(inputs)

    def change(index: int, guess: TensorGuess) -> Guess:
        wish = _of_all(wishes, groups[index])
        if wish is None or owners[index].given:
            return guess
        if wish.dtype is not None and wish.dtype != guess.dtype:
            guess = replace(guess, dtype=wish.dtype)
        wanted = wish.rank
        listed = _is_list(owners[index].guess)
        if wanted is not None and wish.dtype == "int64" and listed and not wish.firm:
            # Items of a list are samples of their own: an index sequence has no batch there.
            wanted -= 1
        if wanted is not None and len(guess.dims) != wanted and (wish.firm or (ranks and _is_untouched(guess))):
            guess = replace(guess, dims=default_sizes(wanted), axes=())
        dims = list(guess.dims)
        for axis, size in wish.axes.items():
            if -len(dims) <= axis < len(dims):
                dims[axis] = size
        return within(replace(guess, dims=tuple(dims)), wish)

    return values.map_tensors(inputs, change)


def _is_list(guess: Guess) -> bool:
    """Whether a guess is a list; the items of a tuple are different things, each with its batch."""
    return isinstance(guess, SequenceGuess) and guess.kind == "list"


def ranks(inputs: Inputs) -> tuple[int, ...]:
    """The number of dims of each tensor."""
    return tuple(len(guess.dims) for guess in values.all_tensors(inputs))


def _is_untouched(guess: TensorGuess) -> bool:
    """Whether nothing is known of a tensor yet: it has the first sizes of the first rank that is tried."""
    return not guess.axes and guess.dims == default_sizes(4)


def bounded(inputs: Inputs, wishes: Mapping[int, Wish]) -> Inputs:
    """`inputs` with the values of integer tensors held below what their consumers index."""
    groups = values.groups(inputs)

    def change(index: int, guess: TensorGuess) -> Guess:
        wish = _of_all(wishes, groups[index])
        return guess if wish is None else within(guess, wish)

    return values.map_tensors(inputs, change)


def _of_all(wishes: Mapping[int, Wish], members: Sequence[int]) -> Wish | None:
    """The wish for the items of a list: that of the first, with the values that all of them may hold."""
    found = [wishes[member] for member in members if member in wishes]
    if not found:
        return None
    highs = [wish.high for wish in found if wish.high is not None]
    lows = [wish.low for wish in found if wish.low is not None]
    return replace(found[0], high=min(highs, default=None), low=max(lows, default=None))


def within(guess: TensorGuess, wish: Wish) -> TensorGuess:
    """A tensor of whole numbers with those alone that its consumers take."""
    if wish.high is None or "int" not in guess.dtype:
        return guess
    high = max(0, wish.high)
    documented = max(0, wish.low or 0)
    # The least value of what is passed may be an accident, unless something asks for it.
    low = min(high, documented if documented and not guess.limited_below else max(documented, guess.low))
    below = low == documented or guess.limited_below
    return replace(guess, low=low, high=high, limited_below=below, limited_above=True)
