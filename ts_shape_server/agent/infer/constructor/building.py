"""Searches constructor arguments with which a class builds, and hands out a `Session` for them.

A plan that fails is repaired from its error, by what the constructor asks of its arguments and by the moves.
Knows nothing of inputs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from ts_shape_server.agent import runs
from ts_shape_server.agent.infer.constructor import answers, arguments, configs
from ts_shape_server.agent.infer.constructor import moves as argument_moves
from ts_shape_server.agent.infer.constructor.moves.move import Refusal
from ts_shape_server.agent.infer.engine import Budget, Proposal, Ran, Search, Trail
from ts_shape_server.agent.infer.running.instances import build
from ts_shape_server.agent.infer.running.session import Session, innermost_line, is_hopeless

CONFIG_ATTRIBUTES = 120
FIXES = 6
TOLD = 200
MOST_REPAIRS = 24
RECORDED = "asked-of-arguments"
"""The name of the move that notes what a constructor asks of its arguments, in the trail."""
SAME_GROWTH = 3
"""So often a config grows for one line that misses one attribute: several parts of it may be asked for the same."""
ASKED = 3
"""So many errors that are new are followed by a build that notes what is asked of the arguments."""


State = tuple[tuple[str, str], ...]
"""Constructor arguments as the engine keeps them."""


@dataclass(frozen=True)
class Built:
    """A session for constructor arguments that build."""

    session: Session
    plan: Mapping[str, str]


@dataclass(frozen=True)
class NotBuilt:
    """The error that says most, and the plan that raised it."""

    error: BaseException
    plan: Mapping[str, str]


def first_that_builds(
    cls: type[nn.Module],
    given: Mapping[str, str],
    profile: arguments.Profile,
    namespace: Mapping[str, Any],
    path: str,
    lines: Mapping[int, str],
    fake: bool,
    deadline: float,
    trail: Trail | None = None,
    most: int = MOST_REPAIRS,
) -> Built | NotBuilt:
    """A session for the profile's plan, or for one of the `most` that moves make of it."""
    problem = _Plans(cls, given, profile, namespace, path, lines, fake, deadline, most)
    engine: Search[State, Built] = Search(problem, trail, what="arguments")
    engine.start([(0, tuple(arguments.plan(cls, given, profile, namespace).items()))])
    result = engine.run()
    if result.finds:
        return result.finds[0]
    assert problem.failure is not None
    return problem.failure


class _Plans:
    """The problem that the engine searches: arguments with which the constructor does not fail."""

    def __init__(
        self,
        cls: type[nn.Module],
        given: Mapping[str, str],
        profile: arguments.Profile,
        namespace: Mapping[str, Any],
        path: str,
        lines: Mapping[int, str],
        fake: bool,
        deadline: float,
        most: int,
    ) -> None:
        self.failure: NotBuilt | None = None
        # The first is built in any case.
        self.budget = Budget(math.inf, most)
        self._deadline = deadline
        self._cls, self._given, self._profile = cls, given, profile
        self._namespace, self._path, self._lines, self._fake = namespace, path, lines, fake
        self._met: dict[str, int] = {}
        self._latest: tuple[BaseException, bool] | None = None
        self._turns = 0

    def run(self, state: State, number: int) -> Ran[Built]:
        """Build it. An error that was not met before is worth going on with at once, a known one last."""
        plan = dict(state)
        try:
            return Ran(0, find=Built(build(self._cls, plan, self._namespace, self._fake), plan))
        except Exception as error:
            self.budget.deadline = self._deadline
            grows = configs.missing_attribute(error) is not None
            if self.failure is None or grows or is_hopeless(error):
                self.failure = NotBuilt(error, plan)
            told = f"{innermost_line(error, self._path)} {type(error).__name__} {error}"[:TOLD]
            new = told not in self._met
            self._met[told] = self._met.get(told, 0) + 1
            # What is added again and again to a config, for the same line, is not what it misses.
            grows = grows and self._met[told] <= SAME_GROWTH
            self._latest = error, new
            self._turns += 1
            if grows and new and number <= CONFIG_ATTRIBUTES:
                # A config has as many attributes as the code reads: each is one step, and none is a wrong turn.
                self.budget.runs += 1
            return Ran(self._turns if new or grows else -self._turns, told, hopeless=is_hopeless(error))

    def came_furthest(self, state: State) -> None:
        """Nothing changes: how far a constructor came is not known."""

    def proposals(self, state: State) -> Iterator[Proposal[State]]:
        """What the constructor asks of its arguments, then what the moves make of its error."""
        assert self._latest is not None
        error, new = self._latest
        plan = dict(state)
        line = innermost_line(error, self._path)
        text = self._lines.get(line, "") if line is not None else ""
        if new and len(self._met) <= ASKED:
            asked = _asked(self._cls, plan, self._given, self._profile, self._namespace, self._fake)
            for order, other in enumerate(asked):
                yield Proposal(RECORDED, order - len(asked), tuple(other.items()))
        refusal = Refusal(plan, error, self._cls, text, self._given, self._profile, self._namespace)
        most = None if configs.missing_attribute(error) is not None else FIXES
        for order, (move, other) in enumerate(itertools.islice(argument_moves.proposals(refusal), most)):
            yield Proposal(move.name, order, tuple(other.items()))


def _asked(
    cls: type[nn.Module],
    plan: arguments.Plan,
    given: Mapping[str, str],
    profile: arguments.Profile,
    namespace: Mapping[str, Any],
    fake: bool,
) -> list[arguments.Plan]:
    """The plan with values that can do what the constructor asks of them: modules kept as they are, then all open."""
    if not isinstance(namespace, dict):
        return []

    def guess(name: str) -> str:
        return arguments.by_name(name, arguments.Sizes(profile))

    def part(name: str) -> str:
        # A config is data: it holds the name of an activation and not the module.
        expression = guess(name)
        return "'relu'" if expression.startswith("nn.") else expression

    recorder = answers.Recorder(
        part,
        lambda attributes: arguments.class_with(attributes, namespace),
        arguments.callable_by_name,
        lambda expression: runs.evaluate(expression, namespace),
    )
    plans: list[arguments.Plan] = []
    before: dict[str, str] | None = None
    for kept in (lambda expression: expression.startswith(("nn.", "[nn.")), lambda expression: False):
        unknown = {
            name: guess(name) if configs.is_config(expression) or expression[:1] in "{n[" else expression
            for name, expression in plan.items()
            if name not in given and not kept(expression)
        }
        if unknown == before:
            continue
        before = unknown
        found = answers.recorded(
            lambda changed, local: build(cls, changed, {**namespace, **local}, fake), plan, unknown, recorder, namespace
        )
        if found is not None and found not in plans:
            plans.append(found)
    return plans
