"""The moves of the search for inputs, in the order in which they are asked: `proposals` asks all of them.

A new heuristic is one function here, in the file of its kind, with its example, and its name in that file's list.
"""

from __future__ import annotations

from collections.abc import Iterator

from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.guesses.values import Inputs
from ts_shape_server.agent.infer.inputs.moves import dtypes, kinds, omitted, ranks, sizes, stated, together
from ts_shape_server.agent.infer.inputs.moves.move import Attempt, Move

SIZES: tuple[Move, ...] = sizes.ALL
BEFORE: tuple[Move, ...] = (*stated.ALL, *omitted.ALL)
VALUES: tuple[Move, ...] = kinds.ALL
TOGETHER: tuple[Move, ...] = together.ALL
TENSORS: tuple[Move, ...] = (*dtypes.FIRST, *ranks.ALL, *dtypes.LAST)
ALL: tuple[Move, ...] = (*SIZES, *BEFORE, *VALUES, *TOGETHER, *TENSORS)

Named = Iterator["tuple[Move, int, Inputs]"]
"""A move, the priority that it gives (less is sooner), and what to try."""


def of_sizes(attempt: Attempt) -> Named:
    """Other sizes for the same structure, and the structure that consumers document."""
    for move in SIZES:
        yield from _named(move, move.propose(attempt))


def of_structure(attempt: Attempt) -> Named:
    """Other structures: for each input in turn, then all together, then for each tensor in turn."""
    for move in BEFORE:
        yield from _named(move, move.propose(attempt))
    for position, _ in enumerate(attempt.inputs):
        for move in VALUES:
            yield from _named(move, move.for_input(attempt, position))
    for move in TOGETHER:
        yield from _named(move, move.propose(attempt))
    for index, _ in enumerate(values.all_tensors(attempt.inputs)):
        for move in TENSORS:
            yield from _named(move, move.for_tensor(attempt, index))


def _named(move: Move, proposals: Iterator[tuple[int, Inputs]]) -> Named:
    for priority, inputs in proposals:
        yield move, priority, inputs
