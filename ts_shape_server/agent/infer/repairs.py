"""From the text of an error to other structures that may avoid it: ranks, dtypes, containers, numbers.

Each rule reads what torch or Python say in words; sizes are not its business (`solving` has those). Runs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

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

_NORMALISED = re.compile(r"expected (\d)D or (\d)D input \(got")
_RANKS = (
    _NORMALISED,
    re.compile(r"[Ee]xpected (\d)D(?: \(unbatched\))?,? or (\d)D(?: \(batched\))?"),
    re.compile(r"expected (\d)D (?:or (\d)D )?input"),
    re.compile(r"[Ee]xpected input to be (\d)D or (\d)D"),
    re.compile(r"[Ii]nput must have (\d) dimensions"),
    re.compile(r"not enough values to unpack \(expected (\d)"),
    re.compile(r"too many values to unpack \(expected (\d)"),
    re.compile(r"is not equal to len\(dims\) = (\d)"),
    re.compile(r"must be a (\d)-?D tensor"),
    re.compile(r"(\d)-?[dD] (?:\(batched\) )?(?:tensor|input|inputs) expected"),
    re.compile(r"[Ee]xpected (?:a |input to be )?(\d)-?D(?: tensor)?"),
    re.compile(r"expected (\d)-dimensional"),
    re.compile(r"must be (\d)-?D\b"),
    re.compile(r"expects a tensor with <= (\d) dimensions"),
    re.compile(r"Supports 1D or (\d)D tensors"),
    re.compile(r"subscripts in the equation \((\d)\)"),
    re.compile(r"only supported for (\d)-?D"),
)
_INTEGER_NEEDED = re.compile(
    r"scalar types?: Long, Int|expected Long|tensors used as indices must be long|Expected dtype int64|"
    r"index tensor to have scalar type|'indices' to have|expected scalar type Long|only (?:valid|applicable) to index|"
    r"one_hot is only applicable to index|IndexTensor|gather\(\): Expected dtype|0D or 1D target tensor expected",
    re.IGNORECASE,
)
_BOOL_NEEDED = re.compile(
    r"bool(?:ean)? (?:mask|tensor)|expected .*mask.* Bool|only supports boolean masks|dtype bool", re.I
)
_FLOAT_NEEDED = re.compile(
    r"not implemented for '(?:Long|Int|Bool)'|result type Float can't be cast|must be floating point|"
    r"expected scalar type Float|should be the same|mat1 and mat2 must have the same dtype|"
    r"got: (?:long|int|bool)|only support floating|can only calculate the mean of floating",
    re.I,
)
_DTYPES_DIFFER = re.compile(
    r"expected (?:scalar type|dtype)|same dtype|should be the same|but found|but got|does not match weight dtype", re.I
)
_OTHER_FLOATS = {
    "float16": re.compile(r"\b(?:c10::)?Half(?:Tensor)?\b|float16", re.I),
    "bfloat16": re.compile(r"BFloat16", re.I),
    "float64": re.compile(r"\bDouble(?:Tensor)?\b|float64", re.I),
}
_LIST_NEEDED = re.compile(r"must be tuple of Tensors, not Tensor|argument 'tensors'|tuple of Tensors")
_TENSOR_NEEDED = re.compile(
    r"must be Tensor, not (?:list|tuple|dict|int|float|bool|str|NoneType)|"
    r"'(?:list|tuple|dict|int|float|bool|NoneType|str)' object has no attribute|"
    r"unsupported operand type|'int' object is not (?:iterable|subscriptable)|"
    r"(?:list|tuple) indices must be integers|not list|not tuple|not dict"
)
_NUMBER_NEEDED = re.compile(
    r"'Tensor' object cannot be interpreted as an integer|only integer tensors of a single element|"
    r"Boolean value of Tensor with more than one value|must be (?:int|float|bool|SymInt|tuple of ints|Number)|"
    r"can't convert .* to Scalar|only one element tensors can be converted|"
    r"a Tensor with \d+ elements cannot be converted to Scalar|unhashable type|indices must be integers or slices, not|"
    r"(?:arange|linspace|full|zeros|ones|randn|rand|empty|eye|one_hot)\(\)(?: received an invalid|: argument)"
)
_STATES_NEEDED = re.compile(
    r"lstm(?:_cell)?\(\) received an invalid combination|LSTM(?:Cell)?: Expected hx|hx and cx should also be"
)
_STATE_SIZE = re.compile(r"Expected hidden(?:\[\d\])? size \((?P<wanted>[\d, ]+)\), got \[(?P<got>[\d, ]+)\]")
_RANKS_BETWEEN = re.compile(r"should be a (?P<wanted>\d)D .*?\bgot (?P<got>\d)D")
_INDEX_RANK = re.compile(r"Index tensor must have the same number of dimensions|Expected target size \[")
_BEYOND = re.compile(r"is invalid for input of size|out of (?:range|bounds)|exceeds dimension size|must be less than")
"""Lengths may be too long for what they are the lengths of."""
_POSITIVE_NEEDED = re.compile(r"[Ll]ength of all samples has to be greater than 0")
_VECTOR_NEEDED = re.compile(
    r"'lengths' argument should be|cannot be converted to Scalar|only integer tensors of a single element|"
    r"iteration over a 0-d tensor"
)
_MORE_DIMS = re.compile(
    r"too many indices for tensor|tuple index out of range|not enough values to unpack|expected input\[1, "
)
"""A convolution calls its input a batch of one where the batch is missing."""
_FEWER_DIMS = re.compile(
    r"repeat dims can not be smaller|must be greater or equal to the number of dim|too many values to unpack"
)
_PADDED = re.compile(r"Padding size (\d+) is not supported")
_TOO_SMALL = re.compile(
    r"can't be greater than actual input|Output size is too small|more than 1 (?:spatial element|value per channel)|"
    r"smaller than kernel size|should be less than the corresponding input dimension|must have non-zero size|"
    r"Expected .* non-zero size|too small"
)
_SIDES_NEEDED = re.compile(r"divisible|(?:image|input|img) size|height|width|resolution|window", re.I)
_DICT_NEEDED = re.compile(r"no attribute '(keys|items|values|get)'|too many indices|new\(\): invalid data type 'str'")


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
    return replace(guess, high=max(0, wish.high))


def asks_for_structure(error: BaseException) -> bool:
    """Whether an error is about ranks or kinds of values, which no other size would mend."""
    text = str(error)[:2000]
    return bool(_wanted_ranks(text)) or isinstance(error, TypeError)


_KIND = re.compile(
    r"'(?:\w+\.)*(Identity|SimpleNamespace|int|float|str|list|dict|function|type)' object|Identity\.forward\(\)|"
    r"non-iterable (int|float)|tensor of dimension 0"
)


def is_constructors(error: BaseException, inputs: Inputs) -> bool:
    """Whether an error is about a kind of value that no input is: it came by way of the constructor."""
    found = _KIND.search(str(error)[:500]) if isinstance(error, (TypeError, AttributeError, IndexError)) else None
    return found is not None and all(isinstance(item.guess, TensorGuess) for item in inputs)


def from_error(error: BaseException, inputs: Inputs, blamed: frozenset[str], omitted: Inputs = ()) -> Iterator[Child]:
    """Other structures to try after `error`. `blamed` are the names in the failing line, `omitted` the inputs that
    may be left out.
    """
    text = str(error)[:2000]
    yield from _with_omitted(error, text, inputs, blamed, omitted)
    for position, item in enumerate(inputs):
        if item.given:
            continue
        distance = 0 if item.name in blamed or not blamed else 4
        for priority, guess in _other_kinds(item, text):
            yield distance + priority, joint_changes.replaced(inputs, position, guess)
    if _TOO_SMALL.search(text):
        for order, factor in enumerate((2, 4, 8)):
            yield order - 3, joint_changes.enlarged(inputs, factor)
    if isinstance(error, TimeoutError):
        yield -1, joint_changes.with_short_sides(inputs)
    for rank in _wanted_ranks(text):
        yield 0, joint_changes.all_of_rank(inputs, rank)
    yield from joint_changes.fitted(inputs, text)
    if _SIDES_NEEDED.search(text) or (isinstance(error, AssertionError) and not text.strip()):
        for side in joint_changes.CUSTOMARY_SIDES:
            # Before the equation is read: deep in a net it is long, and each window states one of its own.
            yield -2, joint_changes.with_sides(inputs, side)
    yield from joint_changes.alike(inputs, text, blamed)
    between = _RANKS_BETWEEN.search(text)
    if between is not None:
        yield 0, joint_changes.lowered(inputs, int(between.group("got")) - int(between.group("wanted")))
    owners, groups = values.owners(inputs), values.groups(inputs)
    for index, guess in enumerate(values.all_tensors(inputs)):
        if owners[index].given or groups[index][0] != index:
            continue
        distance = 0 if owners[index].name in blamed or not blamed else 4
        for priority, changed in _other_tensors(guess, text):
            yield distance + priority, _with(inputs, index, changed)


def _with_omitted(
    error: BaseException, text: str, inputs: Inputs, blamed: frozenset[str], omitted: Inputs
) -> Iterator[Child]:
    """The inputs and one that was left out: where None is not taken, or the author's own check refuses the rest."""
    present = {item.name for item in inputs}
    absent = [item for item in omitted if item.name not in present]
    said = set(re.findall(r"\w+", text))
    missed = "None" in text
    own = isinstance(error, (ValueError, AssertionError, UnboundLocalError))
    for order, item in enumerate(absent):
        if item.name in blamed or item.name in said:
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


