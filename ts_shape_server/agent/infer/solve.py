"""Constructor arguments and inputs for a class, from the strongest evidence that works, or how the best attempt failed.

The order of evidence: pragma, real data, calls in the workspace, factories, annotations and use in the body, solving.
Each profile of sizes gives arguments to begin with; what builds is searched for inputs; where that fails because of the
arguments, they are changed and it is searched again.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import nn

from ts_shape_server.agent import shares
from ts_shape_server.agent.clock import now
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer.claims import indices
from ts_shape_server.agent.infer.constructor import arguments, building, given
from ts_shape_server.agent.infer.constructor import moves as argument_moves
from ts_shape_server.agent.infer.constructor.building import State
from ts_shape_server.agent.infer.constructor.moves.move import Refusal
from ts_shape_server.agent.infer.engine import Budget, Proposal, Ran, Search, Trail
from ts_shape_server.agent.infer.facts import config_files, documented, evidence, factories, files, pragmas, uses
from ts_shape_server.agent.infer.facts.body import Hint
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.inputs import choice, confirming, merging, points, search, splits
from ts_shape_server.agent.infer.running import instances, symbolic
from ts_shape_server.agent.infer.running.session import NOTHING_TRIED, Session, innermost_line, is_hopeless
from ts_shape_server.contract.asked import ClassAsked, ParentAsked

ALIKE = 3
"""Profiles for which the best attempts fail at the same place: then no others are tried."""
ADJUSTMENTS = 4
"""So many times may arguments be changed for a run that comes further."""
OTHER_PLANS = 4
"""Plans that are tried after a run which did not fail for sizes that disagree."""
MOST_PLANS = 6
SHORT_SEARCH = 10
"""Attempts of a search from another number of dims on, where there is a find already."""
BRIEF_PROFILES, BRIEF_REPAIRS, BRIEF_ATTEMPTS = 2, 8, 24
"""Profiles of sizes, plans and attempts at inputs for a class that is solved only to see what it gives to its parts:
what is found is mostly found by then, and a failure tells its parts nothing.
"""

_symbolic_works: bool | None = None


@dataclass(frozen=True)
class Missed:
    """Arguments that build, and the attempt at inputs that came furthest."""

    built: building.Built
    result: search.NotFound


@dataclass(frozen=True)
class Case:
    """One class, and what is known of it before anything of it is made."""

    cls: type[nn.Module]
    context: Context
    drawn: tuple[evidence.Drawn, ...]
    refused: tuple[evidence.Refused, ...]
    said: points.Said
    init: given.Given
    notes: tuple[str, ...]
    trail: Trail = field(default_factory=Trail)
    brief: bool = False
    """Solved only to see what it gives to its parts."""

    @property
    def open_arguments(self) -> bool:
        """Whether the constructor needs arguments that nobody gave."""
        return any(item.name not in self.init.init for item in uses.required(self.cls))

    @property
    def lines(self) -> Mapping[int, str]:
        """The lines of the file by number."""
        return dict(enumerate(self.context.source.splitlines(), 1))


@dataclass(frozen=True)
class Solved:
    """A session and inputs that run, with the constructor arguments and where each came from. `starts` are all that
    the search could begin with, `used` the one that it did.
    """

    case: Case
    session: Session
    found: search.Found
    plan: Mapping[str, str]
    sources: Mapping[str, str]
    omitted: values.Inputs
    axes: Mapping[str, tuple[str | None, ...]]
    labels: tuple[str, ...]
    starts: tuple[points.Start, ...]
    used: points.Start
    others: tuple[values.Inputs, ...] = ()


def warm() -> bool:
    """Try the symbolic engine once, so that forked children need not; whether it works on this torch."""
    global _symbolic_works
    if _symbolic_works is None:
        _symbolic_works = symbolic.works()
    return _symbolic_works


def gather(
    cls: type[nn.Module],
    asked: ClassAsked | ParentAsked,
    context: Context,
    of_parents: Callable[[], Sequence[evidence.Drawn]] = tuple,
) -> Case:
    """What pragmas, data, calls, documentation and factories say. `of_parents` is asked where no call says what goes
    in.
    """
    found = evidence.draw_all(cls, asked.evidence, context, arguments.first_by_name)
    drawn = list(found.drawn)
    if not any(item.inputs for item in drawn):
        drawn += of_parents()
    texts = asked.pragmas.inputs
    said = points.Said(pragmas.inputs(texts), pragmas.shapes(texts), documented.of(cls))

    def build(init: Mapping[str, str]) -> nn.Module:
        planned = arguments.plan(cls, init, arguments.PROFILES[0], context.namespace)
        return instances.build(cls, planned, context.namespace, warm()).module

    written = config_files.find(cls, context) if uses.parameters(cls) else []
    supposed = [] if any(item.init for item in (*drawn, *written)) else config_files.with_keys(cls, context)
    init = given.choose(asked.pragmas.init, [*drawn, *written, *found.partial, *supposed], build)
    if not init.init and uses.required(cls):
        made = factories.find(cls, context)
        if made is not None:
            init = replace(init, init=dict(made.init), sources=dict.fromkeys(made.init, made.label))
    init = given.with_files_of_libraries(cls, init, context.namespace)
    placed = files.placed(cls, init.init, context)
    init = replace(init, init=placed, sources={**dict.fromkeys(placed, "default"), **init.sources})
    return Case(cls, context, tuple(drawn), tuple(found.refused), said, init, tuple(found.notes))


def solve(case: Case) -> Solved | Missed | building.NotBuilt:
    """The first profile of sizes that is solved, or the attempt that came furthest."""
    best: Missed | building.NotBuilt | None = None
    failures: list[object] = []
    for profile, until in _turns(case, now() + shares.SEARCH.of(case.context.remaining())):
        built = building.first_that_builds(
            case.cls,
            case.init.init,
            profile,
            case.context.namespace,
            case.context.path,
            case.lines,
            warm(),
            until,
            case.trail,
            BRIEF_REPAIRS if case.brief else building.MOST_REPAIRS,
        )
        if isinstance(built, building.NotBuilt):
            best = best or built
            if is_hopeless(built.error):
                break
            continue
        # A constructor that is slow leaves the search some time of its own.
        until = max(until, now() + shares.AFTER_BUILDING.of(case.context.remaining()))
        result = _adjusted(case, built, until)
        if isinstance(result, Solved):
            return replace(result, sources={name: case.init.sources.get(name, "guess") for name in result.plan})
        if not isinstance(best, Missed) or result.result.outcome.steps > best.result.outcome.steps:
            best = result
        failures.append(_failure(result, case.context))
        if is_hopeless(result.result.outcome.error) or failures.count(failures[-1]) >= ALIKE:
            # A name, a file or a package that is missing is missing for other sizes too; and what fails at one place
            # for sizes as different as those of the profiles does not look at them.
            break
    assert best is not None
    return best


def for_parts(case: Case) -> Iterator[Solved | Missed]:
    """What a class is known to give to its parts, soon and then more: how it makes them where no argument is a guess,
    and what a run passes to them. It is searched with few runs, and without a reason if it fails.
    """
    if case.init.init and not case.open_arguments:
        built = building.first_that_builds(
            case.cls, case.init.init, arguments.PROFILES[0], case.context.namespace, case.context.path, case.lines,
            warm(), now(), case.trail, most=1,
        )  # fmt: skip
        if isinstance(built, building.Built):
            yield Missed(built, search.NotFound((), NOTHING_TRIED, 0))
    found = solve(replace(case, brief=True))
    if isinstance(found, Solved):
        yield found


def known_for_parts(case: Case, found: Solved | Missed | building.NotBuilt) -> Solved | Missed | None:
    """What says how the parts of a class are made. Where only inputs are missing and no argument is a guess, what it
    makes of its arguments is known all the same.
    """
    if isinstance(found, Missed):
        return None if case.open_arguments or not found.built.plan else found
    return found if isinstance(found, Solved) else None


def _failure(missed: Missed, context: Context) -> object:
    """The place and the kind of the failure that came furthest."""
    outcome = missed.result.outcome
    line = innermost_line(outcome.error, context.path) if outcome.error is not None else None
    return type(outcome.error), line, outcome.steps


def _turns(case: Case, deadline: float) -> Iterator[tuple[arguments.Profile, float]]:
    """The profiles of sizes, and until when each may be tried; one where no argument is open."""
    profiles = arguments.PROFILES[: BRIEF_PROFILES if case.brief else None]
    if not case.open_arguments:
        profiles = profiles[:1]
    for number, profile in enumerate(profiles):
        left = deadline - now()
        if left <= 0 and number:
            return
        share = shares.FIRST_PROFILE.part if number == 0 and len(profiles) > 1 else 1 / (len(profiles) - number)
        yield profile, now() + shares.PROFILE.of(left) * share


def _adjusted(case: Case, built: building.Built, deadline: float) -> Solved | Missed:
    """The search with these arguments, then with guessed ones changed where it is they that a run fails for."""
    problem = _Joint(case, built, deadline)
    engine: Search[State, Solved] = Search(problem, case.trail, what="both")
    engine.start([(0, tuple(built.plan.items()))])
    result = engine.run()
    return result.finds[0] if result.finds else problem.best


class _Joint:
    """The problem that the engine searches: arguments for which there are inputs. How far the best attempt at inputs
    came is how far they came.
    """

    def __init__(self, case: Case, built: building.Built, deadline: float) -> None:
        # The first is searched in any case; the others have some time of their own.
        self.budget = Budget(float("inf"), 1 + ADJUSTMENTS * MOST_PLANS, MOST_PLANS)
        self.best = Missed(built, search.NotFound((), NOTHING_TRIED, 0))
        self._case, self._built, self._deadline = case, built, deadline
        self._latest: Missed | None = None

    def run(self, state: State, number: int) -> Ran[Solved]:
        """Inputs for what these arguments make."""
        case, plan = self._case, dict(state)
        if number == 1:
            built = self._built
        else:
            try:
                built = building.Built(instances.build(case.cls, plan, case.context.namespace, warm()), plan)
            except Exception as error:
                self._latest = None
                return Ran(-1, type(error).__name__)
        result = _search(case, built, self._deadline)
        if number == 1:
            self._deadline = max(self._deadline, now() + shares.ADJUSTMENT)
            self.budget.deadline = self._deadline
        if isinstance(result, Solved):
            return Ran(0, find=result)
        self._latest = result
        return Ran(result.result.outcome.steps)

    def came_furthest(self, state: State) -> None:
        """The attempt that is told if there is no better one."""
        assert self._latest is not None
        self.best = self._latest

    def proposals(self, state: State) -> Iterator[Proposal[State]]:
        """Other arguments where those that were searched last came as far as any: a step aside is not gone on with."""
        error = self.best.result.outcome.error
        if self._latest is not self.best or error is None or is_hopeless(error):
            return
        line = self._case.lines.get(innermost_line(error, self._case.context.path) or 0, "")
        refusal = Refusal(
            dict(state), error, self._case.cls, line, self._case.init.init, namespace=self._case.context.namespace
        )
        found = list(argument_moves.after_a_run(refusal))
        most = MOST_PLANS if all(move in argument_moves.plans.OF_RUNS for move, _ in found) else OTHER_PLANS
        for order, (move, plan) in enumerate(itertools.islice(found, most)):
            yield Proposal(move.name, order, tuple(plan.items()))


def _search(case: Case, built: building.Built, deadline: float) -> Solved | Missed:
    """The inputs for one instance, or the attempt at them that came furthest."""
    session, context, said = built.session, case.context, case.said
    starts, known, omitted = points.starts(case.cls, case.drawn, said, session.module)
    failed = search.NotFound(starts[0].inputs, NOTHING_TRIED, 0)
    longest = shares.RUN.of(context.remaining())

    def look(
        inputs: values.Inputs, omitted: values.Inputs, attempts: int, until: float = deadline
    ) -> search.Found | search.NotFound:
        return search.search(
            session,
            [inputs],
            context.path,
            case.lines,
            until,
            omitted,
            bool(built.plan),
            longest,
            attempts,
            trail=case.trail,
        )

    for start in starts:
        checked = look(start.inputs, omitted, BRIEF_ATTEMPTS if case.brief else search.ATTEMPTS)
        if isinstance(checked, search.Found):
            until = max(deadline, now() + shares.CHOICE.of(context.remaining()))
            again = functools.partial(look, omitted=(), attempts=SHORT_SEARCH, until=until)
            checked = choice.best(session, checked, again, known)
            checked = splits.as_arguments_say(session, checked, built.plan)
            checked = merging.as_arguments_say(session, checked, built.plan)
            checked = confirming.on_real(session, checked, context, case.lines, deadline)
        if isinstance(checked, search.Found):
            return _solved(case, built, checked, starts, start, known, omitted, deadline)
        failed = checked if checked.attempts or not failed.attempts else failed
    return Missed(built, failed)


def _solved(
    case: Case,
    built: building.Built,
    found: search.Found,
    starts: Sequence[points.Start],
    used: points.Start,
    known: Mapping[str, Hint],
    omitted: values.Inputs,
    deadline: float,
) -> Solved:
    """A find with its values bounded, its lists of items that differ, and what the workspace says besides."""
    session, said = built.session, case.said
    if confirming.is_small(session, found) and (found.outcome.indexes or session.real_only):
        found = indices.bounded(session, found)
    found = confirming.with_counts(session, confirming.with_different_items(session, found))
    batch_axes = found.batch_axes or choice.batch_axes(session, found.inputs)
    found = replace(found, inputs=points.sourced(found.inputs, said), batch_axes=batch_axes)
    axes = points.axes(known, found.inputs, said)
    labels = (used.drawn.label,) if used.drawn is not None else used.by
    passed = {item.name for item in found.inputs}
    left = tuple(item for item in omitted if item.name not in passed)
    others = confirming.of_other_kinds(session, starts, found.inputs, deadline)
    return Solved(case, session, found, built.plan, {}, left, axes, labels, tuple(starts), used, others)
