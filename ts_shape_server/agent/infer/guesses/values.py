"""Guesses at what `forward` takes: a tree of tensors, containers and constants, with every dim addressed by its place.

A guess is immutable. Its dims, read from left to right through the tree, are its *sizes*: the search changes sizes and
structure apart. From a guess come real tensors, fake ones and the contract's spelling. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Union

LEVEL_RANK = 3
"""Dims of a feature map: a batch, channels and a side."""


class OneSize(str):
    """The name of an axis that has one size wherever it stands `of` one thing, as a batch of ids and of their mask."""

    of: str

    def __new__(cls, name: str, of: str = "") -> OneSize:
        made = super().__new__(cls, name)
        made.of = of
        return made


class Whole(str):
    """The name of an axis that is as long as what it holds has parts, as an edge has two ends: where fewer do not run,
    more are not meant.
    """


@dataclass(frozen=True)
class TensorGuess:
    """Dims in elements. Integer tensors hold values from `low` to `high`, inclusively.

    `axes` are names from the source. `limited_below` and `limited_above`: values beyond do not run; else `low` and
    `high` are no more than an example. `follows` is the place among all sizes with which `high` grows, as a length does
    with the longest sequence that there may be.
    """

    dims: tuple[int, ...]
    dtype: str = "float32"
    low: int = 0
    high: int = 1
    axes: tuple[str | None, ...] = ()
    limited_below: bool = False
    limited_above: bool = False
    follows: int | None = None


@dataclass(frozen=True)
class SequenceGuess:
    """A list (`kind` is ``list``) or a tuple. `counted`: a list of more or fewer items does not run."""

    items: tuple[Guess, ...]
    kind: str = "list"
    counted: bool = False


@dataclass(frozen=True)
class DictGuess:
    """String keys, in order."""

    items: tuple[tuple[str, Guess], ...]


@dataclass(frozen=True)
class ConstantGuess:
    """A Python expression in the module's namespace, and the type TorchScript would give its value."""

    expression: str
    type: str


FUNCTION = ConstantGuess("(lambda x, *args, **kwargs: x)", "Callable")
"""A function of which nothing is known: it gives what it gets first."""


@dataclass(frozen=True)
class RecordGuess:
    """An object with fields: what the expression `maker` gives for them by name. `type` is what its class is called."""

    maker: str
    items: tuple[tuple[str, Guess], ...]
    type: str


Guess = Union[TensorGuess, SequenceGuess, DictGuess, RecordGuess, ConstantGuess]


@dataclass(frozen=True)
class InputGuess:
    """One parameter of `forward`. `source` names the evidence; `given` means that it is known, not guessed."""

    name: str
    guess: Guess
    source: str = "solved"
    given: bool = False


Inputs = tuple[InputGuess, ...]


def kind(guess: Guess) -> str:
    """The type of a guess without its sizes; lists are of one kind, however long."""
    if isinstance(guess, TensorGuess):
        return "Tensor"
    if isinstance(guess, ConstantGuess):
        return guess.type
    if isinstance(guess, SequenceGuess):
        inside = [kind(item) for item in guess.items]
        return f"{guess.kind}[{', '.join(dict.fromkeys(inside) if guess.kind == 'list' else inside)}]"
    return "{" + ", ".join(f"{key}: {kind(item)}" for key, item in guess.items) + "}"


def tensors(guess: Guess) -> Iterator[TensorGuess]:
    """The tensors of the tree, from left to right."""
    if isinstance(guess, TensorGuess):
        yield guess
    elif isinstance(guess, SequenceGuess):
        for item in guess.items:
            yield from tensors(item)
    elif isinstance(guess, (DictGuess, RecordGuess)):
        for _, item in guess.items:
            yield from tensors(item)


def same_form(one: Inputs, other: Inputs) -> bool:
    """Whether inputs differ in the values of their tensors at most: their sizes, dtypes and kinds are the same."""

    def plain(index: int, guess: TensorGuess) -> Guess:
        return TensorGuess(guess.dims, guess.dtype)

    return map_tensors(one, plain) == map_tensors(other, plain)


def all_tensors(inputs: Inputs) -> tuple[TensorGuess, ...]:
    """The tensors of all inputs, in the order of their dims."""
    return tuple(tensor for item in inputs for tensor in tensors(item.guess))


def sizes(inputs: Inputs) -> tuple[int, ...]:
    """Every dim of every tensor, from left to right."""
    return tuple(size for tensor in all_tensors(inputs) for size in tensor.dims)


