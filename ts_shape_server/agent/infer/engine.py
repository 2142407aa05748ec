"""One class from start to report: evidence, constructor, search, generalisation, TorchScript, each step emitted as it
comes.

The order of evidence, strongest first: pragma, real data, calls in the workspace, annotations and use in the body,
solving. Every step has its share of the time; a step that overruns leaves what the earlier ones found.
"""

from __future__ import annotations

import functools
import inspect
import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from ts_shape_server.agent import runs
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer import (
    argument_names,
    arguments,
    building,
    claims,
    contract,
    evidence,
    factories,
    mismatch,
    naming,
    search,
    shots,
    starting,
    symbolic,
    values,
)
from ts_shape_server.agent.infer.limits import TimeLimit, time_limit
from ts_shape_server.agent.infer.session import Outcome, Session, innermost_line
from ts_shape_server.agent.infer.spelling import Spelling

Emit = Callable[[dict[str, Any]], None]

SEARCH_SHARE = 0.45
CLAIM_SECONDS = 4.0
SYMBOLIC_SECONDS = 6.0
REAL_SECONDS = 8.0
REAL_PARAMETERS = 150_000_000
SAMPLES = 4
ADJUSTMENTS = 2
SAMPLE_SECONDS = 2.0

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


@dataclass(frozen=True)
class Unsolved:
    """Why no input or no constructor was found."""

    status: str
    reason: dict[str, Any]
    init: dict[str, Any]


def warm() -> bool:
    """Try the symbolic engine once, so that forked children need not; whether it works on this torch."""
    global _symbolic_works
    if _symbolic_works is None:
        _symbolic_works = symbolic.works()
    return _symbolic_works


def report_class(cls: type[nn.Module], request: Mapping[str, Any], context: Context, emit: Emit) -> None:
    """Emit reports of `cls`, each more precise; the last has stage ``final``. Raises nothing that user code raises."""
    logging.disable(logging.CRITICAL)
    started = time.monotonic()
    base = {
        "schema": contract.SCHEMA,
        "path": context.path,
        "class": request["name"],
        "line": request.get("line", 1),
        "stubbed": list(context.stubbed),
    }

    def send(report: Mapping[str, Any], stage: str) -> None:
        elapsed = int((time.monotonic() - started) * 1000)
        emit({**base, **report, "elapsed_ms": elapsed, "stage": stage})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        skipped = _skipped(cls)
        if skipped is not None:
            send({"status": "skipped", "reason": skipped, **_nothing()}, "final")
            return
        solved = _solve(cls, request, context)
        if isinstance(solved, Unsolved):
            send({"status": solved.status, "reason": solved.reason, **_nothing(), "init": solved.init}, "final")
            return
        _report_solved(cls, solved, context, send)


def _nothing() -> dict[str, Any]:
    return {"init": {"args": {}}, "inputs": [], "example": {}, "symbols": {}, "constraints": [], "outputs": []}


def _skipped(cls: type[nn.Module]) -> dict[str, Any] | None:
    forward = getattr(cls, "forward", None)
    if forward is None or getattr(forward, "__name__", "") == "_forward_unimplemented":
        return contract.failure("no-forward", "The class has no `forward`: a subclass has to define it.", "", None)
    if inspect.isabstract(cls):
        return contract.failure("abstract", "The class is abstract: a subclass is what runs.", "", None)
    return None


def _solve(cls: type[nn.Module], request: Mapping[str, Any], context: Context) -> Solved | Unsolved:
    """Constructor arguments and inputs, from the strongest evidence that works."""
    pragmas = request.get("pragmas") or {}
    drawn = evidence.draw_all(cls, list(request.get("evidence") or ()), context)
    pinned = evidence.pragma_inputs(pragmas.get("inputs") or {})
    given_init = dict(pragmas.get("init") or {})
    init_sources = dict.fromkeys(given_init, "pragma")
    called = next((item for item in drawn if item.init), None)
    if called is not None and not given_init:
        given_init = dict(called.init or {})
        init_sources = dict.fromkeys(given_init, called.label)
    deadline = time.monotonic() + context.remaining() * SEARCH_SHARE
    open_arguments = [item for item in arguments.required(cls) if item.name not in given_init]
    if open_arguments and not given_init:
        made = factories.find(cls, context)
        if made is not None:
            given_init = dict(made.init)
            init_sources = dict.fromkeys(given_init, made.label)
            open_arguments = [item for item in arguments.required(cls) if item.name not in given_init]
    profiles = arguments.PROFILES if open_arguments else arguments.PROFILES[:1]
    lines = dict(enumerate(context.source.splitlines(), 1))
    best: Unsolved | None = None
    depth = -1
    for number, profile in enumerate(profiles):
        left = deadline - time.monotonic()
        if left <= 0 and best is not None:
            break
        until = time.monotonic() + max(left, 0.5) / (len(profiles) - number) * (1.0 if number else 1.5)
        built = building.first_that_builds(
            cls, given_init, profile, context.namespace, context.path, lines, warm(), until
        )
        if isinstance(built, building.NotBuilt):
            best = best or _not_built(built, context, init_sources)
            continue
        built, result = _adjusted(cls, built, given_init, drawn, pinned, context, lines, until)
        sources = {name: init_sources.get(name, "guess") for name in built.plan}
        if isinstance(result, Solved):
            return replace(result, sources=sources)
        if result[1] > depth:
            best, depth = result[0], result[1]
            best = replace(best, init=_init(built.plan, sources))
            if best.status == "failed" and not open_arguments:
                break
    assert best is not None
    return best


