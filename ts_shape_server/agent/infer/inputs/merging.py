"""Dims that `forward` takes apart itself are one dim, as the constructor's arguments say.

``x.reshape(n, length, self.heads, self.embed // self.heads)`` runs for (B, L, heads, embed / heads) and for
(B, L, embed); the author has features of one size. Unchanged where no argument is the product. Knows nothing of claims.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from ts_shape_server.agent import trees
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.guesses.values import Guess, TensorGuess
from ts_shape_server.agent.infer.inputs.search import Found
from ts_shape_server.agent.infer.inputs.splits import numbers
from ts_shape_server.agent.infer.running.session import Session

LEAST = 3
"""Dims of a tensor whose last two may be one: a batch, and both."""


def as_arguments_say(session: Session, found: Found, plan: Mapping[str, str]) -> Found:
    """The find with the last two dims of tensors as one, where one argument is their product and another one of them,
    and it runs with the same shapes of what comes out.

    `plan` has the expressions of the arguments that are passed; the others have their defaults.
    """
    given = [owner.given for owner in values.owners(found.inputs)]
    tails = {
        item.dims[-2:]
        for item, known in zip(values.all_tensors(found.inputs), given)
        if len(item.dims) >= LEAST and not known and min(item.dims[-2:]) > 1
    }
    if not tails:
        return found
    sizes = [size for _, size in numbers(session, plan)]
    for tail in tails:
        if math.prod(tail) not in sizes or not set(tail) & set(sizes):
            continue

        def merged(index: int, guess: TensorGuess, tail: tuple[int, ...] = tail) -> Guess:
            if given[index] or guess.dims[-2:] != tail or len(guess.dims) < LEAST:
                return guess
            return replace(guess, dims=(*guess.dims[:-2], math.prod(tail)), axes=guess.axes[: len(guess.dims) - 2])

        inputs = values.map_tensors(found.inputs, merged)
        outcome = session.concrete(inputs)
        if outcome.ok and _shapes(outcome.output) == _shapes(found.outcome.output):
            return replace(found, inputs=inputs, outcome=outcome)
    return found


def _shapes(output: object) -> list[tuple[int, ...]]:
    return [tuple(item.shape) for item in trees.tensors(output)]
