"""What a move is: a named rule that proposes other inputs after a run has failed.

Three kinds: one that sees all inputs, one that sees an input at a time, one that sees a tensor at a time, in lists too.
A move's docstring says why it is right, and has an example, which is its test: inputs before, what the run says, and
one of the inputs that it proposes. A move that has none does not load. Runs nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Callable

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.infer.engine import described
from ts_shape_server.agent.infer.facts.checks import Wanted
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.guesses.values import Guess, InputGuess, Inputs, TensorGuess
from ts_shape_server.agent.infer.running.spy import Wish
from ts_shape_server.agent.torch_says import Complaints

FAR = 4
"""So much later comes what concerns an input that the failing line does not name."""


@dataclass(frozen=True)
class Attempt:
    """Inputs that were run, and how the run failed. `blamed` are the inputs in the failing line, `omitted` those that
    may be left out, `wishes` what the consumers of each tensor document, `checked` what the author's own check asks
    for if it was that which refused them.
    """

    inputs: Inputs
    error: BaseException
    blamed: frozenset[str] = frozenset()
    omitted: Inputs = ()
    wishes: Mapping[int, Wish] = field(default_factory=dict)
    real_only: bool = False
    checked: tuple[Wanted, ...] = ()

    @functools.cached_property
    def said(self) -> Complaints:
        """What the error complains of."""
        return torch_says.read(self.error)

    @functools.cached_property
    def owners(self) -> list[InputGuess]:
        """For each tensor the input that it belongs to."""
        return values.owners(self.inputs)

    @functools.cached_property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """For each tensor those that share its form."""
        return values.groups(self.inputs)

    def distance(self, name: str) -> int:
        """How much later a change of that input is tried."""
        return 0 if name in self.blamed or not self.blamed else FAR


Proposals = Iterator["tuple[int, Inputs]"]
"""Priorities (less is sooner) and what to try."""
OfInputs = Callable[[Attempt], Proposals]
OfValue = Callable[[InputGuess, Complaints], Iterator["tuple[int, Guess]"]]
OfTensor = Callable[[TensorGuess, Complaints], Iterator["tuple[int, TensorGuess]"]]


@dataclass(frozen=True)
class Move:
    """A rule. `name` stands in the trail of a search, `why` is the first sentence of its docstring."""

    name: str
    why: str
    of_inputs: OfInputs | None = None
    of_value: OfValue | None = None
    of_tensor: OfTensor | None = None

    def propose(self, attempt: Attempt) -> Proposals:
        """What this move alone proposes."""
        if self.of_inputs is not None:
            yield from self.of_inputs(attempt)
        for position, _ in enumerate(attempt.inputs):
            yield from self.for_input(attempt, position)
        for index, _ in enumerate(values.all_tensors(attempt.inputs)):
            yield from self.for_tensor(attempt, index)

    def for_input(self, attempt: Attempt, position: int) -> Proposals:
        """What it proposes for the input at that place."""
        item = attempt.inputs[position]
        if self.of_value is not None and not item.given:
            for priority, guess in self.of_value(item, attempt.said):
                yield attempt.distance(item.name) + priority, values.replaced(attempt.inputs, position, guess)

    def for_tensor(self, attempt: Attempt, index: int) -> Proposals:
        """What it proposes for that tensor, and for those of its list that have the same form."""
        owner, group = attempt.owners[index], attempt.groups[index]
        if self.of_tensor is None or group[0] != index:
            return
        before = values.all_tensors(attempt.inputs)[index]
        for priority, guess in self.of_tensor(before, attempt.said):
            if owner.given and (guess.dims, guess.dtype) != (before.dims, before.dtype):
                # A shape that is known stays; what values it is tried with does not.
                continue
            if len(guess.dims) != len(before.dims):
                guess = with_features(guess, attempt.wishes.get(index))
            yield attempt.distance(owner.name) + priority, _with(attempt, index, guess)


def with_features(guess: TensorGuess, wish: Wish | None) -> TensorGuess:
    """A tensor with another number of dims and the last sizes that its consumers document for any number of them."""
    dims = list(guess.dims)
    for axis, size in wish.axes.items() if wish is not None else ():
        if -len(dims) <= axis < 0:
            dims[axis] = size
    return replace(guess, dims=tuple(dims))


def _with(attempt: Attempt, index: int, guess: TensorGuess) -> Inputs:
    group, before = attempt.groups[index], values.all_tensors(attempt.inputs)[index]

    def change(position: int, tensor: TensorGuess) -> Guess:
        alike = len(tensor.dims) == len(before.dims) and tensor.dtype == before.dtype
        return guess if position == index or (position in group and alike) else tensor

    return values.map_tensors(attempt.inputs, change)


def move(rule: OfInputs) -> Move:
    """A rule that sees all inputs."""
    return Move(*described(rule), of_inputs=rule)


def value_move(rule: OfValue) -> Move:
    """A rule that sees one input of any kind."""
    return Move(*described(rule), of_value=rule)


def tensor_move(rule: OfTensor) -> Move:
    """A rule that sees one tensor."""
    return Move(*described(rule), of_tensor=rule)
