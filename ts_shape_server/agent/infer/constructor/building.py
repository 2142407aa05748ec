"""Builds instances: in a fake mode without memory where the constructor allows, else on real memory left uninitialised.

Tries plans of constructor arguments, repairing them from the errors, and hands out a `Session` for one that builds.
Knows nothing of inputs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ts_shape_server.agent import runs
from ts_shape_server.agent.infer.constructor import answers, arguments, configs
from ts_shape_server.agent.infer.constructor import moves as argument_moves
from ts_shape_server.agent.infer.constructor.moves.move import Refusal
from ts_shape_server.agent.infer.engine import Budget, Proposal, Ran, Search, Trail
from ts_shape_server.agent.infer.running import conversions, symbolic
from ts_shape_server.agent.infer.running.session import Session, innermost_line, is_hopeless

_RANDOM = frozenset(
    [
        "normal_",
        "uniform_",
        "trunc_normal_",
        "kaiming_normal_",
        "kaiming_uniform_",
        "xavier_normal_",
        "xavier_uniform_",
        "orthogonal_",
        "_no_grad_normal_",
        "_no_grad_uniform_",
        "_no_grad_trunc_normal_",
        "sparse_",
    ]
)
_CONSTANT = frozenset(["constant_", "ones_", "zeros_", "fill_", "zero_", "eye_", "dirac_"])
_RANGES = frozenset(["arange", "linspace", "logspace"])
_SHORT = 1 << 16
_OTHER = object()
_LARGE = 1 << 14
CONFIG_ATTRIBUTES = 120
FIXES = 6
TOLD = 200
MOST_REPAIRS = 24
RECORDED = "asked-of-arguments"
"""The name of the move that notes what a constructor asks of its arguments, in the trail."""
ASKED = 3
"""So many errors that are new are followed by a build that notes what is asked of the arguments."""


class SkipInitialisation(TorchFunctionMode):
    """Leaves large tensors as they were allocated: their pages are never touched, so they cost no memory.

    With `fill`, they get one value: random ones take most of the time in which a module is made.
    """

    def __init__(self, fill: float | None = None) -> None:
        super().__init__()
        self._fill = fill

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        keywords = keywords or {}
        tensor = arguments[0] if arguments else keywords.get("tensor")
        name = getattr(function, "__name__", "")
        if name in _RANDOM and isinstance(tensor, torch.Tensor) and tensor.numel() > _LARGE:
            return tensor if self._fill is None else tensor.fill_(self._fill)
        return function(*arguments, **keywords)


class WithoutValues(TorchFunctionMode):
    """In a fake mode there are no values to initialise. Some initialisers read what they made, which fails there.

    Short ranges of numbers are made for real, and so is all that comes of them alone: constructors read them, as in
    ``[x.item() for x in torch.linspace(0, rate, depth)]``.
    """

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        keywords = keywords or {}
        name = getattr(function, "__name__", "")
        if _all_real((*arguments, *keywords.values())) or (
            name in _RANGES and function(*arguments, **keywords).numel() <= _SHORT
        ):
            with symbolic.not_fake():
                return function(*arguments, **keywords)
        if name in _RANDOM or name in _CONSTANT:
            tensor = arguments[0] if arguments else keywords.get("tensor")
            if isinstance(tensor, torch.Tensor) and getattr(tensor, "constant", _OTHER) is None:
                return tensor
        return function(*arguments, **keywords)

    def __enter__(self) -> Any:
        self._kept = {name: value for name, value in vars(nn.init).items() if name in _RANDOM and name[0] == "_"}
        for name in self._kept:
            setattr(nn.init, name, _untouched)
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        for name, value in self._kept.items():
            setattr(nn.init, name, value)
        super().__exit__(*error)  # type: ignore[no-untyped-call]


def _all_real(values: Any) -> bool:
    """Whether there are tensors among the values, each of them small and with memory."""
    tensors = [item for value in values for item in (value if isinstance(value, (list, tuple)) else (value,))]
    tensors = [item for item in tensors if isinstance(item, torch.Tensor)]
    return bool(tensors) and all(not symbolic.is_fake(item) and item.numel() <= _SHORT for item in tensors)


def _untouched(tensor: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
    return tensor


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


def build(cls: type[nn.Module], plan: Mapping[str, str], namespace: Mapping[str, Any], fake: bool) -> Session:
    """A session for `cls` with these arguments. Raises what the constructor raises."""

    def make_real() -> nn.Module:
        runs.seed()
        return runs.in_eval(runs.build(cls, plan, namespace))

    def make_light() -> nn.Module:
        with SkipInitialisation(fill=0.01), torch.no_grad():
            return make_real()

    if fake:
        mode = symbolic.new_mode()
        try:
            with mode, torch.no_grad(), WithoutValues(), conversions.of_fake_parameters():
                runs.seed()
                return Session(
                    cls, namespace, mode, runs.in_eval(runs.build(cls, plan, namespace)), make_real, make_light
                )
        except Exception:
            runs.seed()
            with SkipInitialisation(), torch.no_grad():
                instance = runs.in_eval(runs.build(cls, plan, namespace))
            return Session(cls, namespace, mode, instance, make_real, make_light)
    return Session(cls, namespace, None, None, make_real)


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
        self._met: set[str] = set()
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
            self._met.add(told)
            self._latest = error, new
            self._turns += 1
            if grows and number <= CONFIG_ATTRIBUTES:
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
    for kept in (lambda expression: expression.startswith(("nn.", "[nn.")), lambda expression: False):
        unknown = {
            name: guess(name) if configs.is_config(expression) or expression[:1] in "{n[" else expression
            for name, expression in plan.items()
            if name not in given and not kept(expression)
        }
        found = answers.recorded(
            lambda changed, local: build(cls, changed, {**namespace, **local}, fake), plan, unknown, recorder, namespace
        )
        if found is not None and found not in plans:
            plans.append(found)
    return plans
