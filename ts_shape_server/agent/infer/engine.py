"""The one search: states wait in a queue, the most promising is run, and moves propose others from how it failed.

Bounded by counted runs and by work, never by wall time. Whoever calls it says what a state is, how it is run and what
is proposed; how a search ends is an `Exit`, and a `Trail` tells of each move how often it was run, came further and
led to the find, and what that cost. Knows nothing of inputs, modules or torch.
"""

from __future__ import annotations

import enum
import heapq
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from ts_shape_server.agent.clock import now
from ts_shape_server.contract.report import MoveEffort, SearchEffort

State = TypeVar("State")
Find = TypeVar("Find")
START = "start"
"""The name under which the states stand in a trail that were there from the beginning."""
ASIDE = 4
"""Every so many runs one is a state that was put aside: what came less far may still be right."""


EXAMPLE = ("before:", "says:", "after:")
"""What the docstring of a move has, which is its test."""


class Exit(enum.Enum):
    """Why a search ended."""

    FOUND = "found"
    EMPTY = "nothing was left to try"
    RUNS = "as many runs as may be were made"
    STALE = "for many runs none came further"
    ALIKE = "whatever was tried failed in the same way"
    WORK = "the time for it was used"
    HOPELESS = "no state can mend the failure"


NEVER = 1 << 30


@dataclass
class Budget:
    """What a search may spend; a problem may change it while the search goes on. `deadline` is a value of
    `clock.now()`, `patience` the number of runs without one that came further after which a search is given up, and
    after `alike` runs that all failed in the very same way it is too.
    """

    deadline: float
    runs: int
    patience: int = NEVER
    alike: int = NEVER


@dataclass
class Tally:
    """Of one move: states that it proposed, that were run, that came further than what they were made from, that are
    on the way to a find; and the seconds of work that their runs took.
    """

    proposed: int = 0
    ran: int = 0
    further: int = 0
    led: int = 0
    seconds: float = 0.0


@dataclass
class Trail:
    """The tallies of all moves, over one search or several."""

    moves: dict[str, Tally] = field(default_factory=dict)
    exits: dict[str, int] = field(default_factory=dict)

    def of(self, move: str) -> Tally:
        """The tally of a move, made on demand."""
        return self.moves.setdefault(move, Tally())

    def ended(self, what: str, exit: Exit) -> None:
        """Note how a search ended."""
        key = f"{what} {exit.name.lower()}".lstrip()
        self.exits[key] = self.exits.get(key, 0) + 1

    def told(self) -> SearchEffort:
        """The trail as the contract has it."""
        moves = tuple(
            (name, MoveEffort(tally.proposed, tally.ran, tally.further, tally.led, int(tally.seconds * 1000)))
            for name, tally in self.moves.items()
        )
        return SearchEffort(moves, tuple(self.exits.items()))


@dataclass(frozen=True)
class Proposal(Generic[State]):
    """A state that a move proposes. Less `priority` is sooner, among states that came equally far.

    `progress` is how far it is thought to come, None for as far as what it was made from. What is `aside` is also
    tried in its turn among others of that kind.
    """

    move: str
    priority: int
    state: State
    progress: int | None = None
    aside: bool = False


@dataclass(frozen=True)
class Later(Generic[State]):
    """A dear move, which is asked for its proposals only when its turn comes."""

    move: str
    priority: int
    ask: Callable[[], Iterable[Proposal[State]]]
    progress: int | None = None


@dataclass(frozen=True)
class Ran(Generic[Find]):
    """What a run gave: how far it came, and the find or how it failed (equal texts are equal failures).

    A find that is not `settled` is kept while up to `grace` other states are run for a better one; None leaves that
    count as it is.
    """

    progress: int
    failure: str = ""
    find: Find | None = None
    settled: bool = True
    grace: int | None = None
    hopeless: bool = False


def described(rule: Callable[..., object]) -> tuple[str, str]:
    """The name of a rule and why it is right, from its docstring. Raises `TypeError` where that has no example."""
    text = rule.__doc__ or ""
    name = rule.__name__.replace("_", "-")
    if __debug__ and text and not all(part in text for part in EXAMPLE):
        raise TypeError(f"the move {name} has no example: {', '.join(EXAMPLE)}")
    return name, " ".join(text.partition("\n\n")[0].split())


class Problem(Protocol[State, Find]):
    """What is searched."""

    budget: Budget

    def run(self, state: State, number: int) -> Ran[Find]:
        """Run the state; `number` counts runs from 1."""

    def came_furthest(self, state: State) -> None:
        """The state that was just run came further than any before."""

    def proposals(self, state: State) -> Iterable[Proposal[State] | Later[State]]:
        """What to try after the run of that state, which was the last."""


@dataclass(frozen=True)
class Result(Generic[State, Find]):
    """How a search ended. `finds` come in the order in which they are preferred; `best` is the state that came
    furthest, None if none was run.
    """

    exit: Exit
    runs: int
    finds: tuple[Find, ...] = ()
    best: State | None = None


@dataclass(order=True)
class _Waiting(Generic[State]):
    key: tuple[int, int, int]
    step: _Step[State] = field(compare=False)


