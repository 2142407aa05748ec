"""From what an error says to other structures that may avoid it: ranks, dtypes, containers, numbers.

Each rule asks for a kind of complaint; sizes are not its business (`solving` has those). Runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.infer import joint_changes, values
from ts_shape_server.agent.infer.joint_changes import Child
from ts_shape_server.agent.infer.spy import Wish
from ts_shape_server.agent.infer.starting import NO_KEY, default_sizes, lengths, named_tensor, tensor
from ts_shape_server.agent.infer.values import (
    ConstantGuess,
    DictGuess,
    Guess,
    InputGuess,
    Inputs,
    SequenceGuess,
    TensorGuess,
)
from ts_shape_server.agent.torch_says import Complaints


def from_wishes(inputs: Inputs, wishes: Mapping[int, Wish], ranks: bool) -> Inputs:
    """`inputs` in the form that their consumers document. `ranks`: also where other ranks are accepted."""
    owners = values.owners(inputs)
    groups = values.groups(inputs)

    def change(index: int, guess: TensorGuess) -> Guess:
        wish = next((wishes[member] for member in groups[index] if member in wishes), None)
        if wish is None or owners[index].given:
            return guess
        if wish.dtype is not None and wish.dtype != guess.dtype:
            guess = replace(guess, dtype=wish.dtype)
        wanted = wish.rank
        if wanted is not None and wish.dtype == "int64" and isinstance(owners[index].guess, SequenceGuess):
            # Items of a list are samples of their own: an index sequence has no batch there.
            wanted -= 1
        if wanted is not None and len(guess.dims) != wanted and (wish.firm or (ranks and _is_untouched(guess))):
            guess = replace(guess, dims=default_sizes(wanted), axes=())
        dims = list(guess.dims)
        for axis, size in wish.axes.items():
            if -len(dims) <= axis < len(dims):
                dims[axis] = size
        return _bounded(replace(guess, dims=tuple(dims)), wish)

    return values.map_tensors(inputs, change)


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
        wish = next((wishes[member] for member in groups[index] if member in wishes), None)
        return guess if wish is None else _bounded(guess, wish)

    return values.map_tensors(inputs, change)


def _bounded(guess: TensorGuess, wish: Wish) -> TensorGuess:
    if wish.high is None or "int" not in guess.dtype:
        return guess
    high = max(0, wish.high)
    return replace(
        guess, low=min(high, max(0, wish.low or guess.low)), high=high, limited_below=True, limited_above=True
    )


def asks_for_structure(error: BaseException) -> bool:
    """Whether an error is about ranks or kinds of values, which no other size would mend."""
    return "rank-wanted" in torch_says.read(error) or isinstance(error, TypeError)


def is_constructors(error: BaseException, inputs: Inputs) -> bool:
    """Whether an error is about a kind of value that no input is: it came by way of the constructor."""
    if not isinstance(error, (TypeError, AttributeError, IndexError)) or "stand-in-met" not in torch_says.read(error):
        return False
    return all(isinstance(item.guess, TensorGuess) for item in inputs)


def from_error(error: BaseException, inputs: Inputs, blamed: frozenset[str], omitted: Inputs = ()) -> Iterator[Child]:
    """Other structures to try after `error`. `blamed` are the names in the failing line, `omitted` the inputs that
    may be left out.
    """
    said = torch_says.read(error)
    yield from _with_omitted(error, said, inputs, blamed, omitted)
    for position, item in enumerate(inputs):
        if item.given:
            continue
        distance = 0 if item.name in blamed or not blamed else 4
        for priority, guess in _other_kinds(item, said):
            yield distance + priority, joint_changes.replaced(inputs, position, guess)
    if "too-small" in said:
        for order, factor in enumerate((2, 4, 8)):
            yield order - 3, joint_changes.enlarged(inputs, factor)
    if isinstance(error, TimeoutError):
        yield -1, joint_changes.with_short_sides(inputs)
    for rank in _wanted_ranks(said):
        yield 0, joint_changes.all_of_rank(inputs, rank)
    yield from joint_changes.fitted(inputs, said)
    if "sides-wrong" in said or (isinstance(error, AssertionError) and not said.text.strip()):
        for side in joint_changes.CUSTOMARY_SIDES:
            # Before the equation is read: deep in a net it is long, and each window states one of its own.
            yield -2, joint_changes.with_sides(inputs, side)
    yield from joint_changes.alike(inputs, said, blamed)
    between = said.get("rank-too-high")
    if between is not None:
        yield 0, joint_changes.lowered(inputs, (between.number("got") or 0) - (between.number("wanted") or 0))
    owners, groups = values.owners(inputs), values.groups(inputs)
    for index, guess in enumerate(values.all_tensors(inputs)):
        if owners[index].given or groups[index][0] != index:
            continue
        distance = 0 if owners[index].name in blamed or not blamed else 4
        for priority, changed in _other_tensors(guess, said):
            yield distance + priority, _with(inputs, index, changed)


def _with_omitted(
    error: BaseException, said: Complaints, inputs: Inputs, blamed: frozenset[str], omitted: Inputs
) -> Iterator[Child]:
    """The inputs and one that was left out: where None is not taken, or the author's own check refuses the rest."""
    present = {item.name for item in inputs}
    absent = [item for item in omitted if item.name not in present]
    words, missed = said.words, "none-met" in said
    own = isinstance(error, (ValueError, AssertionError, UnboundLocalError))
    for order, item in enumerate(absent):
        if item.name in blamed or item.name in words:
            yield 1, (*inputs, _asked_for(item))
        elif missed or own:
            yield 3 + order, (*inputs, _asked_for(item))


