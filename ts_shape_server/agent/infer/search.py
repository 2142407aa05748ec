"""The search for inputs that run: guess, run, read the failure, change one thing, prefer what came furthest.

Sizes change by solving the guards that torch evaluated last (`solving`), structure by what errors and consumers say
(`repairs`). Bounded by attempts and by a deadline.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from ts_shape_server.agent.clock import TimeLimit, now, time_limit
from ts_shape_server.agent.infer import mismatch, repairs, solving, source, values
from ts_shape_server.agent.infer.session import Outcome, Session, innermost_line, is_hopeless
from ts_shape_server.agent.infer.values import Inputs

ATTEMPTS = 160
STALE = 60
FIXED, OPEN = 8, 4
"""Attempts without any that came further, after which the search gives up; fewer where fixed sizes disagree, and
fewest where the constructor's arguments may be changed for that.
"""
ALL_ALIKE = 24
"""So many inputs that all fail in the very same way are enough."""
TOLD = 200
SHORTEST_RUN = 1.0
"""Seconds that a run may take, however little of the search's time is left."""
SYMBOLIC_ATTEMPTS = 40
ASIDE = 4
"""Every so many attempts one is a size that an error named where a run came less far: another rank may be right."""
STRANGE = 2
"""So many symbolic runs that fail elsewhere than the runs on numbers: then no more are made."""
LARGEST_REAL, LARGEST_FAKE = 1 << 23, 1 << 28
"""Elements of a tensor."""
AFTER_SWALLOWED_BATCH = 12
WISH_PRIORITY, PLAIN_PRIORITY, EQUATION_PRIORITY = -3, -2, -1
"""What consumers document is tried first, then a size that the error names, and other structures after the equation."""


