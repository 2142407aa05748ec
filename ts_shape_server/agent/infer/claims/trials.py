"""Runs at other sizes than those that were found, remembered, within a time. Knows nothing of claims."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from ts_shape_server.agent import shares, trees
from ts_shape_server.agent.clock import TimeLimit, now, time_limit
from ts_shape_server.agent.infer.claims import conditions
from ts_shape_server.agent.infer.claims.claim import Condition, Sizes
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.guesses.values import Inputs
from ts_shape_server.agent.infer.running import recording
from ts_shape_server.agent.infer.running.session import Outcome, Session

SLOWER = 8
"""So many times what a run takes, from which on a run is made with memory."""
REAL_ELEMENTS = 1 << 20
"""Of all inputs together, up to which dear runs are made with memory."""
ASKING_COSTS = 12
"""So many times the cost of a run on symbols has to be left for another one."""


@dataclass
class Trials:
    """Runs at other sizes, remembered. One counts as good if it ran and gave the rows and ranks that the first gave."""

    session: Session
    inputs: Inputs
    outcome: Outcome
    deadline: float
    latest: float
    """Until when the deadline may be put off where runs are dear."""
    small: bool = False
    """Whether the module may be run in memory."""
    stated: Callable[[Sizes], list[int | None]] | None = None
    """What the run on symbols says of the sizes of the outputs, None for what it leaves open."""
    asking_cost: float = 0.0
    """Of a run on symbols, in seconds of work; 0 where there was none."""
    known: dict[Sizes, bool] = field(default_factory=dict)
    open_places: set[int] = field(default_factory=set)
    """Sizes of the outputs of which the run on symbols states something false: torch fixes some that move."""
    gave: dict[Sizes, list[int]] = field(default_factory=dict)
    """The sizes of the outputs of good runs."""
    cost: float = 0.0
    """Of a run, in seconds of work."""
    cost_of_good: float = 0.0
    _rows_are_batch: bool | None = None
    _grows: bool = False
    """Runs without memory take much longer at other sizes."""

    def good(self, sizes: Sizes) -> bool:
        """Whether these sizes run. False once time is up: what was not seen is not claimed (`fails` tells apart)."""
        if sizes in self.known:
            return self.known[sizes]
        left = self.deadline - now()
        if left <= 0 or min(sizes, default=1) < 1:
            return False
        started = now()
        try:
            with time_limit(left):
                outcome = self._run_draws(sizes)
        except TimeLimit:
            return False
        spent = now() - started
        self.cost = 0.5 * (self.cost or spent) + 0.5 * spent
        if outcome.ok:
            self.cost_of_good = 0.5 * (self.cost_of_good or spent) + 0.5 * spent
        result = outcome.ok and same_ranks(self.outcome, outcome)
        if result and self.rows_are_batch:
            result = _rows(outcome) == sizes[0]
        self.known[sizes] = result
        if result:
            self.gave[sizes] = _sizes(outcome)
        return result

    def _run(self, sizes: Sizes) -> Outcome:
        """A run without memory, or with it where that is dear without: a recurrent layer is unrolled there."""
        inputs = values.with_sizes(self.inputs, sizes)
        elements = sum(math.prod(item.dims) for item in values.all_tensors(inputs))
        in_memory = self.small and elements <= REAL_ELEMENTS and not self.session.real_only
        if not in_memory or not self._grows:
            try:
                with time_limit(max(shares.DEAR_RUN, SLOWER * self.cost_of_good) if in_memory else self.left()):
                    return self.session.concrete(inputs)
            except TimeLimit:
                if not in_memory or self.left() <= 0:
                    raise
                self._grows = True
        return self.session.on_real(inputs)

    def _run_draws(self, sizes: Sizes) -> Outcome:
        """A run, where the module looks at values with others too."""
        outcome = self._run(sizes)
        if self.session.real_only:
            inputs = values.with_sizes(self.inputs, sizes)
            for draw in values.draws(inputs, looked_at=True)[1:]:
                other = self.session.on_real(inputs, draw=draw) if outcome.ok else outcome
                outcome = outcome if other.ok else other
        return outcome

    def as_stated(self, sizes: Sizes) -> bool:
        """Whether a good run gave the sizes that the run on symbols states; true where that states nothing."""
        if self.stated is None or sizes not in self.gave:
            return True
        return self._false(sizes) <= self.open_places

    def leave_open(self, good: Iterable[Sizes]) -> None:
        """Expect no more of the sizes of outputs that are others than stated where the same was asked."""
        for sizes in good if self.stated is not None else ():
            self.open_places |= self._false(sizes)

    def _false(self, sizes: Sizes) -> set[int]:
        """The places of the outputs' sizes that are others than stated."""
        assert self.stated is not None
        wanted, got = self.stated(sizes), self.gave[sizes]
        if len(wanted) != len(got):
            return set()
        return {place for place, size in enumerate(wanted) if size is not None and size != got[place]}

    def asked(self, sizes: Sizes) -> list[Condition]:
        """What torch asks of sizes that run; nothing where a run on symbols is dear or was not possible."""
        if not self.asking_cost or ASKING_COSTS * self.asking_cost > self.left():
            return []
        try:
            with time_limit(self.left()):
                outcome = self.session.symbolic(values.with_sizes(self.inputs, sizes))
        except TimeLimit:
            return []
        return list(conditions.all_of(outcome.guards)) if outcome.ok else []

    def begin_at(self, sizes: Sizes) -> bool:
        """Have other sizes, which ran, as the base from now on."""
        inputs = values.with_sizes(self.inputs, sizes)
        outcome = self.session.concrete(inputs)
        if outcome.ok:
            self.inputs, self.outcome = inputs, replace(outcome, indexes=self.outcome.indexes)
        return outcome.ok

    def fails(self, sizes: Sizes) -> bool:
        """Whether these sizes are known not to run."""
        return not self.good(sizes) and sizes in self.known

    def put_off(self, runs: int) -> None:
        """Put the deadline off until so many good runs can be made, if the time that is left does not suffice."""
        self.deadline = max(self.deadline, min(self.latest, now() + runs * self.cost_of_good))

    def questions(self, sizes: Sizes) -> list[Condition]:
        """What torch asked of these sizes before it failed on them, in order; nothing where that cannot be heard."""
        try:
            with time_limit(shares.ASKING.of(self.left())):
                outcome = self.session.symbolic(values.with_sizes(self.inputs, sizes))
        except TimeLimit:
            return []
        return [] if outcome.ok else list(conditions.all_of(outcome.guards))

    def left(self) -> float:
        """Seconds of work until time is up."""
        return self.deadline - now()

    @property
    def rows_are_batch(self) -> bool:
        """Whether the first output has a row for each item of the first input, here and for one item more.

        Then other sizes that give other rows are no inputs: a `view` has moved items between rows.
        """
        if self._rows_are_batch is None:
            tensors = values.all_tensors(self.inputs)
            self._rows_are_batch = False
            if tensors and len(tensors[0].dims) >= 2 and _rows(self.outcome) == self.base[0]:
                joined = [slot for slot in _first_axes(self.inputs) if self.base[slot] == self.base[0]]
                for slots in ((0,), tuple(joined)):
                    more = self.moved(slots, self.base[0] + 1)
                    try:
                        with time_limit(shares.BATCH_RUN.of(self.left())):
                            outcome = self.session.concrete(values.with_sizes(self.inputs, more))
                    except TimeLimit:
                        break
                    if outcome.ok:
                        self._rows_are_batch = _rows(outcome) == more[0]
                    if outcome.ok and not (_sizes(outcome) == _sizes(self.outcome) and _numbers_beside(self.inputs)):
                        break
        return self._rows_are_batch

    @property
    def base(self) -> Sizes:
        return values.sizes(self.inputs)

    def moved(self, slots: Iterable[int], value: int) -> Sizes:
        chosen = set(slots)
        return tuple(value if slot in chosen else size for slot, size in enumerate(self.base))


def same_ranks(first: Outcome, second: Outcome) -> bool:
    left, right = list(trees.leaves(first.output)), list(trees.leaves(second.output))
    return len(left) == len(right) and all(
        getattr(a, "ndim", None) == getattr(b, "ndim", None) for a, b in zip(left, right)
    )


def _numbers_beside(inputs: Inputs) -> bool:
    """Whether what goes beside the first tensor has a number for each of its items, as sequences have their lengths:
    items without a number may be left out of the output, and are no input.
    """
    first, *others = values.all_tensors(inputs)
    return any(tensor.dims == first.dims[:1] for tensor in others)


def _sizes(outcome: Outcome) -> list[int]:
    """All sizes of the outputs."""
    return [size for item in recording.flat(outcome.output) for size in item.sizes]


def _rows(outcome: Outcome) -> int | None:
    """The first size of the first output, if that is a tensor that has one."""
    output = next(trees.leaves(outcome.output), None)
    return int(output.shape[0]) if output is not None and getattr(output, "ndim", 0) >= 1 else None


def _first_axes(inputs: Inputs) -> Iterator[int]:
    offset = 0
    for tensor in values.all_tensors(inputs):
        if tensor.dims:
            yield offset
        offset += len(tensor.dims)