def _asked_for(item: InputGuess) -> InputGuess:
    """An omitted input as one that is passed; its default is no value for that."""
    guess = tensor(4) if isinstance(item.guess, ConstantGuess) and item.guess.expression == "None" else item.guess
    return replace(item, guess=guess, source="solved")


def _with(inputs: Inputs, index: int, guess: TensorGuess) -> Inputs:
    """The tensor of that index changed, and with it those of its list that had the same form."""
    group, before = values.groups(inputs)[index], values.all_tensors(inputs)[index]

    def change(position: int, tensor: TensorGuess) -> Guess:
        alike = len(tensor.dims) == len(before.dims) and tensor.dtype == before.dtype
        return guess if position == index or (position in group and alike) else tensor

    return values.map_tensors(inputs, change)


def _other_tensors(guess: TensorGuess, said: Complaints) -> Iterator[tuple[int, TensorGuess]]:
    if "integer-needed" in said and guess.dtype != "int64":
        yield 1, replace(guess, dtype="int64")
        if len(guess.dims) != 2:
            yield 2, tensor(2, "int64")
    if "boolean-needed" in said and guess.dtype != "bool":
        yield 1, replace(guess, dtype="bool")
    if "float-needed" in said and guess.dtype != "float32":
        yield 1, replace(guess, dtype="float32")
    differing = said.get("dtypes-differ")
    for dtype in differing.names("dtypes") if differing is not None and guess.dtype == "float32" else ():
        yield 0, replace(guess, dtype=dtype)
    if "complex-needed" in said and not guess.dtype.startswith("complex"):
        yield 2, replace(guess, dtype="complex64")
    if "index-out-of-range" in said and "int" in guess.dtype and guess.high > 0:
        yield 1, replace(guess, high=0)
    if "positive-needed" in said and (guess.dtype == "bool" or ("int" in guess.dtype and guess.low < 1)):
        yield 1, replace(guess, dtype="int64", low=1, high=max(1, guess.high), limited_below=True)
    if guess.dtype == "int64" and guess.low == guess.high > 1 and "too-long" in said:
        yield 1, replace(guess, low=1, high=1)
    state = said.get("state-size-differs")
    if state is not None and guess.dims == state.numbers("got"):
        yield 0, replace(guess, dims=state.numbers("wanted"), axes=())
    if "index-rank-differs" in said and len(guess.dims) > 1:
        # What is one short of the other's dims is given a dim of its own, as the classes beside their scores.
        shorter = joint_changes.ranked(guess, len(guess.dims) - 1)
        yield 1, replace(shorter, dtype="int64", dims=(guess.dims[0], *guess.dims[2:]))
    yield from _of_other_ranks(guess, said)
    if guess.dtype == "float32":
        yield 12, replace(guess, dtype="int64")


