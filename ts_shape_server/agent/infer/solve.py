"""Constructor arguments and inputs for a class, from the strongest evidence that works, or why there are none.

The order of evidence: pragma, real data, calls in the workspace, factories, annotations and use in the body, solving.
What was found on fake tensors is confirmed on real ones where the module is small enough.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from ts_shape_server.agent.clock import TimeLimit, now, time_limit
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer import (
    argument_repairs,
    arguments,
    building,
    choice,
    contract,
    contradictions,
    documented,
    evidence,
    factories,
    given,
    hosts,
    indices,
    mismatch,
    points,
    pragmas,
    search,
    symbolic,
    uses,
    values,
)
from ts_shape_server.agent.infer.session import Outcome, Session, innermost_line, is_hopeless
from ts_shape_server.agent.standins import StandInUsed

SEARCH_SHARE, SEARCH_SECONDS = 0.45, 6.0
FIRST_SHARE = 0.5
"""Part of the time for the first profile of sizes, the others share the rest: most that can be found is found there."""
AFTER_BUILDING = 2.0
RUN_SHARE = 0.25
"""Part of the time for one run: a larger `timeoutMs` lets slower modules run."""
HOST_SECONDS = 1.5
ADJUSTMENTS, ADJUSTMENT_SECONDS = 4, 1.0
OTHER_PLANS = 4
SHORT_SEARCH = 10
"""Attempts of a search from another number of dims on, where there is a find already."""
OTHERS = 4
"""Of inputs of other types that the workspace passes."""
SYMBOLIC_SECONDS = 6.0
REAL_SECONDS = 8.0
REAL_PARAMETERS = 30_000_000
REAL_PRODUCTS = 3_000_000_000
"""A find is confirmed on real tensors up to here, some tenths of a second to make the module and as much to run it."""

_symbolic_works: bool | None = None


@dataclass(frozen=True)
class Solved:
    """A session and inputs that run, with the constructor arguments and where each came from."""

    session: Session
    found: search.Found
    plan: Mapping[str, str]
    sources: Mapping[str, str]
    omitted: values.Inputs
    axes: Mapping[str, tuple[str | None, ...]]
    labels: tuple[str, ...]
    contradictions: tuple[contradictions.Contradiction, ...] = ()
    notes: tuple[str, ...] = ()
    others: tuple[values.Inputs, ...] = ()


@dataclass(frozen=True)
class Unsolved:
    """Why no input or no constructor was found."""

    status: str
    reason: dict[str, Any]
    init: dict[str, Any]
    error: BaseException | None = None
    notes: tuple[str, ...] = ()


def warm() -> bool:
    """Try the symbolic engine once, so that forked children need not; whether it works on this torch."""
    global _symbolic_works
    if _symbolic_works is None:
        _symbolic_works = symbolic.works()
    return _symbolic_works


def solve(
    cls: type[nn.Module],
    request: Mapping[str, Any],
    context: Context,
    of_parents: Callable[[], Sequence[evidence.Drawn]] = tuple,
) -> Solved | Unsolved:
    """Constructor arguments and inputs, from the strongest evidence that works. `of_parents` is asked where no call
    says what goes in.
    """
    comments = request.get("pragmas") or {}
    found = evidence.draw_all(cls, list(request.get("evidence") or ()), context)
    drawn = list(found.drawn)
    if not any(item.inputs for item in drawn):
        drawn += of_parents()
    texts = comments.get("inputs") or {}
    said = points.Said(pragmas.inputs(texts), pragmas.shapes(texts), documented.of(cls))

    def build(init: Mapping[str, str]) -> Session:
        planned = arguments.plan(cls, init, arguments.PROFILES[0], context.namespace)
        return building.build(cls, planned, context.namespace, warm())

    known = given.choose(comments.get("init") or {}, drawn, build)
    given_init, init_sources = dict(known.init), dict(known.sources)
    deadline = now() + min(context.remaining() * SEARCH_SHARE, SEARCH_SECONDS)
    open_arguments = [item for item in uses.required(cls) if item.name not in given_init]
    if open_arguments and not given_init:
        made = factories.find(cls, context)
        if made is not None:
            given_init = dict(made.init)
            init_sources = dict.fromkeys(given_init, made.label)
            open_arguments = [item for item in uses.required(cls) if item.name not in given_init]
    profiles = arguments.PROFILES if open_arguments else arguments.PROFILES[:1]
    lines = dict(enumerate(context.source.splitlines(), 1))
    best: Unsolved | None = None
    depth = -1
    for number, profile in enumerate(profiles):
        left = deadline - now()
        if left <= 0 and best is not None:
            break
        share = FIRST_SHARE if number == 0 and len(profiles) > 1 else 1 / (len(profiles) - number)
        until = now() + max(left, 0.5) * share
        built = building.first_that_builds(
            cls, given_init, profile, context.namespace, context.path, lines, warm(), until
        )
        if isinstance(built, building.NotBuilt):
            best = best or _not_built(built, context, init_sources)
            if is_hopeless(built.error):
                break
            continue
        # A constructor that is slow leaves the search some time of its own.
        until = max(until, now() + min(AFTER_BUILDING, context.remaining() * SEARCH_SHARE))
        built, result = _adjusted(cls, built, given_init, drawn, said, context, lines, until)
        sources = {name: init_sources.get(name, "guess") for name in built.plan}
        if isinstance(result, Solved):
            wrong = (*known.wrong, *contradictions.of_refused(found.refused), *result.contradictions)
            return replace(result, sources=sources, contradictions=wrong, notes=found.notes)
        if result[1] > depth:
            best, depth = result[0], result[1]
            best = replace(best, init=init_of(built.plan, sources, context.namespace))
            if best.status == "failed" and not open_arguments:
                break
    assert best is not None
    if best.status == "unresolved" and not given_init and not is_hopeless(best.error):
        made_by_host = _by_host(cls, said, context, lines)
        if made_by_host is not None:
            return replace(made_by_host, notes=found.notes)
    return replace(best, notes=found.notes)


def _by_host(cls: type[nn.Module], said: points.Said, context: Context, lines: Mapping[int, str]) -> Solved | None:
    """What another class of the file gives to the class that it makes, where that runs."""
    for item in hosts.draw(cls, context, warm()):
        plan = dict(item.init or {})
        try:
            session = building.build(cls, plan, context.namespace, warm())
        except Exception:
            continue
        result = _search(cls, building.Built(session, plan), [item], said, context, lines, now() + HOST_SECONDS)
        if isinstance(result, Solved):
            return replace(result, sources=dict.fromkeys(plan, item.label))
    return None


def _adjusted(
    cls: type[nn.Module],
    built: building.Built,
    given: Mapping[str, str],
    drawn: list[evidence.Drawn],
    said: points.Said,
    context: Context,
    lines: Mapping[int, str],
    deadline: float,
) -> tuple[building.Built, Solved | tuple[Unsolved, int]]:
    """The search with these arguments, then with guessed sizes changed where two that follow from them disagree."""
    result = _search(cls, built, drawn, said, context, lines, deadline)
    for number in range(ADJUSTMENTS):
        if number == 0:
            deadline = max(deadline, now() + ADJUSTMENT_SECONDS)
        if isinstance(result, Solved) or now() > deadline:
            break
        plans = _other_plans(cls, built, result[0].error, given, context, lines)
        better: tuple[building.Built, Solved | tuple[Unsolved, int]] | None = None
        for plan in plans:
            try:
                session = building.build(cls, plan, context.namespace, warm())
            except Exception:
                continue
            other = building.Built(session, plan)
            tried = _search(cls, other, drawn, said, context, lines, deadline)
            if isinstance(tried, Solved):
                return other, tried
            if tried[1] > result[1]:
                better = other, tried
        if better is None:
            break
        built, result = better
    return built, result


def _other_plans(
    cls: type[nn.Module],
    built: building.Built,
    error: BaseException | None,
    given: Mapping[str, str],
    context: Context,
    lines: Mapping[int, str],
) -> list[arguments.Plan]:
    """Constructor arguments that may mend a failure of `forward`."""
    if error is None or is_hopeless(error):
        return []
    pair = mismatch.sizes_that_disagree(error)
    if pair is not None:
        return argument_repairs.agreeing(dict(built.plan), given, pair)
    line = lines.get(innermost_line(error, context.path) or 0, "")
    plans = argument_repairs.repaired(
        cls, dict(built.plan), given, error, line, arguments.PROFILES[0], context.namespace
    )
    return list(itertools.islice(plans, OTHER_PLANS))


def init_of(plan: Mapping[str, str], sources: Mapping[str, str], namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The contract's object for a plan, each expression such that the file's own `namespace` understands it."""
    return {
        "args": {
            name: {"expr": standing_alone(text, namespace), "from": sources.get(name, "guess")}
            for name, text in plan.items()
        }
    }


