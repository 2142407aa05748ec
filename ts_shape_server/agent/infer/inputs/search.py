"""The search for inputs that run: guess, run, read the failure, change one thing, prefer what came furthest.

Sizes change by solving the guards that torch evaluated last (`solving`), all else by the moves. What runs is taken
once its consumers have had their say, and if it keeps the batch.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import sympy
import torch

from ts_shape_server.agent import shares, torch_says, trees
from ts_shape_server.agent.clock import TimeLimit, now, time_limit
from ts_shape_server.agent.infer.engine import Budget, Exit, Later, Proposal, Ran, Search, Trail
from ts_shape_server.agent.infer.facts import checks, source
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.guesses.values import Inputs, TensorGuess
from ts_shape_server.agent.infer.inputs import moves, solving, wishes
from ts_shape_server.agent.infer.inputs.moves.move import Attempt, Move
from ts_shape_server.agent.infer.inputs.moves.sizes import EQUATION_PRIORITY, PLAIN_PRIORITY
from ts_shape_server.agent.infer.inputs.solving import places
from ts_shape_server.agent.infer.running import forms, mismatch, symbolic
from ts_shape_server.agent.infer.running.session import (
    NOTHING_TRIED,
    Outcome,
    Session,
    innermost_line,
    is_abstract,
    is_hopeless,
)

__all__ = ["Found", "NotFound", "TooSlow", "first_tensor", "keeps_batch", "places", "search"]

ATTEMPTS = 160
STALE = 60
FIXED = 8
"""Attempts without any that came further, after which the search gives up; fewer where fixed sizes disagree, or where
something is missing that no input gives.
"""
ALL_ALIKE = 24
"""So many inputs that all fail in the very same way are enough."""
TOLD = 200
SYMBOLIC_ATTEMPTS = 40
EQUATIONS_ALIKE = 12
"""So many equations are read of failures that came equally far: a search without a find spends most on reading them,
and none after the eighth led to one.
"""
STRANGE = 2
"""So many symbolic runs that fail elsewhere than the runs on numbers: then no more are made."""
LARGEST_REAL, LARGEST_FAKE = 1 << 23, 1 << 28
"""Elements of a tensor."""
AFTER_SWALLOWED_BATCH, AFTER_WISH = 12, 4
SIDES = (28, 32, 64, 84, 96, 128, 224, 227, 256, 299)
"""Of images that are passed, where a net takes several sizes."""
EQUATION = "equation"
"""The name of the move that reads the equation behind a failure, in the trail."""
FIRST = 1_000_000
"""Progress by which a state is tried next."""


class TooSlow(TimeoutError):
    """A run took longer than it may. Its traceback is where it was when it was ended."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"it took longer than {max(seconds, shares.SHORTEST_RUN):.3g} s")


@dataclass(frozen=True)
class Found:
    """Inputs that run, and the outcome of that run. `others` run too, in the order in which they were met.

    `why` is what spoke against the find that these took the place of, as a field of `doubts.Doubts`. `batch_axes` are
    by tensor: the dim that layers which read sequences take for the batch.
    """

    inputs: Inputs
    outcome: Outcome
    others: tuple[Found, ...] = field(default=(), compare=False)
    why: str = ""
    batch_axes: tuple[int | None, ...] = ()


@dataclass(frozen=True)
class NotFound:
    """The attempt that came furthest, and why it failed there. `attempts` counts runs, `exit` is why no more were
    made.
    """

    inputs: Inputs
    outcome: Outcome
    attempts: int
    exit: Exit = Exit.EMPTY