def map_tensors(inputs: Inputs, change: Callable[[int, TensorGuess], Guess]) -> Inputs:
    """`inputs` with each tensor replaced by what `change` makes of its index and guess."""
    counter = iter(range(1_000_000))

    def walk(guess: Guess) -> Guess:
        if isinstance(guess, TensorGuess):
            return change(next(counter), guess)
        if isinstance(guess, SequenceGuess):
            return replace(guess, items=tuple(walk(item) for item in guess.items))
        if isinstance(guess, DictGuess):
            return DictGuess(tuple((key, walk(item)) for key, item in guess.items))
        if isinstance(guess, RecordGuess):
            return replace(guess, items=tuple((key, walk(item)) for key, item in guess.items))
        return guess

    return tuple(replace(item, guess=walk(item.guess)) for item in inputs)


def with_sizes(inputs: Inputs, new: Sequence[int]) -> Inputs:
    """`inputs` with their dims set from left to right. `new` must have as many numbers as there are dims."""
    remaining = iter(new)
    known = sizes(inputs)

    def change(_: int, tensor: TensorGuess) -> Guess:
        dims = tuple(next(remaining) for _ in tensor.dims)
        if tensor.follows is None:
            return replace(tensor, dims=dims)
        high = max(tensor.high + new[tensor.follows] - known[tensor.follows], 0)
        low = high if tensor.low == tensor.high else min(tensor.low, high)
        return replace(tensor, dims=dims, low=low, high=high)

    return map_tensors(inputs, change)


def with_one_sizes(before: Inputs, after: Inputs) -> Inputs:
    """`after` with the axes that have one size following where one of them has another size than it had `before`."""
    names, others = _one_sizes(after), _one_sizes(before)
    if not names or [key for _, key in names] != [key for _, key in others]:
        return after
    old, new = sizes(before), list(sizes(after))
    for key in dict.fromkeys(key for _, key in names):
        had = {old[slot] for slot, other in others if other == key}
        slots = [slot for slot, other in names if other == key]
        changed = {new[slot] for slot in slots} - had
        if len(had) == 1 and len(changed) == 1:
            for slot in slots:
                new[slot] = next(iter(changed))
    return with_sizes(after, new) if tuple(new) != sizes(after) else after


def _one_sizes(inputs: Inputs) -> list[tuple[int, tuple[str, str]]]:
    """The places of axes that have one size with others, and the name that they share with those."""
    slots, slot = [], 0
    for guess in all_tensors(inputs):
        for axis in range(len(guess.dims)):
            name = guess.axes[axis] if axis < len(guess.axes) else None
            if isinstance(name, OneSize):
                slots.append((slot, (str(name), name.of)))
            slot += 1
    return slots


def replaced(inputs: Inputs, position: int, guess: Guess) -> Inputs:
    """`inputs` with another value in the place of one of them."""
    return tuple(replace(item, guess=guess) if at == position else item for at, item in enumerate(inputs))


def with_tensor(inputs: Inputs, index: int, change: Callable[[TensorGuess], Guess]) -> Inputs:
    """`inputs` with the tensor of that index changed."""
    return map_tensors(inputs, lambda position, tensor: change(tensor) if position == index else tensor)


def all_alike(inputs: Inputs) -> Inputs:
    """`inputs` with all numbers that begin at zero being zero: one class, one graph, one node that all edges are at."""

    def change(_: int, guess: TensorGuess) -> Guess:
        return replace(guess, high=0) if "int" in guess.dtype and guess.low == 0 else guess

    return map_tensors(inputs, change)


def with_one_more(inputs: Inputs) -> Inputs | None:
    """`inputs` with one more item in each list of tensors; None if there is no such list."""
    changed = tuple(
        replace(item, guess=replace(item.guess, items=(*item.guess.items, item.guess.items[-1])))
        if isinstance(item.guess, SequenceGuess) and item.guess.kind == "list" and item.guess.items
        else item
        for item in inputs
    )
    return None if changed == inputs else changed


def with_different_items(inputs: Inputs) -> Inputs | None:
    """`inputs` with the first dim of the second tensor of each list made larger; None if there is no such list. The
    levels of a pyramid are of one batch.
    """
    levels = {index for level in levels_of(inputs) for index in level}
    pairs = enumerate(groups(inputs))
    later = {index for index, group in pairs if index == group[0] + 1 and index in group and index not in levels}

    def change(index: int, guess: TensorGuess) -> Guess:
        if index in later and guess.dims:
            return replace(guess, dims=(guess.dims[0] + 3, *guess.dims[1:]))
        return guess

    return map_tensors(inputs, change) if later else None