def _adjusted(
    cls: type[nn.Module],
    built: building.Built,
    given: Mapping[str, str],
    drawn: list[evidence.Drawn],
    pinned: Mapping[str, values.InputGuess],
    context: Context,
    lines: Mapping[int, str],
    deadline: float,
) -> tuple[building.Built, Solved | tuple[Unsolved, int]]:
    """The search with these arguments, then with guessed sizes changed where two that follow from them disagree."""
    result = _search(cls, built, drawn, pinned, context, lines, deadline)
    for _ in range(ADJUSTMENTS):
        if isinstance(result, Solved) or time.monotonic() > deadline:
            break
        pair = mismatch.sizes_that_disagree(result[0].reason.get("detail", ""))
        plans = arguments.agreeing(dict(built.plan), given, pair) if pair is not None else []
        better: tuple[building.Built, Solved | tuple[Unsolved, int]] | None = None
        for plan in plans:
            try:
                session = building.build(cls, plan, context.namespace, warm())
            except Exception:
                continue
            other = building.Built(session, plan)
            tried = _search(cls, other, drawn, pinned, context, lines, deadline)
            if isinstance(tried, Solved):
                return other, tried
            if tried[1] > result[1]:
                better = other, tried
        if better is None:
            break
        built, result = better
    return built, result


def _init(plan: Mapping[str, str], sources: Mapping[str, str]) -> dict[str, Any]:
    return {"args": {name: {"expr": text, "from": sources.get(name, "guess")} for name, text in plan.items()}}


def _not_built(built: building.NotBuilt, context: Context, sources: Mapping[str, str]) -> Unsolved:
    line = innermost_line(built.error, context.path)
    message = (
        f"No constructor arguments were found: {contract.one_line(built.error)}. "
        "Give them in a comment above the class: `# ts-shape: init(name=value)`."
    )
    place = mismatch.call_place(context.source, line, "") if line else None
    reason = contract.failure("no-constructor", message, context.path, place, contract.one_line(built.error))
    return Unsolved("unresolved", reason, _init(built.plan, sources))


def _search(
    cls: type[nn.Module],
    built: building.Built,
    drawn: list[evidence.Drawn],
    pinned: Mapping[str, values.InputGuess],
    context: Context,
    lines: Mapping[int, str],
    deadline: float,
) -> Solved | tuple[Unsolved, int]:
    """The inputs for one instance, or why there are none and how many torch calls the best attempt made."""
    starts: list[values.Inputs] = []
    labels: dict[values.Inputs, str] = {}
    for item in drawn:
        if item.inputs:
            inputs, known, omitted = starting.first_guess(cls, {**item.inputs, **pinned})
            starts.append(inputs)
            labels[inputs] = item.label
    plain, known, omitted = starting.first_guess(cls, pinned)
    starts.append(plain)
    failed = search.NotFound(plain, Outcome(None, wishes={}), 0, True)
    for start in starts:
        checked = search.search(built.session, [start], context.path, lines, deadline)
        if isinstance(checked, search.Found):
            checked = _on_real(built.session, checked, context, lines, deadline)
            if isinstance(checked, search.Found):
                checked = _with_different_items(built.session, checked)
                axes = {name: hint.axes for name, hint in known.items()}
                found = tuple([labels[start]] if start in labels else [])
                return Solved(built.session, checked, built.plan, {}, omitted, axes, found)
        failed = checked
    return _unsolved(built.session, failed, context), failed.outcome.steps


def _with_different_items(session: Session, found: search.Found) -> search.Found:
    """The find with items of different sizes in its lists, where the module takes that."""
    if any(item.given for item in found.inputs):
        return found
    different = values.with_different_items(found.inputs)
    if different is None:
        return found
    outcome = session.concrete(different)
    return search.Found(different, replace(outcome, wishes=found.outcome.wishes)) if outcome.ok else found