def _other_tensors(guess: TensorGuess, text: str) -> Iterator[tuple[int, TensorGuess]]:
    if _INTEGER_NEEDED.search(text) and guess.dtype != "int64":
        yield 1, replace(guess, dtype="int64")
        if len(guess.dims) != 2:
            yield 2, tensor(2, "int64")
    if _BOOL_NEEDED.search(text) and guess.dtype != "bool":
        yield 1, replace(guess, dtype="bool")
    if _FLOAT_NEEDED.search(text) and guess.dtype != "float32":
        yield 1, replace(guess, dtype="float32")
    for dtype in _dtypes(text):
        if guess.dtype == "float32":
            yield 0, replace(guess, dtype=dtype)
    if "complex" in text.lower() and not guess.dtype.startswith("complex"):
        yield 2, replace(guess, dtype="complex64")
    if ("out of range" in text or "out of bounds" in text) and "int" in guess.dtype and guess.high > 0:
        yield 1, replace(guess, high=0)
    if _POSITIVE_NEEDED.search(text) and (guess.dtype == "bool" or ("int" in guess.dtype and guess.low < 1)):
        yield 1, replace(guess, dtype="int64", low=1, high=max(1, guess.high))
    if guess.dtype == "int64" and guess.low == guess.high > 1 and _BEYOND.search(text):
        yield 1, replace(guess, low=1, high=1)
    state = _STATE_SIZE.search(text)
    if state is not None and guess.dims == joint_changes.numbers(state.group("got")):
        yield 0, replace(guess, dims=joint_changes.numbers(state.group("wanted")), axes=())
    if _INDEX_RANK.search(text) and len(guess.dims) > 1:
        # What is one short of the other's dims is given a dim of its own, as the classes beside their scores.
        yield (
            1,
            replace(
                joint_changes.ranked(guess, len(guess.dims) - 1), dtype="int64", dims=(guess.dims[0], *guess.dims[2:])
            ),
        )
    wanted = _wanted_ranks(text)
    for order, rank in enumerate(wanted):
        if rank != len(guess.dims) and rank <= 6:
            yield 1 + order, joint_changes.ranked(guess, rank)
    dimension = re.search(r"Dimension out of range \(expected to be in range of \[-\d, \d\], but got (-?\d)", text)
    if dimension is not None:
        axis = int(dimension.group(1))
        yield 1, joint_changes.ranked(guess, axis + 1 if axis >= 0 else -axis)
    yield from _by_one(guess, text)
    if _VECTOR_NEEDED.search(text) and len(guess.dims) != 1:
        yield 1, lengths()
    for order, rank in enumerate((4, 3, 2, 5, 1)):
        if rank != len(guess.dims):
            yield 5 + order, joint_changes.ranked(guess, rank)
    if guess.dtype == "float32":
        yield 12, replace(guess, dtype="int64")