class _Inputs:
    """The problem that the engine searches: inputs for the module of one session."""

    def __init__(
        self,
        session: Session,
        path: str,
        lines: Mapping[int, str],
        deadline: float,
        omitted: Inputs,
        open_arguments: bool,
        longest_run: float,
        attempts: int,
    ) -> None:
        self.budget = Budget(deadline, attempts, STALE, ALL_ALIKE)
        self.best: Outcome | None = None
        self._latest = NOTHING_TRIED
        self._first = True
        self._longest_run = longest_run
        self._session = session
        self._omitted = omitted
        self._open = open_arguments
        self._path = path
        self._lines = lines
        self._symbolic = 0
        self._read: dict[int, int] = {}
        """Equations that were read, by how far the run came."""
        self._furthest = 0
        self._kept = False
        self._strange = 0
        self._slow = False
        self.disagreed: tuple[Inputs, Outcome] | None = None
        """The attempt that came furthest of those for which two fixed sizes disagree."""

    def run(self, state: Inputs, number: int) -> Ran[Found]:
        """A run on tensors, in a part of the time that there is."""
        outcome = self._run(state)
        self._latest, self._first = outcome, number == 1
        if outcome.error is not None:
            failure = f"{type(outcome.error).__name__} {outcome.steps} {outcome.error}"[:TOLD]
            # A state of which the size is wrong has the dims that were asked for before.
            return Ran(outcome.steps + ("state-size-differs" in torch_says.read(outcome.error)), failure)
        found = Found(wishes.bounded(state, outcome.wishes), outcome)
        wished = wishes.fulfilled(state, outcome.wishes, ranks=number == 1)
        if number == 1 and (not values.same_form(wished, state) or (self._session.real_only and wished != state)):
            # Its consumers document another form, which is tried next.
            self._kept = True
            return Ran(outcome.steps, "", found, settled=False, grace=AFTER_WISH)
        if keeps_batch(state, outcome):
            return Ran(outcome.steps, "", found)
        grace = None if self._kept else AFTER_SWALLOWED_BATCH
        self._kept = True
        return Ran(outcome.steps, "", found, settled=False, grace=grace)

    def came_furthest(self, state: Inputs) -> None:
        """Where it is the constructor's arguments that seem wrong, little more is tried."""
        outcome = self.best = self._latest
        self._furthest = outcome.steps
        error = outcome.error
        wrong = error is not None and self._open and _is_constructors(error, state)
        # Where what came furthest fails for want of a name or a file, only a way around that is looked for.
        self.budget.patience = FIXED if wrong or _is_missing(error) else STALE

    def proposals(self, state: Inputs) -> Iterator[Proposal[Inputs] | Later[Inputs]]:
        """What the moves make of a failure; the equation behind it is read when the plain changes have not helped."""
        outcome = self._latest
        if outcome.error is None:
            if self._first:
                wished = wishes.fulfilled(state, outcome.wishes, ranks=True)
                yield from self._fitting(state, [Proposal("documented-form", 0, wished, outcome.steps + FIRST)])
            return
        if _is_missing(outcome.error):
            return
        names = frozenset(item.name for item in (*state, *self._omitted))
        attempt = Attempt(
            state,
            outcome.error,
            self._blamed(outcome.error) & names,
            self._omitted,
            outcome.wishes,
            self._session.real_only,
            checks.of_error(outcome.error),
        )
        yield from self._fitting(state, (_proposal(*item) for item in moves.of_sizes(attempt)))
        if self._may_be_read(outcome.error, state):
            self._symbolic += 1
            # The dim that a module adds itself, where it is missing, is a step that the documented form does not need.
            wished = wishes.fulfilled(state, outcome.wishes, ranks=True)
            added = wishes.ranks(wished) != wishes.ranks(state)
            yield Later(EQUATION, EQUATION_PRIORITY, lambda: self._equation(state, outcome), outcome.steps - 2 * added)
        yield from self._fitting(state, (_proposal(*item) for item in moves.of_structure(attempt)))

    def fits(self, inputs: Inputs) -> bool:
        """Whether all tensors are small enough: fake ones cost nothing but what the module makes of them."""
        most = LARGEST_REAL if self._session.real_only else LARGEST_FAKE
        return all(math.prod(item.dims) <= most for item in values.all_tensors(inputs))

    def _run(self, inputs: Inputs) -> Outcome:
        """Where one input takes too long, a smaller one may not."""
        try:
            with time_limit(max(shares.SHORTEST_RUN, self._longest_run)):
                outcome = self._session.concrete(inputs)
                if outcome.ok and self._session.real_only:
                    others = (
                        self._session.on_real(inputs, draw=draw) for draw in values.draws(inputs, looked_at=True)[1:]
                    )
                    outcome = next((other for other in others if not other.ok), outcome)
                return outcome
        except TimeLimit as limit:
            if not self._slow:
                self._slow = True
                self.budget.deadline = max(self.budget.deadline, now() + shares.SHORTEST_RUN)
            # It did not fail: that is further than any that did.
            too_slow = TooSlow(self._longest_run).with_traceback(limit.__traceback__)
            # What its frames hold may be all that a loop without end has made.
            traceback.clear_frames(limit.__traceback__)
            return Outcome(too_slow, steps=1 + self._furthest)

    def _blamed(self, error: BaseException) -> frozenset[str]:
        line = innermost_line(error, self._path)
        return source.names_in_line(self._lines, line) if line is not None else frozenset()

    def _fitting(self, before: Inputs, proposals: Iterable[Proposal[Inputs]]) -> Iterator[Proposal[Inputs]]:
        """Those that are small enough, each with the sizes that are one changed together."""
        alike = (replace(item, state=values.with_one_sizes(before, item.state)) for item in proposals)
        return (proposal for proposal in alike if self.fits(proposal.state))

    def _may_be_read(self, error: BaseException, inputs: Inputs) -> bool:
        return (
            not isinstance(error, (TypeError, AttributeError, KeyError, TooSlow))
            and self._symbolic < SYMBOLIC_ATTEMPTS
            and self._strange < STRANGE
            and not self._session.real_only
            and bool(values.sizes(inputs))
        )

    def _equation(self, inputs: Inputs, outcome: Outcome) -> Iterator[Proposal[Inputs]]:
        """Sizes for which the last condition that torch evaluated comes out the other way."""
        read = self._read.get(outcome.steps, 0)
        if self._session.real_only or outcome.error is None or read >= EQUATIONS_ALIKE:
            return
        self._read[outcome.steps] = read + 1
        try:
            with time_limit(max(shares.SHORTEST_RUN, (self.budget.deadline - now()) / 2)):
                traced = self._session.symbolic(inputs)
        except TimeLimit:
            self._strange = STRANGE
            return
        if traced.error is None:
            return
        if type(traced.error) is not type(outcome.error) and traced.steps < outcome.steps:
            # It came less far, for a reason of its own: what it asked last is not what the run needs.
            self._strange += 1
            return
        if mismatch.of_layer(traced.error) is not None:
            # Two fixed sizes disagree: no size of the input mends that, only another structure may.
            if self.disagreed is None or self.disagreed[1].steps < outcome.steps:
                self.disagreed = inputs, outcome
            self.budget.patience = FIXED
            return
        yield from self._fitting(
            inputs, (Proposal(EQUATION, 0, values.with_sizes(inputs, sizes)) for sizes in _unfolded(inputs, traced))
        )
        later = 6 if _asks_for_structure(outcome.error) else 0
        solved = solving.flips(traced.guards, values.sizes(inputs), places(inputs))[:24]
        yield from self._fitting(
            inputs,
            (
                Proposal(EQUATION, later + min(order, 6), values.with_sizes(inputs, sizes))
                for order, sizes in enumerate(solved)
            ),
        )


