"""The moves of constructor arguments, in the order in which they are asked: `proposals` asks all of them.

A new heuristic is one function here, in the file of its kind, with its example, and its name in that file's list.
"""

from __future__ import annotations

from collections.abc import Iterator

from ts_shape_server.agent.infer.constructor.arguments import Plan
from ts_shape_server.agent.infer.constructor.moves import kinds, parts, plans
from ts_shape_server.agent.infer.constructor.moves.move import ArgumentMove, Refusal
from ts_shape_server.agent.infer.running import mismatch

ALL: tuple[ArgumentMove, ...] = (*plans.CONFIGS, *plans.ALL, *parts.ALL, *kinds.ALL, *plans.OF_RUNS)

Named = Iterator["tuple[ArgumentMove, Plan]"]


def proposals(refusal: Refusal) -> Named:
    """Other plans, the likeliest first: what a config misses alone, else whole plans, then each argument in turn."""
    grown = list(_named(plans.CONFIGS, refusal))
    if grown:
        yield from grown
        return
    yield from _named((*plans.ALL, *parts.ALL), refusal)
    for name in refusal.open_names:
        for move in kinds.ALL:
            for plan in move.for_argument(refusal, name):
                yield move, plan


def after_a_run(refusal: Refusal) -> Named:
    """Other plans after a run of what the plan made has failed: sizes that agree, where two do not."""
    if mismatch.sizes_that_disagree(refusal.error) is not None:
        yield from _named(plans.OF_RUNS, refusal)
    else:
        yield from proposals(refusal)


def _named(moves: tuple[ArgumentMove, ...], refusal: Refusal) -> Named:
    for move in moves:
        for plan in move.propose(refusal):
            yield move, plan