def standing_alone(expression: str, namespace: Mapping[str, Any]) -> str:
    """An expression over `torch` and `nn` for a file that may not import them by these names."""
    for name, spelled in (("nn", "__import__('torch').nn"), ("torch", "__import__('torch')")):
        if name not in namespace:
            expression = re.sub(rf"(?<![\w.'\"]){name}\.", f"{spelled}.", expression)
    return expression


def _not_built(built: building.NotBuilt, context: Context, sources: Mapping[str, str]) -> Unsolved:
    line = innermost_line(built.error, context.path)
    message = (
        f"No constructor arguments were found: {contract.one_line(built.error)}. "
        "Give them in a comment above the class: `# ts-shape: init(name=value)`."
    )
    if isinstance(built.error, StandInUsed):
        # No arguments would help: what the constructor makes is not on this machine.
        message = f"It cannot be built here: {built.error}."
    place = mismatch.call_place(context.source, line, "") if line else None
    reason = contract.failure("no-constructor", message, context.path, place, contract.one_line(built.error))
    return Unsolved("unresolved", reason, init_of(built.plan, sources, context.namespace), built.error)


def _search(
    cls: type[nn.Module],
    built: building.Built,
    drawn: list[evidence.Drawn],
    said: points.Said,
    context: Context,
    lines: Mapping[int, str],
    deadline: float,
) -> Solved | tuple[Unsolved, int]:
    """The inputs for one instance, or why there are none and how many torch calls the best attempt made."""
    starts, known, omitted = points.starts(cls, drawn, said, built.session.module)
    failed = search.NotFound(starts[0].inputs, Outcome(None, wishes={}), 0)
    for start in starts:
        inputs, built_with, longest = [start.inputs], bool(built.plan), context.remaining() * RUN_SHARE
        checked = search.search(built.session, inputs, context.path, lines, deadline, omitted, built_with, longest)
        if isinstance(checked, search.Found):
            again = functools.partial(_shortly, built.session, context, lines, deadline, longest, built_with)
            checked = choice.best(built.session, checked, again, known)
            checked = _on_real(built.session, checked, context, lines, deadline)
            if isinstance(checked, search.Found):
                if _small(built.session, checked) and (checked.outcome.indexes or built.session.real_only):
                    checked = indices.bounded(built.session, checked)
                checked = _with_different_items(built.session, checked)
                checked = replace(checked, inputs=points.sourced(checked.inputs, said))
                axes = points.axes(known, checked.inputs, said)
                labels = (start.drawn.label,) if start.drawn is not None else start.by
                wrong = contradictions.find(
                    built.session, starts, start, checked.inputs, said, context, built.plan, warm()
                )
                passed = {item.name for item in checked.inputs}
                left = tuple(item for item in omitted if item.name not in passed)
                others = _of_other_kinds(built.session, starts, checked.inputs, deadline)
                return Solved(built.session, checked, built.plan, {}, left, axes, labels, wrong, (), others)
        failed = checked if checked.attempts or not failed.attempts else failed
    return _unsolved(built.session, failed, context), failed.outcome.steps