@dataclass(frozen=True)
class _Step(Generic[State]):
    """A state and the way on which it came; or a dear move (`ask`) that waits for its turn."""

    move: str
    parent: _Step[State] | None
    state: State | None = None
    progress: int = 0
    ask: Callable[[], Iterable[Proposal[State]]] | None = None


class Search(Generic[State, Find]):
    """One search. `finds` is how many settled finds are collected before it ends, `what` names what is searched, in
    the trail.
    """

    def __init__(self, problem: Problem[State, Find], trail: Trail | None = None, finds: int = 1, what: str = ""):
        self._problem = problem
        self._trail = trail if trail is not None else Trail()
        self._wanted = finds
        self._what = what
        self._queue: list[_Waiting[State]] = []
        self._aside: deque[_Step[State]] = deque()
        self._seen: set[State] = set()
        self._counter = 0
        self._failures: set[str] = set()
        self._settled: list[Find] = []
        self._kept: list[Find] = []
        self._grace: int | None = None

    def start(self, states: Iterable[tuple[int, State]]) -> None:
        """The states to begin with, with their priorities."""
        for priority, state in states:
            self._push(Proposal(f"{START} {self._what}".rstrip(), priority, state, 0), None)

    def run(self) -> Result[State, Find]:
        """Search until something is found or nothing is left to spend."""
        best: State | None = None
        furthest = -1
        runs = stale = 0
        while True:
            exit = self._over(runs, stale)
            if exit is not None:
                break
            step = self._next(runs)
            if step is None:
                continue
            state = step.state
            assert state is not None
            self._seen.add(state)
            runs += 1
            stale += 1
            before = now()
            ran = self._problem.run(state, runs)
            self._note(step, ran, now() - before)
            if ran.find is not None:
                if self._found(ran, step) or self._weary():
                    exit = Exit.FOUND
                    break
                continue
            if ran.progress > furthest:
                best, furthest, stale = state, ran.progress, 0
                self._problem.came_furthest(state)
            self._failures.add(ran.failure)
            if ran.hopeless:
                exit = Exit.HOPELESS
                break
            if runs >= self._problem.budget.alike and len(self._failures) == 1:
                # Nothing that was changed has changed anything: what raises does not look at it.
                exit = Exit.ALIKE
                break
            self._propose(step, ran.progress)
            if self._weary():
                break
        finds = (*self._settled, *self._kept)
        ended = Exit.FOUND if finds else exit or Exit.EMPTY
        self._trail.ended(self._what, ended)
        return Result(ended, runs, finds, best)

    def _over(self, runs: int, stale: int) -> Exit | None:
        if not self._queue:
            return Exit.EMPTY
        if runs >= self._problem.budget.runs:
            return Exit.RUNS
        if stale >= self._problem.budget.patience:
            return Exit.STALE
        return Exit.WORK if now() >= self._problem.budget.deadline else None

    def _next(self, runs: int) -> _Step[State] | None:
        """What to run now; None if it was run before, or if a dear move was asked instead."""
        if self._aside and runs % ASIDE == ASIDE - 1:
            aside = self._aside.popleft()
            if aside.state not in self._seen:
                return aside
        step = heapq.heappop(self._queue).step
        if step.ask is not None:
            before = now()
            for proposal in step.ask():
                self._push(proposal, step.parent, step.progress)
            self._trail.of(step.move).seconds += now() - before
            return None
        return None if step.state in self._seen else step

    def _propose(self, step: _Step[State], progress: int) -> None:
        assert step.state is not None
        for proposal in self._problem.proposals(step.state):
            if isinstance(proposal, Later):
                reached = progress if proposal.progress is None else proposal.progress
                self._wait(reached, proposal.priority, _Step(proposal.move, step, None, progress, proposal.ask))
            else:
                self._push(proposal, step, progress)

    def _push(self, proposal: Proposal[State], parent: _Step[State] | None, progress: int = 0) -> None:
        if proposal.state in self._seen:
            return
        self._trail.of(proposal.move).proposed += 1
        reached = progress if proposal.progress is None else proposal.progress
        step = _Step(proposal.move, parent, proposal.state, progress)
        self._wait(reached, proposal.priority, step)
        if proposal.aside:
            self._aside.append(step)

    def _wait(self, progress: int, priority: int, step: _Step[State]) -> None:
        self._counter += 1
        heapq.heappush(self._queue, _Waiting((-progress, priority, self._counter), step))

    def _note(self, step: _Step[State], ran: Ran[Find], seconds: float) -> None:
        tally = self._trail.of(step.move)
        tally.ran += 1
        tally.seconds += seconds
        tally.further += ran.find is not None or ran.progress > step.progress

    def _found(self, ran: Ran[Find], step: _Step[State]) -> bool:
        """Take a find in; whether the search ends with it."""
        assert ran.find is not None
        if ran.settled:
            self._settled.append(ran.find)
        else:
            self._kept.append(ran.find)
            if ran.grace is not None:
                self._grace = ran.grace
            self._propose(step, ran.progress)
        way: _Step[State] | None = step
        while way is not None:
            self._trail.of(way.move).led += 1
            way = way.parent
        return len(self._settled) >= self._wanted if ran.settled else not self._queue

    def _weary(self) -> bool:
        """Whether a find that is not settled has waited long enough for a better one."""
        if not self._kept or self._grace is None:
            return False
        self._grace -= 1
        return self._grace < 0