def _dtypes(text: str) -> list[str]:
    """Other floating dtypes than the usual one that an error about two dtypes names: a module may be of them."""
    if not _DTYPES_DIFFER.search(text):
        return []
    return [dtype for dtype, pattern in _OTHER_FLOATS.items() if pattern.search(text)]


def _by_one(guess: TensorGuess, text: str) -> Iterator[tuple[int, TensorGuess]]:
    """One dim more or less, where the error speaks of too few or too many."""
    rank = len(guess.dims)
    if _MORE_DIMS.search(text) and rank < joint_changes.LARGEST_RANK:
        yield 1, joint_changes.ranked(guess, rank + 1)
    if _FEWER_DIMS.search(text) and rank > 1:
        yield 1, joint_changes.ranked(guess, rank - 1)
        if rank > 2:
            yield 2, joint_changes.ranked(guess, rank - 2)


def _wanted_ranks(text: str) -> list[int]:
    found: list[int] = []
    padding = _PADDED.search(text)
    if padding is not None:
        # Padding of n sides is for n / 2 axes beside batch and channels.
        found.append(int(padding.group(1)) // 2 + 2)
    for pattern in _RANKS:
        match = pattern.search(text)
        if match is not None:
            ranks = [int(rank) for rank in match.groups() if rank]
            # A normalisation's smaller rank is a batch of vectors; elsewhere the smaller one has no batch.
            found += ranks if pattern is _NORMALISED else ranks[::-1]
    return list(dict.fromkeys(found))


def _other_kinds(item: InputGuess, text: str) -> Iterator[tuple[int, Guess]]:
    guess = item.guess
    first = next(iter(values.tensors(guess)), tensor(4))
    if isinstance(guess, TensorGuess):
        if _LIST_NEEDED.search(text):
            yield 1, SequenceGuess((first, first), "list")
        yield from _states(guess, text)
        if _NUMBER_NEEDED.search(text):
            for order, expression in enumerate(("2", "0", "True", "1.0")):
                yield 1 + order, ConstantGuess(expression, type(eval(expression)).__name__)
        if _DICT_NEEDED.search(text):
            yield 2, DictGuess(((NO_KEY, first),))
        if "Tensor' object is not callable" in text:
            yield 1, ConstantGuess("(lambda x, *args, **kwargs: x)", "Callable")
        yield 9, SequenceGuess((first, first), "list")
        yield 14, ConstantGuess("2", "int")
        yield 15, ConstantGuess("None", "None")
    elif isinstance(guess, SequenceGuess):
        yield from _other_lengths(guess, text, first)
        yield (1 if _TENSOR_NEEDED.search(text) else 8), first
    elif isinstance(guess, DictGuess):
        key = re.match(r"^['\"]?([\w.]+)['\"]?$", text)
        if key is not None and key.group(1) not in dict(guess.items):
            found = (key.group(1), named_tensor(key.group(1)))
            # A key that stood for those that nothing was known of goes; where it is one of them, it comes again.
            yield 1, DictGuess((found,) if tuple(dict(guess.items)) == (NO_KEY,) else (*guess.items, found))
        yield (2 if _TENSOR_NEEDED.search(text) else 9), first
    elif isinstance(guess, ConstantGuess):
        yield (1 if _TENSOR_NEEDED.search(text) else 7), tensor(4)
        if guess.type == "int":
            for order, expression in enumerate(("0", "1", "4", "16", "64")):
                if expression != guess.expression:
                    yield 6 + order, ConstantGuess(expression, "int")
        elif guess.type == "bool":
            yield 6, ConstantGuess("True" if guess.expression == "False" else "False", "bool")
            yield 7, ConstantGuess("2", "int")
        if guess.type == "NoneType" or guess.type == "None":
            yield 6, tensor(2)


def _states(guess: TensorGuess, text: str) -> Iterator[tuple[int, Guess]]:
    """The pair of states that an LSTM takes, where one tensor was given for both."""
    size = _STATE_SIZE.search(text)
    if size is not None and guess.dims[1:] == joint_changes.numbers(size.group("got")):
        state = replace(guess, dims=joint_changes.numbers(size.group("wanted")), axes=())
        yield 0, SequenceGuess((state, state), "tuple")
    elif _STATES_NEEDED.search(text):
        yield 1, SequenceGuess((tensor(3), tensor(3)), "tuple")


def _other_lengths(guess: SequenceGuess, text: str, first: TensorGuess) -> Iterator[tuple[int, Guess]]:
    count = len(guess.items)
    needed = re.search(r"unpack \(expected (\d)", text)
    if needed is not None and int(needed.group(1)) != count:
        yield (
            1,
            replace(guess, items=tuple(guess.items[0] if guess.items else first for _ in range(int(needed.group(1))))),
        )
    if "index out of range" in text and count < 8:
        yield 1, replace(guess, items=(*guess.items, guess.items[-1] if guess.items else first))
    if guess.kind == "list" and ("tuple" in text):
        yield 3, replace(guess, kind="tuple")
    for order, length in enumerate((1, 3, 4, 5)):
        if length != count and guess.items:
            yield 7 + order, replace(guess, items=tuple(guess.items[min(at, count - 1)] for at in range(length)))