def _shortly(
    session: Session,
    context: Context,
    lines: Mapping[int, str],
    deadline: float,
    longest: float,
    built_with: bool,
    inputs: values.Inputs,
) -> search.Found | search.NotFound:
    """A short search from these inputs on."""
    return search.search(
        session, [inputs], context.path, lines, deadline, (), built_with, longest, attempts=SHORT_SEARCH
    )


def _of_other_kinds(
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


def _with_different_items(session: Session, found: search.Found) -> search.Found:
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


def _on_real(
    session: Session, found: search.Found, context: Context, lines: Mapping[int, str], deadline: float
) -> search.Found | search.NotFound:
    """The find confirmed on real tensors, where the module is small enough to be run for real."""
    if session.real_only or not _small(session, found):
        return found
    try:
        with time_limit(min(REAL_SECONDS, max(1.0, context.remaining() / 3))):
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
        with time_limit(max(1.0, deadline - now())):
            longest = context.remaining() * RUN_SHARE
            return search.search(session, [found.inputs], context.path, lines, deadline, longest_run=longest)
    except TimeLimit:
        return search.NotFound(found.inputs, outcome, 1)


def _small(session: Session, found: search.Found) -> bool:
    """Whether the module and its inputs are small enough to be run for real."""
    count, _ = contract.parameter_counts(session.module)
    return count <= REAL_PARAMETERS and found.outcome.work <= REAL_PRODUCTS


def _unsolved(session: Session, result: search.NotFound, context: Context) -> Unsolved:
    """`failed` where two fixed sizes disagree, else `unresolved` with what would help."""
    wrong = _mismatch(session, result, context)
    error = result.outcome.error or RuntimeError("no attempt was made")
    if wrong is not None:
        layer = f"`{wrong.layer}`" if wrong.layer else "this call"
        producer = f"`{wrong.producer}` gives" if wrong.producer else "what arrives has"
        message = (
            f"{layer} takes {wrong.wanted} features or channels, but {producer} {wrong.got}: no input can make it run."
        )
        related = _layer_places(session, wrong, context)
        reason = contract.failure(
            "shape-mismatch", message, context.path, wrong.place, contract.one_line(error), related
        )
        reason["sizes"] = wrong.sizes()
        return Unsolved("failed", reason, {"args": {}}, error)
    if isinstance(error, StandInUsed):
        line = innermost_line(error, context.path)
        place = mismatch.call_place(context.source, line, "") if line else None
        message = f"`forward` cannot run here: {error}. Install it where the probes run."
        return Unsolved(
            "unresolved", contract.failure("missing-package", message, context.path, place), {"args": {}}, error
        )
    if isinstance(error, search.TooSlow):
        return _too_slow(error, context)
    names = ", ".join(item.name for item in result.inputs) or "x"
    line = innermost_line(error, context.path)
    message = (
        f"No input was found: the best of {result.attempts} attempts failed"
        f"{f' in line {line}' if line else ''} with {contract.one_line(error)}. "
        f"Say what goes in, in a comment above the class: `# ts-shape: {names.split(', ')[0]}=(B, 3, 224, 224)`."
    )
    place = mismatch.call_place(context.source, line, "") if line else None
    reason = contract.failure("no-input", message, context.path, place, contract.one_line(error))
    return Unsolved("unresolved", reason, {"args": {}}, error)


def _too_slow(error: search.TooSlow, context: Context) -> Unsolved:
    line = innermost_line(error, context.path)
    message = (
        f"The run was ended{f' in line {line}' if line else ''}: {error}. A `forward` that works this long, or for "
        "ever, cannot be probed; raise `timeoutMs` if it needs the time."
    )
    place = mismatch.call_place(context.source, line, "") if line else None
    reason = contract.failure("timeout", message, context.path, place, contract.one_line(error))
    return Unsolved("timeout", reason, {"args": {}}, error)


def _mismatch(session: Session, result: search.NotFound, context: Context) -> mismatch.Mismatch | None:
    if session.real_only or not result.inputs or not values.sizes(result.inputs):
        return None
    error = result.outcome.error
    if error is None or mismatch.sizes_that_disagree(error) is None:
        return None
    watched = mismatch.FailingLayer(session.module)
    try:
        with time_limit(SYMBOLIC_SECONDS):
            outcome = session.symbolic(result.inputs, [watched])
    except TimeLimit:
        return None
    if outcome.error is None:
        return None
    return mismatch.find(outcome.error, watched, context.path, context.source)


def _layer_places(session: Session, wrong: mismatch.Mismatch, context: Context) -> list[dict[str, Any]]:
    lines = contract.layer_lines(session.cls)
    texts = context.source.splitlines()
    places = []
    for name in (wrong.layer, wrong.producer):
        line = lines.get(name)
        if line is not None and line <= len(texts):
            text = texts[line - 1]
            keys = ("line", "column", "end_line", "end_column")
            span = (line, len(text) - len(text.lstrip()), line, len(text.rstrip()))
            places.append({"path": context.path, "range": dict(zip(keys, span)), "message": f"`{name}` is made here."})
    return places