def levels_of(inputs: Inputs) -> list[tuple[int, ...]]:
    """The tensors of each list whose items have channels of their own, as the feature maps of several levels do."""
    known = all_tensors(inputs)
    return [
        group
        for group in dict.fromkeys(groups(inputs))
        if len({known[index].dims[1:2] for index in group}) > 1
        and all(
            len(known[index].dims) >= LEVEL_RANK and known[index].dims[0] == known[group[0]].dims[0] for index in group
        )
    ]


def owners(inputs: Inputs) -> list[InputGuess]:
    """For each tensor, in the order of `all_tensors`, the input that it belongs to."""
    return [item for item in inputs for _ in tensors(item.guess)]


DRAWS = 3
"""So many draws of values that are few (flags, small numbers) show what one would not."""


def draws(inputs: Inputs, looked_at: bool = False) -> range:
    """The draws of values on which a run has to succeed: several where a module may look at them.

    `looked_at`: it is known to do so.
    """
    few = any(guess.dtype == "bool" or "int" in guess.dtype for guess in all_tensors(inputs))
    return range(DRAWS if few or looked_at else 1)


def groups(inputs: Inputs) -> tuple[tuple[int, ...], ...]:
    """For each tensor the indices of those that share its form: all of its list, or itself alone."""
    result: list[tuple[int, ...]] = []

    def walk(guess: Guess) -> None:
        if isinstance(guess, TensorGuess):
            result.append((len(result),))
        elif isinstance(guess, SequenceGuess):
            start = len(result)
            for item in guess.items:
                walk(item)
            alike = all(isinstance(item, TensorGuess) for item in guess.items)
            if guess.kind == "list" and alike:
                result[start:] = [tuple(range(start, len(result)))] * (len(result) - start)
        elif isinstance(guess, (DictGuess, RecordGuess)):
            for _, item in guess.items:
                walk(item)

    for item in inputs:
        walk(item.guess)
    return tuple(result)


def build(guess: Guess, make: Callable[[TensorGuess], Any], evaluate: Callable[[str], Any]) -> Any:
    """The value of a guess, its tensors by `make`, its constants by `evaluate`."""
    if isinstance(guess, TensorGuess):
        return make(guess)
    if isinstance(guess, SequenceGuess):
        made = [build(item, make, evaluate) for item in guess.items]
        return tuple(made) if guess.kind == "tuple" else made
    if isinstance(guess, DictGuess):
        return {key: build(item, make, evaluate) for key, item in guess.items}
    if isinstance(guess, RecordGuess):
        return evaluate(guess.maker)(**{key: build(item, make, evaluate) for key, item in guess.items})
    return evaluate(guess.expression)


def to_contract(guess: Guess) -> dict[str, Any]:
    """The contract's nested form of a value."""
    if isinstance(guess, TensorGuess):
        data: dict[str, Any] = {"tensor": list(guess.dims), "dtype": guess.dtype}
        if "int" in guess.dtype:
            data.update(low=guess.low, high=guess.high)
        return data
    if isinstance(guess, SequenceGuess):
        return {guess.kind: [to_contract(item) for item in guess.items]}
    if isinstance(guess, DictGuess):
        return {"dict": {key: to_contract(item) for key, item in guess.items}}
    if isinstance(guess, RecordGuess):
        return {"make": guess.maker, "fields": {key: to_contract(item) for key, item in guess.items}}
    return {"expr": guess.expression}


def from_value(value: Any, own: Mapping[str, Any] | None = None) -> Guess | None:
    """The guess that describes a real value, None where it has no spelling in the contract.

    `own` is the module's namespace, in which the makers of objects with fields are spelled.
    """
    import torch

    if isinstance(value, torch.Tensor):
        dtype = str(value.dtype).replace("torch.", "")
        if "int" in dtype and value.numel():
            return TensorGuess(tuple(value.shape), dtype, int(value.min()), int(value.max()))
        return TensorGuess(tuple(value.shape), dtype)
    if value is None or type(value) in (bool, int, float, str):
        return ConstantGuess(repr(value), "None" if value is None else type(value).__name__)
    if type(value) in (list, tuple, torch.Size):
        items = [from_value(item, own) for item in value[:8]]
        if any(item is None for item in items):
            return None
        kind = "list" if isinstance(value, list) else "tuple"
        return SequenceGuess(tuple(item for item in items if item is not None), kind)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        pairs = [(key, from_value(item, own)) for key, item in value.items()]
        if any(item is None for _, item in pairs):
            return None
        return DictGuess(tuple((key, item) for key, item in pairs if item is not None))
    from ts_shape_server.agent.infer.guesses import records

    return None if own is None else records.of_instance(value, own, lambda item: from_value(item, own))
