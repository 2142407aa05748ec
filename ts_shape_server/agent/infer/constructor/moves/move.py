"""What a move of constructor arguments is: a named rule that proposes other arguments after a constructor, or a run of
what it made, has failed.

Two kinds: one that sees the whole plan, one that sees an argument at a time. Its docstring says why it is right and
has an example, which is its test. Builds nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.infer.constructor.arguments import PROFILES, Plan, Profile
from ts_shape_server.agent.infer.engine import described
from ts_shape_server.agent.infer.facts.source import words_of
from ts_shape_server.agent.torch_says import Complaints


@dataclass(frozen=True)
class Refusal:
    """Arguments that did not do, and why. `line` is the text of the failing line, `given` are arguments that stand."""

    plan: Mapping[str, str]
    error: BaseException
    cls: type = nn.Module
    line: str = ""
    given: Mapping[str, str] = field(default_factory=dict)
    profile: Profile = PROFILES[0]
    namespace: Mapping[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def said(self) -> Complaints:
        """What the error complains of."""
        return torch_says.read(self.error)

    @property
    def size(self) -> int:
        """The first size of the profile."""
        return self.profile.sizes[0]

    @property
    def blamed(self) -> frozenset[str]:
        """The words of the failing line."""
        return frozenset(words_of(self.line))

    @property
    def open_names(self) -> list[str]:
        """The arguments that may be changed, those first that the failing line names."""
        names = [name for name in self.plan if name not in self.given]
        return sorted(names, key=lambda name: name not in self.blamed)

    def about(self, name: str, expression: str) -> Refusal:
        """The same, where that is the only argument."""
        return replace(self, plan={name: expression}, given={})

    def changed(self, name: str, expression: str) -> Plan:
        """The plan with another expression for one argument."""
        return {**self.plan, name: expression}


OfPlan = Callable[[Refusal], Iterator[Plan]]
OfArgument = Callable[[str, str, Refusal], Iterator[str]]
"""From the name of an argument and its expression to other expressions."""


@dataclass(frozen=True)
class ArgumentMove:
    """A rule. `name` stands in the trail of a search, `why` is the first sentence of its docstring."""

    name: str
    why: str
    of_plan: OfPlan | None = None
    of_argument: OfArgument | None = None

    def propose(self, refusal: Refusal) -> Iterator[Plan]:
        """What this move alone proposes."""
        if self.of_plan is not None:
            yield from self.of_plan(refusal)
        for name in refusal.open_names:
            yield from self.for_argument(refusal, name)

    def for_argument(self, refusal: Refusal, name: str) -> Iterator[Plan]:
        """What it proposes for that argument."""
        before = refusal.plan[name]
        for expression in self.of_argument(name, before, refusal) if self.of_argument is not None else ():
            if expression != before:
                yield refusal.changed(name, expression)


def plan_move(rule: OfPlan) -> ArgumentMove:
    """A rule that sees all arguments."""
    return ArgumentMove(*described(rule), of_plan=rule)


def argument_move(rule: OfArgument) -> ArgumentMove:
    """A rule that sees one argument."""
    return ArgumentMove(*described(rule), of_argument=rule)