def _proposal(move: Move, priority: int, inputs: Inputs) -> Proposal[Inputs]:
    return Proposal(move.name, priority, inputs, aside=priority == PLAIN_PRIORITY)


def _asks_for_structure(error: BaseException) -> bool:
    """Whether an error is about ranks or kinds of values, which no other size would mend."""
    return "rank-wanted" in torch_says.read(error) or isinstance(error, TypeError)


def _is_missing(error: BaseException | None) -> bool:
    """Whether a run failed for want of something that no input gives, a function that its library has no more too."""
    if is_hopeless(error) or is_abstract(error):
        return True
    return error is not None and "missing-module-attribute" in torch_says.read(error)


def _is_constructors(error: BaseException, inputs: Inputs) -> bool:
    """Whether an error is about a kind of value that no input is: it came by way of the constructor."""
    if not isinstance(error, (TypeError, AttributeError, IndexError)) or "stand-in-met" not in torch_says.read(error):
        return False
    return all(isinstance(item.guess, TensorGuess) for item in inputs)


def keeps_batch(inputs: Inputs, outcome: Outcome) -> bool:
    """Whether the first output has as many rows as the first input, or no multiple or part of them."""
    tensors = values.all_tensors(inputs)
    output = first_tensor(outcome.output)
    if not tensors or output is None or len(tensors[0].dims) < 2 or output.dim() < 2:
        return True
    rows, batch = int(output.shape[0]), tensors[0].dims[0]
    if rows == batch or any(rows == size for tensor in tensors for size in tensor.dims):
        return True
    return not (output.dim() == 2 and (rows % batch == 0 or rows < batch))


