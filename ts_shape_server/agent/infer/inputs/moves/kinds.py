"""Other kinds of values in the place of one input: a list, a mapping, a number, a pair of states, a tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.guesses.first_tensors import named_tensor, of_one_image, tensor
from ts_shape_server.agent.infer.guesses.values import (
    ConstantGuess,
    DictGuess,
    Guess,
    InputGuess,
    SequenceGuess,
    TensorGuess,
)
from ts_shape_server.agent.infer.inputs.moves.move import value_move
from ts_shape_server.agent.infer.inputs.starting import NO_KEY
from ts_shape_server.agent.torch_says import Complaints

Guesses = Iterator["tuple[int, Guess]"]
MOST_ITEMS = 8


@value_move
def list_of_tensors(item: InputGuess, said: Complaints) -> Guesses:
    """What is joined or stacked is a list of tensors.

    before: x=T(2, 16)
    says: TypeError: cat(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor
    after: x=[T(2, 16), T(2, 16)]
    """
    if isinstance(item.guess, TensorGuess) and "tensors-needed" in said:
        yield 1, SequenceGuess((item.guess, item.guess), "list")


@value_move
def flags_for_a_mask(item: InputGuess, said: Complaints) -> Guesses:
    """What chooses places and is called a mask is of flags, not of numbers.

    before: mask=T(2, 16)
    says: IndexError: tensors used as indices must be long, int, byte or bool tensors
    after: mask=T(2, 16, dtype='bool')
    """
    if isinstance(item.guess, TensorGuess) and "integer-needed" in said and "mask" in item.name.lower():
        yield 0, replace(item.guess, dtype="bool")


@value_move
def pair_of_states(item: InputGuess, said: Complaints) -> Guesses:
    """An LSTM takes a pair of states, and says what size each has.

    before: hx=T(1, 2, 4)
    says: RuntimeError: Expected hidden[0] size (1, 5, 4), got [2, 4]
    after: hx=(T(1, 5, 4), T(1, 5, 4))
    """
    guess, size = item.guess, said.get("state-size-differs")
    if not isinstance(guess, TensorGuess):
        return
    if size is not None and guess.dims[1:] == size.numbers("got"):
        state = replace(guess, dims=size.numbers("wanted"), axes=())
        yield 0, SequenceGuess((state, state), "tuple")
    elif "states-needed" in said:
        yield 1, SequenceGuess((tensor(3), tensor(3)), "tuple")


@value_move
def number(item: InputGuess, said: Complaints) -> Guesses:
    """What is counted to, or decided by, is a number and no tensor.

    before: steps=T(2, 16)
    says: TypeError: arange(): argument 'end' (position 1) must be Number, not Tensor
    after: steps=2
    """
    if isinstance(item.guess, TensorGuess) and "number-needed" in said:
        for order, expression in enumerate(("2", "0", "True", "1.0")):
            yield 1 + order, ConstantGuess(expression, type(eval(expression)).__name__)


@value_move
def mapping(item: InputGuess, said: Complaints) -> Guesses:
    """What is asked for keys is a mapping; the keys that it has to have are learned one by one.

    before: batch=T(2, 16)
    says: AttributeError: 'Tensor' object has no attribute 'items'
    after: batch={'x': T(2, 16)}
    """
    if isinstance(item.guess, TensorGuess) and "mapping-needed" in said:
        yield 2, DictGuess(((NO_KEY, item.guess),))


@value_move
def function(item: InputGuess, said: Complaints) -> Guesses:
    """What is called is a function.

    before: attend=T(2, 16)
    says: TypeError: 'Tensor' object is not callable
    after: attend=C('(lambda x, *args, **kwargs: x)', 'Callable')
    """
    if isinstance(item.guess, TensorGuess) and "tensor-called" in said:
        yield 1, values.FUNCTION


@value_move
def other_kinds(item: InputGuess, said: Complaints) -> Guesses:
    """When nothing else is known of a tensor it may be a list, a number or nothing: late, and cheap.

    before: x=T(2, 16)
    says: RuntimeError: it fails
    after: x=2
    """
    if isinstance(item.guess, TensorGuess):
        yield 9, SequenceGuess((item.guess, item.guess), "list")
        yield 14, ConstantGuess("2", "int")
        yield 15, ConstantGuess("None", "None")


@value_move
def other_lengths(item: InputGuess, said: Complaints) -> Guesses:
    """A list has as many items as are taken out of it.

    before: xs=[T(2, 16), T(2, 16)]
    says: ValueError: not enough values to unpack (expected 3, got 2)
    after: xs=[T(2, 16), T(2, 16), T(2, 16)]
    """
    guess = item.guess
    if not isinstance(guess, SequenceGuess):
        return
    count, first, complaint = len(guess.items), _first(guess), said.get("count-wanted")
    wanted = complaint.number("wanted") if complaint is not None else None
    if wanted is not None and wanted != count:
        yield 1, replace(guess, items=(guess.items[0] if guess.items else first,) * wanted)
    if "item-missing" in said and count < MOST_ITEMS:
        yield 1, replace(guess, items=(*guess.items, guess.items[-1] if guess.items else first))
    if guess.kind == "list" and "tuple-needed" in said:
        yield 3, replace(guess, kind="tuple")
    for order, length in enumerate((1, 3, 4, 5)):
        if length != count and guess.items:
            yield 7 + order, replace(guess, items=tuple(guess.items[min(at, count - 1)] for at in range(length)))


@value_move
def missed_key(item: InputGuess, said: Complaints) -> Guesses:
    """A mapping has the key that was missed. One that stood for those that nothing was known of goes.

    before: batch={'x': T(2, 3, 64, 64)}
    says: KeyError: 'ids'
    after: batch={'ids': T(2, 16, dtype='int64')}
    """
    guess, key = item.guess, said.get("missing-key")
    if isinstance(guess, DictGuess) and key is not None and key.name("name") not in dict(guess.items):
        alike = guess.items[0][1] if guess.items else None
        # Where the type says what is in it, as a list for each key is, the new one has that too.
        held: Guess = alike if isinstance(alike, SequenceGuess) else named_tensor(key.name("name"))
        found = (key.name("name"), held)
        # Where the key that goes is one of them, it is missed again.
        yield 1, DictGuess((found,) if tuple(dict(guess.items)) == (NO_KEY,) else (*guess.items, found))


@value_move
def missed_key_of_each(item: InputGuess, said: Complaints) -> Guesses:
    """Each mapping of a list has the key that was missed.

    before: found=[{'mu': T(2, 16)}, {'mu': T(2, 16)}]
    says: KeyError: 'time'
    after: found=[{'mu': T(2, 16), 'time': T(2)}, {'mu': T(2, 16), 'time': T(2)}]
    """
    guess, key = item.guess, said.get("missing-key")
    if not isinstance(guess, SequenceGuess) or key is None or not guess.items:
        return
    name, dicts = key.name("name"), [each for each in guess.items if isinstance(each, DictGuess)]
    if len(dicts) == len(guess.items) and all(name not in dict(each.items) for each in dicts):
        found = (name, of_one_image(name))
        yield 1, replace(guess, items=tuple(DictGuess((*each.items, found)) for each in dicts))


@value_move
def one_tensor(item: InputGuess, said: Complaints) -> Guesses:
    """What is added, or asked for its shape, is a tensor and no list, mapping or number.

    before: xs=[T(2, 16), T(2, 16)]
    says: AttributeError: 'list' object has no attribute 'dim'
    after: xs=T(2, 16)
    """
    needed = "tensor-needed" in said
    if isinstance(item.guess, SequenceGuess):
        yield (1 if needed else 8), _first(item.guess)
    elif isinstance(item.guess, DictGuess):
        yield (2 if needed else 9), _first(item.guess)
    elif isinstance(item.guess, ConstantGuess):
        yield (1 if needed else 7), tensor(4)


@value_move
def other_numbers(item: InputGuess, said: Complaints) -> Guesses:
    """A number that nothing is known of may be another one, a flag the other one, and None a tensor.

    before: steps=2
    says: RuntimeError: it fails
    after: steps=16
    """
    guess = item.guess
    if not isinstance(guess, ConstantGuess):
        return
    if guess.type == "int":
        for order, expression in enumerate(("0", "1", "4", "16", "64")):
            if expression != guess.expression:
                yield 6 + order, ConstantGuess(expression, "int")
    elif guess.type == "bool":
        yield 6, ConstantGuess("True" if guess.expression == "False" else "False", "bool")
        yield 7, ConstantGuess("2", "int")
    if guess.type in ("NoneType", "None"):
        yield 6, tensor(2)


def _first(guess: Guess) -> TensorGuess:
    return next(iter(values.tensors(guess)), tensor(4))


ALL = (
    list_of_tensors,
    flags_for_a_mask,
    pair_of_states,
    number,
    mapping,
    function,
    other_kinds,
    other_lengths,
    missed_key,
    missed_key_of_each,
    one_tensor,
    other_numbers,
)
