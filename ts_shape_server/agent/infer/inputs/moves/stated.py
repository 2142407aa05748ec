"""What the author's own check asks for, read from the check itself: its message need not say it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ts_shape_server.agent.infer.facts.checks import Wanted
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.guesses.first_tensors import named_tensor, ranked
from ts_shape_server.agent.infer.guesses.values import DictGuess, Guess, InputGuess, SequenceGuess, TensorGuess
from ts_shape_server.agent.infer.inputs.moves.move import Attempt, Proposals, move
from ts_shape_server.agent.infer.inputs.starting import NO_KEY

SOONER = -4
"""Before anything that is only likely."""


@move
def as_the_check_asks(attempt: Attempt) -> Proposals:
    """The author's check says what it wants of a name; where that is no input's, any input may be behind it.

    before: x=T(2, 3, 64, 64), t=T(2, 3, 64, 64)
    check: assert len(t.shape) == 1
    says: AssertionError: ''
    after: x=T(2, 3, 64, 64), t=T(16)
    """
    for wanted in attempt.checked:
        named = [item.name for item in attempt.inputs if item.name == wanted.name]
        if wanted.what == "given":
            for item in attempt.omitted:
                if item.name == wanted.name and not named:
                    yield SOONER, (*attempt.inputs, replace(item, guess=named_tensor(item.name), source="solved"))
            continue
        for position, item in enumerate(attempt.inputs):
            if item.given or (named and item.name != wanted.name):
                continue
            for order, guess in enumerate(_as_wanted(item, wanted)):
                yield SOONER + order + (0 if named else 1), values.replaced(attempt.inputs, position, guess)


def _as_wanted(item: InputGuess, wanted: Wanted) -> Iterator[Guess]:
    guess = item.guess
    for value in wanted.values:
        if wanted.what == "kind":
            first = next(iter(values.tensors(guess)), named_tensor(item.name))
            yield DictGuess(((NO_KEY, first),)) if value == "dict" else SequenceGuess((first, first), str(value))
        elif isinstance(guess, TensorGuess) and isinstance(value, int) and value != len(guess.dims):
            yield ranked(guess, value)
        elif isinstance(guess, TensorGuess) and isinstance(value, str) and value != guess.dtype:
            yield replace(guess, dtype=value, high=255 if value == "uint8" else guess.high)


ALL = (as_the_check_asks,)