def _on_real(
    session: Session, found: search.Found, context: Context, lines: Mapping[int, str], deadline: float
) -> search.Found | search.NotFound:
    """The find confirmed on real tensors, where the module is small enough to be run for real."""
    count, _ = contract.parameter_counts(session.module)
    if session.real_only or count > REAL_PARAMETERS:
        return found
    try:
        with time_limit(min(REAL_SECONDS, max(1.0, context.remaining() / 3))):
            outcome = session.on_real(found.inputs)
    except TimeLimit:
        return found
    if outcome.ok:
        return found
    session.real_only = True
    try:
        with time_limit(max(1.0, deadline - time.monotonic())):
            return search.search(session, [found.inputs], context.path, lines, deadline)
    except TimeLimit:
        return search.NotFound(found.inputs, outcome, 1, False)


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
        return Unsolved("failed", reason, {"args": {}})
    names = ", ".join(item.name for item in result.inputs) or "x"
    line = innermost_line(error, context.path)
    message = (
        f"No input was found: the best of {result.attempts} attempts failed"
        f"{f' in line {line}' if line else ''} with {contract.one_line(error)}. "
        f"Say what goes in, in a comment above the class: `# ts-shape: {names.split(', ')[0]}=(B, 3, 224, 224)`."
    )
    place = mismatch.call_place(context.source, line, "") if line else None
    reason = contract.failure("no-input", message, context.path, place, contract.one_line(error))
    return Unsolved("unresolved", reason, {"args": {}})


def _mismatch(session: Session, result: search.NotFound, context: Context) -> mismatch.Mismatch | None:
    if session.real_only or not result.inputs or not values.sizes(result.inputs):
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


def _report_solved(cls: type[nn.Module], solved: Solved, context: Context, send: Callable[..., None]) -> None:
    found, session, lines = solved.found, solved.session, _class_lines(cls)
    count, size = contract.parameter_counts(session.module)
    report: dict[str, Any] = {
        "status": "ok",
        "reason": None,
        "init": _init(solved.plan, solved.sources),
        "inputs": contract.input_specs(found.inputs, solved.omitted, lambda slot: values.sizes(found.inputs)[slot]),
        "example": contract.example(found.inputs),
        "second": None,
        "symbols": {},
        "constraints": [],
        "parameters": count,
        "parameter_bytes": size,
        "evidence": [item for item in dict.fromkeys([*solved.labels, *solved.sources.values()]) if item != "guess"],
    }
    _, shot = shots.take(lambda watch: session.concrete(found.inputs, watch), session.module, context.path, lines)
    if shot is not None:
        report.update(_inside(cls, shot))
    send(report, "example" if context.stages != ("example",) else "final")
    if "symbols" in context.stages:
        report.update(_symbols(cls, solved, context))
        send(report, "symbols" if "script" in context.stages else "final")
    if "script" in context.stages:
        report["torchscript"] = _script(cls, report, context)
        send(report, "final")


def _symbols(cls: type[nn.Module], solved: Solved, context: Context) -> dict[str, Any]:
    """The general claim: symbols, constraints, and all shapes spelled in them."""
    session, found = solved.session, solved.found
    lines = _class_lines(cls)
    traced: shots.Shot | None = None
    guards: tuple[symbolic.Guard, ...] = ()
    try:
        with time_limit(min(SYMBOLIC_SECONDS, context.remaining() * 0.3)):
            outcome, traced = shots.take(
                lambda watch: session.symbolic(found.inputs, watch), session.module, context.path, lines
            )
            guards = outcome.guards if outcome.ok else ()
    except TimeLimit:
        pass
    trials = claims.Trials(
        session, found.inputs, found.outcome, time.monotonic() + min(CLAIM_SECONDS, context.remaining() * 0.3)
    )
    claim = claims.generalise(trials, guards)
    names = naming.name_places(found.inputs, claim, found.outcome.wishes, solved.axes)
    samples, others = _sampled(solved, claim, trials, context, lines)
    spelling = Spelling(claim, names, samples)
    named = argument_names.find(cls, solved.plan, solved.sources, session, found, context)
    result = _claimed(solved, claim, names, spelling, named)
    first = traced if traced is not None else others[0] if others else None
    if first is not None:
        told = shots.spelled(first, others, spelling.told)
        told = _counted(told, first, solved, context, lines, result)
        result.update(_inside(cls, _renamed(told, named.outputs, trials.rows_are_batch, names)))
    return result