def _unfolded(inputs: Inputs, traced: Outcome) -> Iterator[tuple[int, ...]]:
    """Sizes for which the first view that took items apart, as ``view(-1, 320)`` does, takes them whole."""
    sizes = values.sizes(inputs)
    hints = {f"s{slot}": size for slot, size in enumerate(sizes)}
    for item, width in traced.folds:
        count = math.prod(traced.size(size) for size in item)
        if not isinstance(count, sympy.Expr) or count.subs(hints) == width:
            continue
        for side in SIDES:
            square = list(sizes)
            for group in places(inputs).spatial:
                for slot in group:
                    square[slot] = side
            if count.subs({f"s{slot}": size for slot, size in enumerate(square)}) == width:
                yield tuple(square)
        yield from map(tuple, solving.flips([symbolic.Guard(sympy.Eq(count, width), False)], sizes, places(inputs))[:2])
        return


def _slips_through(session: Session, inputs: Inputs, disagreed: Outcome) -> bool:
    """Whether a single item runs, where layers refuse a batch of them, only since one of its sizes is by luck the one
    that was wanted: then the layers do not fit.
    """
    watched = forms.Forms(session.module)
    session.concrete(inputs, [watched])
    pair = mismatch.of_layer(disagreed.error) if disagreed.error is not None else None
    if not watched.single or pair is None:
        return False
    sizes = values.sizes(inputs)
    return any(
        not session.concrete(values.with_sizes(inputs, [size + (slot == at) for at, size in enumerate(sizes)])).ok
        for slot, size in enumerate(sizes)
        if size == pair[0]
    )


def first_tensor(value: object) -> torch.Tensor | None:
    """The first tensor in a nested output."""
    return next(trees.tensors(value), None)


def search(
    session: Session,
    starts: list[Inputs],
    path: str,
    lines: Mapping[int, str],
    deadline: float,
    omitted: Inputs = (),
    open_arguments: bool = False,
    longest_run: float = shares.SHORTEST_RUN,
    attempts: int = ATTEMPTS,
    finds: int = 1,
    trail: Trail | None = None,
) -> Found | NotFound:
    """Inputs for which the session's module runs, from the given starts on. `omitted` may be passed too.

    With `open_arguments` the constructor's arguments are guesses: where they seem wrong, little is tried here. No run
    takes longer than `longest_run` seconds of work, or `SHORTEST_RUN` where that is more. At most `attempts` runs are
    made, and the search goes on until so many `finds` keep the batch; the first one has the others.
    """
    problem = _Inputs(session, path, lines, deadline, omitted, open_arguments, longest_run, attempts)
    engine: Search[Inputs, Found] = Search(problem, trail, finds, "inputs")
    engine.start((order - 10, inputs) for order, inputs in enumerate(starts) if problem.fits(inputs))
    result = engine.run()
    if result.finds:
        first, *others = result.finds
        if problem.disagreed is not None and _slips_through(session, first.inputs, problem.disagreed[1]):
            return NotFound(*problem.disagreed, result.runs, result.exit)
        return Found(first.inputs, first.outcome, tuple(others))
    if result.best is None or problem.best is None:
        return NotFound((), NOTHING_TRIED, result.runs, result.exit)
    return NotFound(result.best, problem.best, result.runs, result.exit)
