"""A find held against real memory, and what else the workspace passes, before it is generalised.

What was found on fake tensors is confirmed on real ones where the module is small enough; where that fails, the search
goes on with real ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ts_shape_server.agent import shares
from ts_shape_server.agent.clock import TimeLimit, now, time_limit
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.inputs import points, search
from ts_shape_server.agent.infer.running.memory import parameter_counts
from ts_shape_server.agent.infer.running.session import Session

OTHERS = 4
"""Of inputs of other types that the workspace passes."""
REAL_PARAMETERS = 30_000_000
REAL_PRODUCTS = 3_000_000_000
"""A find is confirmed on real tensors up to here, some tenths of a second to make the module and as much to run it."""


def of_other_kinds(
    session: Session, starts: Sequence[points.Start], found: values.Inputs, deadline: float
) -> tuple[values.Inputs, ...]:
    """What the workspace passes besides, of other types than what was found, where that runs."""
    kinds = {tuple((item.name, values.kind(item.guess)) for item in found)}
    others: list[values.Inputs] = []
    for start in starts:
        kind = tuple((item.name, values.kind(item.guess)) for item in start.inputs)
        if start.drawn is None or kind in kinds or len(others) >= OTHERS or now() > deadline:
            continue
        kinds.add(kind)
        if session.concrete(start.inputs).error is None:
            others.append(start.inputs)
    return tuple(others)


def with_different_items(session: Session, found: search.Found) -> search.Found:
    """The find with items of different sizes in its lists, where the module takes that."""
    if any(item.given for item in found.inputs):
        return found
    different = values.with_different_items(found.inputs)
    if different is None:
        return found
    outcome = session.concrete(different)
    if not outcome.ok:
        return found
    return replace(found, inputs=different, outcome=replace(outcome, wishes=found.outcome.wishes))


def with_counts(session: Session, found: search.Found) -> search.Found:
    """The find with its lists told to be as long as they are, where longer or shorter ones do not run."""
    changed = list(found.inputs)
    for position, item in enumerate(found.inputs):
        guess = item.guess
        if not isinstance(guess, values.SequenceGuess) or guess.kind != "list" or not guess.items:
            continue
        others = [(*guess.items, guess.items[-1]), guess.items[:-1]]
        runs = [
            session.concrete(values.replaced(found.inputs, position, replace(guess, items=items))).ok
            for items in others
            if items
        ]
        if not all(runs):
            starred = item.name.startswith("*")
            kind = "tuple" if starred else guess.kind
            changed[position] = replace(item, guess=replace(guess, kind=kind, counted=not starred))
    inputs = tuple(changed)
    return found if inputs == found.inputs else replace(found, inputs=inputs)


def on_real(
    session: Session, found: search.Found, context: Context, lines: Mapping[int, str], deadline: float
) -> search.Found | search.NotFound:
    """The find confirmed on real tensors, where the module is small enough to be run for real."""
    if session.real_only or not is_small(session, found):
        return found
    try:
        with time_limit(shares.REAL_RUN.of(context.remaining())):
            if session.confirms(found.inputs):
                return found
            runs_made = (session.on_real(found.inputs, draw=draw) for draw in values.draws(found.inputs))
            outcome = next((outcome for outcome in runs_made if not outcome.ok), None)
    except TimeLimit:
        return found
    if outcome is None:
        return found
    session.real_only = True
    try:
        with time_limit(shares.REAL_SEARCH.of(deadline - now())):
            longest = shares.RUN.of(context.remaining())
            return search.search(session, [found.inputs], context.path, lines, deadline, longest_run=longest)
    except TimeLimit:
        return search.NotFound(found.inputs, outcome, 1)


def is_small(session: Session, found: search.Found) -> bool:
    """Whether the module and its inputs are small enough to be run for real."""
    count, _ = parameter_counts(session.module)
    return count <= REAL_PARAMETERS and found.outcome.work <= REAL_PRODUCTS