class TooSlow(TimeoutError):
    """A run took longer than it may. Its traceback is where it was when it was ended."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"it took longer than {max(seconds, SHORTEST_RUN):.3g} s")


@dataclass(frozen=True)
class Found:
    """Inputs that run, and the outcome of that run."""

    inputs: Inputs
    outcome: Outcome


@dataclass(frozen=True)
class NotFound:
    """The attempt that came furthest, and why it failed there. `attempts` counts runs."""

    inputs: Inputs
    outcome: Outcome
    attempts: int
    exhausted: bool


@dataclass(order=True)
class _Entry:
    key: tuple[int, int, int]
    inputs: Inputs = field(compare=False)
    failed: Outcome | None = field(compare=False, default=None)
    """The outcome of these inputs, where they wait for their equation to be read."""


def places(inputs: Inputs) -> solving.Places:
    """Which sizes are batches, which belong together in space, and which are known: of evidence those without name."""
    batch: set[int] = set()
    spatial: list[tuple[int, ...]] = []
    fixed: set[int] = set()
    slot = 0
    for item in inputs:
        for tensor in values.tensors(item.guess):
            rank = len(tensor.dims)
            if rank >= 2:
                batch.add(slot)
            if rank >= 4:
                spatial.append(tuple(range(slot + 2, slot + rank)))
            if item.given:
                named = [axis < len(tensor.axes) and bool(tensor.axes[axis]) for axis in range(rank)]
                fixed.update(slot + axis for axis in range(rank) if not named[axis])
            slot += rank
    return solving.Places(frozenset(batch), tuple(spatial), frozenset(fixed))


class _Search:
    def __init__(
        self,
        session: Session,
        path: str,
        lines: Mapping[int, str],
        deadline: float,
        omitted: Inputs,
        open_arguments: bool,
        longest_run: float,
    ) -> None:
        self._longest_run = longest_run
        self._session = session
        self._omitted = omitted
        self._open = open_arguments
        self._path = path
        self._lines = lines
        self._deadline = deadline
        self._queue: list[_Entry] = []
        self._named: deque[Inputs] = deque()
        """Of what waits in the queue, that with sizes which errors named, in the order in which it came."""
        self._tried: set[Inputs] = set()
        self._counter = 0
        self._symbolic = 0
        self._best: tuple[Inputs, Outcome] | None = None
        self._swallowed: Found | None = None
        self._grace = AFTER_SWALLOWED_BATCH
        self._fixed = False
        self._strange = 0
        self._slow = False

    def push(self, inputs: Inputs, progress: int, priority: int) -> None:
        if inputs not in self._tried and self._fits(inputs):
            self._counter += 1
            heapq.heappush(self._queue, _Entry((-progress, priority, self._counter), inputs))
            if priority == PLAIN_PRIORITY:
                self._named.append(inputs)

    def _fits(self, inputs: Inputs) -> bool:
        """Whether the tensors are small enough to be run: fake ones cost nothing but what the module makes of them."""
        most = LARGEST_REAL if self._session.real_only else LARGEST_FAKE
        return all(math.prod(item.dims) <= most for item in values.all_tensors(inputs))

    def _ask_later(self, inputs: Inputs, outcome: Outcome, progress: int) -> None:
        """Read the equation behind a failure once the plain changes, which cost a tenth of that, have not helped."""
        self._counter += 1
        heapq.heappush(self._queue, _Entry((-progress, EQUATION_PRIORITY, self._counter), inputs, outcome))

    def run(self) -> Found | NotFound:
        attempts = 0
        stale = 0
        failures: set[str] = set()
        while (
            self._queue and attempts < ATTEMPTS and stale < (FIXED if self._fixed else STALE) and now() < self._deadline
        ):
            inputs = self._next(attempts)
            if inputs is None:
                continue
            self._tried.add(inputs)
            attempts += 1
            stale += 1
            outcome = self._run(inputs)
            if outcome.error is None:
                found = self._accept(inputs, outcome, attempts)
                if found is not None:
                    return found
                continue
            if self._best is None or outcome.steps > self._best[1].steps:
                self._best = (inputs, outcome)
                stale, self._fixed = 0, self._open and repairs.is_constructors(outcome.error, inputs)
            failures.add(f"{type(outcome.error).__name__} {outcome.steps} {outcome.error}"[:TOLD])
            if attempts >= ALL_ALIKE and len(failures) == 1:
                # Nothing that goes in has changed anything: what raises does not look at it.
                break
            self._expand(inputs, outcome)
            if self._swallowed is not None:
                self._grace -= 1
                if self._grace <= 0:
                    break
        if self._swallowed is not None:
            return self._swallowed
        if self._best is None:
            return NotFound((), Outcome(RuntimeError("nothing was tried"), wishes={}), attempts, not self._queue)
        return NotFound(*self._best, attempts, not self._queue)

    def _run(self, inputs: Inputs) -> Outcome:
        """A run in a part of the time that there is: where one input takes too long, a smaller one may not."""
        try:
            with time_limit(max(SHORTEST_RUN, self._longest_run)):
                outcome = self._session.concrete(inputs)
                if outcome.ok and self._session.real_only:
                    others = (self._session.on_real(inputs, draw=draw) for draw in values.draws(inputs)[1:])
                    outcome = next((other for other in others if not other.ok), outcome)
                return outcome
        except TimeLimit as limit:
            if not self._slow:
                self._slow = True
                self._deadline = max(self._deadline, now() + SHORTEST_RUN)
            # It did not fail: that is further than any that did.
            steps = 1 + (self._best[1].steps if self._best is not None else 0)
            return Outcome(TooSlow(self._longest_run).with_traceback(limit.__traceback__), steps=steps, wishes={})

    def _next(self, attempts: int) -> Inputs | None:
        """What to run now; None if it was tried, or if an equation was to be read."""
        if self._named and attempts % ASIDE == ASIDE - 1:
            aside = self._named.popleft()
            if aside not in self._tried:
                return aside
        entry = heapq.heappop(self._queue)
        if entry.failed is not None:
            self._solve(entry.inputs, entry.failed)
            return None
        return None if entry.inputs in self._tried else entry.inputs

    def _accept(self, inputs: Inputs, outcome: Outcome, attempts: int) -> Found | None:
        """The find, unless its consumers document another form (tried next) or it swallows the batch."""
        wished = repairs.from_wishes(inputs, outcome.wishes, ranks=attempts == 1)
        if attempts == 1 and wished != inputs and wished not in self._tried:
            self._swallowed = Found(repairs.bounded(inputs, outcome.wishes), outcome)
            self._grace = 4
            self.push(wished, outcome.steps + 1_000_000, 0)
            return None
        found = Found(repairs.bounded(inputs, outcome.wishes), outcome)
        if keeps_batch(inputs, outcome):
            return found
        if self._swallowed is None or attempts > 1:
            self._swallowed = self._swallowed or found
        return None if self._queue and self._grace > 0 else self._swallowed

    def _expand(self, inputs: Inputs, outcome: Outcome) -> None:
        assert outcome.error is not None
        if is_hopeless(outcome.error):
            return
        wished = repairs.from_wishes(inputs, outcome.wishes, ranks=True)
        if wished != inputs:
            self.push(wished, outcome.steps, WISH_PRIORITY)
        pair = mismatch.sizes_that_disagree(outcome.error)
        if pair is not None:
            for solved in solving.replaced(values.sizes(inputs), places(inputs), *pair):
                self.push(values.with_sizes(inputs, solved), outcome.steps, PLAIN_PRIORITY)
        if pair is not None and self._session.real_only:
            for solved in solving.scaled(values.sizes(inputs), places(inputs), *pair):
                self.push(values.with_sizes(inputs, solved), outcome.steps, EQUATION_PRIORITY)
        about_sizes = not isinstance(outcome.error, (TypeError, AttributeError, KeyError))
        if (
            about_sizes
            and self._symbolic < SYMBOLIC_ATTEMPTS
            and self._strange < STRANGE
            and not self._session.real_only
            and values.sizes(inputs)
        ):
            self._symbolic += 1
            # The dim that a module adds itself, where it is missing, is a step that the documented form does not need.
            added = repairs.ranks(wished) != repairs.ranks(inputs)
            self._ask_later(inputs, outcome, outcome.steps - 2 * added)
        line = innermost_line(outcome.error, self._path)
        blamed = source.names_in_line(self._lines, line) if line is not None else frozenset()
        names = frozenset(item.name for item in (*inputs, *self._omitted))
        for priority, changed in repairs.from_error(outcome.error, inputs, blamed & names, self._omitted):
            self.push(changed, outcome.steps, priority)

    def _solve(self, inputs: Inputs, outcome: Outcome) -> None:
        """Sizes for which the last condition that torch evaluated comes out the other way."""
        if self._session.real_only:
            return
        try:
            with time_limit(max(SHORTEST_RUN, (self._deadline - now()) / 2)):
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
        if mismatch.sizes_that_disagree(traced.error) is not None:
            # Two fixed sizes disagree: no size of the input mends that, only another structure may.
            self._fixed = True
            return
        later = 6 if outcome.error is not None and repairs.asks_for_structure(outcome.error) else 0
        for order, solved in enumerate(solving.flips(traced.guards, values.sizes(inputs), places(inputs))[:24]):
            self.push(values.with_sizes(inputs, solved), outcome.steps, later + min(order, 6))


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


def first_tensor(value: object) -> torch.Tensor | None:
    """The first tensor in a nested output."""
    if isinstance(value, torch.Tensor):
        return value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    for part in parts:
        found = first_tensor(part)
        if found is not None:
            return found
    return None


def search(
    session: Session,
    starts: list[Inputs],
    path: str,
    lines: Mapping[int, str],
    deadline: float,
    omitted: Inputs = (),
    open_arguments: bool = False,
    longest_run: float = SHORTEST_RUN,
) -> Found | NotFound:
    """Inputs for which the session's module runs, from the given starts on. `omitted` may be passed too.

    With `open_arguments` the constructor's arguments are guesses: where they seem wrong, little is tried here. No run
    takes longer than `longest_run` seconds of work, or `SHORTEST_RUN` where that is more.
    """
    engine = _Search(session, path, lines, deadline, omitted, open_arguments, longest_run)
    for order, inputs in enumerate(starts):
        engine.push(inputs, 0, order - 10)
    return engine.run()
