"""Inputs that may be left out, passed after all."""

from __future__ import annotations

from dataclasses import replace

from ts_shape_server.agent.infer.guesses.first_tensors import named_tensor
from ts_shape_server.agent.infer.guesses.values import ConstantGuess, InputGuess
from ts_shape_server.agent.infer.inputs.moves.move import Attempt, Proposals, move


@move
def pass_omitted(attempt: Attempt) -> Proposals:
    """Where None is not taken, or the author's own check refuses the rest, an optional input is needed after all.

    before: x=T(2, 16)
    omitted: mask=None
    says: AttributeError: 'NoneType' object has no attribute 'shape'
    after: x=T(2, 16), mask=T(2, 3, 64, 64)
    """
    present = {item.name for item in attempt.inputs}
    absent = [item for item in attempt.omitted if item.name not in present]
    words, missed = attempt.said.words, "none-met" in attempt.said
    own = isinstance(attempt.error, (ValueError, AssertionError, UnboundLocalError))
    for order, item in enumerate(absent):
        if item.name in attempt.blamed or item.name in words:
            yield 1, (*attempt.inputs, _asked_for(item))
        elif missed or own:
            yield 3 + order, (*attempt.inputs, _asked_for(item))


def _asked_for(item: InputGuess) -> InputGuess:
    """An omitted input as one that is passed; its default is no value for that."""
    unknown = isinstance(item.guess, ConstantGuess) and item.guess.expression == "None"
    guess = named_tensor(item.name) if unknown else item.guess
    return replace(item, guess=guess, source="solved")


ALL = (pass_omitted,)