def _of_other_ranks(guess: TensorGuess, said: Complaints) -> Iterator[tuple[int, TensorGuess]]:
    for order, rank in enumerate(_wanted_ranks(said)):
        if rank != len(guess.dims) and rank <= joint_changes.LARGEST_RANK:
            yield 1 + order, joint_changes.ranked(guess, rank)
    beyond = said.get("axis-out-of-range")
    axis = beyond.number("axis") if beyond is not None else None
    if axis is not None:
        yield 1, joint_changes.ranked(guess, axis + 1 if axis >= 0 else -axis)
    rank = len(guess.dims)
    if "more-dims-needed" in said and rank < joint_changes.LARGEST_RANK:
        yield 1, joint_changes.ranked(guess, rank + 1)
    if "fewer-dims-needed" in said and rank > 1:
        yield 1, joint_changes.ranked(guess, rank - 1)
        if rank > 2:
            yield 2, joint_changes.ranked(guess, rank - 2)
    if "vector-needed" in said and len(guess.dims) != 1:
        yield 1, lengths()
    for order, other in enumerate((4, 3, 2, 5, 1)):
        if other != len(guess.dims):
            yield 5 + order, joint_changes.ranked(guess, other)


def _wanted_ranks(said: Complaints) -> list[int]:
    return list(dict.fromkeys(rank for complaint in said.all("rank-wanted") for rank in complaint.numbers("ranks")))


def _other_kinds(item: InputGuess, said: Complaints) -> Iterator[tuple[int, Guess]]:
    guess = item.guess
    first = next(iter(values.tensors(guess)), tensor(4))
    if isinstance(guess, TensorGuess):
        yield from _in_place_of_tensor(guess, said)
    elif isinstance(guess, SequenceGuess):
        yield from _other_lengths(guess, said, first)
        yield (1 if "tensor-needed" in said else 8), first
    elif isinstance(guess, DictGuess):
        key = said.get("missing-key")
        if key is not None and key.name("name") not in dict(guess.items):
            found = (key.name("name"), named_tensor(key.name("name")))
            # A key that stood for those that nothing was known of goes; where it is one of them, it comes again.
            yield 1, DictGuess((found,) if tuple(dict(guess.items)) == (NO_KEY,) else (*guess.items, found))
        yield (2 if "tensor-needed" in said else 9), first
    elif isinstance(guess, ConstantGuess):
        yield (1 if "tensor-needed" in said else 7), tensor(4)
        if guess.type == "int":
            for order, expression in enumerate(("0", "1", "4", "16", "64")):
                if expression != guess.expression:
                    yield 6 + order, ConstantGuess(expression, "int")
        elif guess.type == "bool":
            yield 6, ConstantGuess("True" if guess.expression == "False" else "False", "bool")
            yield 7, ConstantGuess("2", "int")
        if guess.type == "NoneType" or guess.type == "None":
            yield 6, tensor(2)


def _in_place_of_tensor(guess: TensorGuess, said: Complaints) -> Iterator[tuple[int, Guess]]:
    if "tensors-needed" in said:
        yield 1, SequenceGuess((guess, guess), "list")
    yield from _states(guess, said)
    if "number-needed" in said:
        for order, expression in enumerate(("2", "0", "True", "1.0")):
            yield 1 + order, ConstantGuess(expression, type(eval(expression)).__name__)
    if "mapping-needed" in said:
        yield 2, DictGuess(((NO_KEY, guess),))
    if "tensor-called" in said:
        yield 1, ConstantGuess("(lambda x, *args, **kwargs: x)", "Callable")
    yield 9, SequenceGuess((guess, guess), "list")
    yield 14, ConstantGuess("2", "int")
    yield 15, ConstantGuess("None", "None")


def _states(guess: TensorGuess, said: Complaints) -> Iterator[tuple[int, Guess]]:
    """The pair of states that an LSTM takes, where one tensor was given for both."""
    size = said.get("state-size-differs")
    if size is not None and guess.dims[1:] == size.numbers("got"):
        state = replace(guess, dims=size.numbers("wanted"), axes=())
        yield 0, SequenceGuess((state, state), "tuple")
    elif "states-needed" in said:
        yield 1, SequenceGuess((tensor(3), tensor(3)), "tuple")


def _other_lengths(guess: SequenceGuess, said: Complaints, first: TensorGuess) -> Iterator[tuple[int, Guess]]:
    count = len(guess.items)
    complaint = said.get("count-wanted")
    wanted = complaint.number("wanted") if complaint is not None else None
    if wanted is not None and wanted != count:
        yield 1, replace(guess, items=(guess.items[0] if guess.items else first,) * wanted)
    if "item-missing" in said and count < 8:
        yield 1, replace(guess, items=(*guess.items, guess.items[-1] if guess.items else first))
    if guess.kind == "list" and "tuple-needed" in said:
        yield 3, replace(guess, kind="tuple")
    for order, length in enumerate((1, 3, 4, 5)):
        if length != count and guess.items:
            yield 7 + order, replace(guess, items=tuple(guess.items[min(at, count - 1)] for at in range(length)))