def _inside(cls: type, shot: shots.Shot) -> dict[str, Any]:
    """The parts of a report that a shot gives."""
    return {
        "outputs": contract.outputs(shot),
        "layers": contract.layers(shot.calls, contract.layer_lines(cls)),
        "variables": contract.variables(shot.locals),
    }


def _sampled(
    solved: Solved, claim: claims.Claim, trials: claims.Trials, context: Context, lines: range
) -> tuple[list[claims.Sizes], list[shots.Shot]]:
    """Sizes that the claim allows, the base first, and what runs at them show."""
    found, session = solved.found, solved.session
    good = [sizes for sizes, ran in trials.known.items() if ran and sizes != claim.base and claim.allows(sizes)]
    preferred = [claim.second] if claim.second is not None else []
    wanted = list(dict.fromkeys([claim.base, *preferred, *sorted(good, key=lambda sizes: -_moved(sizes, claim.base))]))
    samples: list[claims.Sizes] = []
    taken: list[shots.Shot] = []
    deadline = time.monotonic() + min(SAMPLE_SECONDS, context.remaining() * 0.1)
    for sizes in wanted[:SAMPLES]:
        if taken and time.monotonic() > deadline:
            break
        run = functools.partial(session.concrete, values.with_sizes(found.inputs, sizes))
        _, shot = shots.take(run, session.module, context.path, lines)
        if shot is not None:
            samples.append(sizes)
            taken.append(shot)
    return samples, taken


def _moved(sizes: claims.Sizes, base: claims.Sizes) -> int:
    """How many sizes differ, huge ones counting nothing."""
    return sum(here != there and here < 4 * there for here, there in zip(sizes, base))


def _counted(
    told: shots.Shot, first: shots.Shot, solved: Solved, context: Context, lines: range, result: dict[str, Any]
) -> shots.Shot:
    """Sizes that follow the number of items of a list told as ``N``: seen in a run with one item more."""
    longer = values.with_one_more(solved.found.inputs)
    if longer is None:
        return told
    counts = {len(item.guess.items) for item in longer if isinstance(item.guess, values.SequenceGuess)}
    session = solved.session
    _, shot = shots.take(lambda watch: session.concrete(longer, watch), session.module, context.path, lines)
    if shot is None:
        return told
    seen = False

    def count(size: Any, after: Sequence[int]) -> Any:
        nonlocal seen
        if (
            isinstance(size, int)
            and len(after) == 2
            and after[1] == after[0] + 1
            and after[1] in counts
            and size == after[0]
        ):
            seen = True
            return "N"
        return size

    changed = shots.spelled(told, [first, shot], count)
    if seen:
        result["symbols"]["N"] = {"min": 1, "max": None, "multiple_of": 1}
    return changed


def _claimed(
    solved: Solved,
    claim: claims.Claim,
    names: Mapping[int, str],
    spelling: Spelling,
    named: argument_names.Named,
) -> dict[str, Any]:
    base = values.sizes(solved.found.inputs)

    def dim(slot: int) -> int | str:
        return names.get(slot, named.places.get(slot, base[slot]))

    symbols: dict[str, Any] = {}
    for item in claim.free:
        symbols[names[item.members[0]]] = {"min": item.minimum, "max": item.maximum, "multiple_of": item.multiple_of}
    for name in [*named.places.values(), *named.outputs.values()]:
        symbols.setdefault(name, {"min": named.values[name], "max": named.values[name], "multiple_of": 1})
    second = claim.second
    return {
        "inputs": contract.input_specs(
            solved.found.inputs, solved.omitted, dim, naming.varying(solved.found.inputs, claim, names)
        ),
        "symbols": symbols,
        "constraints": spelling.constraints(),
        "second": None if second is None else contract.example(values.with_sizes(solved.found.inputs, second)),
    }


def _renamed(shot: shots.Shot, named: Mapping[int, str], rows_are_batch: bool, names: Mapping[int, str]) -> shots.Shot:
    """Fixed sizes of the output that follow a constructor argument by its name; its rows, if they are, as the batch."""
    calls, found, output = shots.sections(shot)
    told = [named.get(size, size) if isinstance(size, int) else size for size in output]
    if rows_are_batch and 0 in names and told:
        told[0] = names[0]
    return shots.respelled(shot, [*calls, *found, *told])


def _class_lines(cls: type) -> range:
    try:
        lines, start = inspect.getsourcelines(cls)
    except (OSError, TypeError):
        return range(1, 1_000_000)
    return range(start, start + len(lines))


def _script(cls: type[nn.Module], report: Mapping[str, Any], context: Context) -> dict[str, Any]:
    from ts_shape_server.agent import script

    return script.examine(runs.from_report(cls, context.namespace, report), context)
