"""Why nothing was found, as the contract's `reason`: a mismatch that no input mends, a package, time, or what would
help. Decides by kinds and facts, and says it in a sentence for the author.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ts_shape_server.agent import shares, torch_says
from ts_shape_server.agent.clock import TimeLimit, time_limit
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer.constructor import building
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.inputs import search
from ts_shape_server.agent.infer.running import mismatch
from ts_shape_server.agent.infer.running.session import Session, innermost_line, is_hopeless
from ts_shape_server.agent.infer.solve import Case, Missed
from ts_shape_server.agent.infer.tell import advice, converted, impossible, inside
from ts_shape_server.agent.standins import StandInUsed
from ts_shape_server.contract.places import Location, Range
from ts_shape_server.contract.report import Argument, Fact, Failure, ReportedComplaint, Status, failure

MOST_KNOWN = 3


@dataclass(frozen=True)
class Unsolved:
    """Why no input or no constructor was found."""

    status: Status
    reason: Failure
    init: tuple[tuple[str, Argument], ...]


def init_of(
    plan: Mapping[str, str], sources: Mapping[str, str], namespace: Mapping[str, Any]
) -> tuple[tuple[str, Argument], ...]:
    """The arguments of a plan, each expression such that the file's own `namespace` understands it."""
    return tuple(
        (name, Argument(standing_alone(text, namespace), sources.get(name, "guess"))) for name, text in plan.items()
    )


def standing_alone(expression: str, namespace: Mapping[str, Any]) -> str:
    """An expression over `torch` and `nn` for a file that may not import them by these names."""
    for name, spelled in (("nn", "__import__('torch').nn"), ("torch", "__import__('torch')")):
        if name not in namespace:
            expression = re.sub(rf"(?<![\w.'\"]){name}\.", f"{spelled}.", expression)
    return expression


def of(case: Case, best: Missed | building.NotBuilt) -> Unsolved:
    """Why nothing was found, of the attempt that came furthest."""
    if isinstance(best, building.NotBuilt):
        return not_built(case.cls, best, case.context, case.init.sources)
    plan = best.built.plan
    sources = {name: case.init.sources.get(name, "guess") for name in plan}
    known = [tuple(item.inputs.values()) for item in case.drawn if item.certain and item.inputs]
    certain = "guess" not in sources.values()
    told = not_found(best.built.session, best.result, case.context, known, certain)
    return replace(told, init=init_of(plan, sources, case.context.namespace))


def not_built(cls: type, built: building.NotBuilt, context: Context, sources: Mapping[str, str]) -> Unsolved:
    line = innermost_line(built.error, context.path)
    # What is missing for every argument is not mended by a comment that gives some.
    comment = "" if is_hopeless(built.error) else advice.for_constructor(cls, built.plan)
    found = "No constructor arguments were found" if comment else "The constructor fails"
    message = f"{found}: {torch_says.clause(built.error)}. {advice.missing(built.error)}".rstrip()
    if comment:
        message += f" Give them in a comment above the class: {comment}."
    if isinstance(built.error, StandInUsed):
        # No arguments would help: what the constructor makes is not on this machine.
        message = f"It cannot be built here: {str(built.error).rstrip('. ')}."
    undefined = _undefined(built.error)
    if undefined:
        message = _told_undefined(undefined, built.error, context)
    place = mismatch.call_place(context.source, line, "") if line else None
    kind = "arguments-unknown" if comment else "constructor-fails"
    if isinstance(built.error, StandInUsed):
        kind = "package-missing"
    kind = "name-undefined" if undefined else kind
    facts: dict[str, Fact] = {"error": type(built.error).__name__, "arguments": tuple(built.plan)}
    detail = torch_says.one_line(built.error)
    reason = failure("no-constructor", message, context.path, place, detail, kind=kind, facts=facts)
    told = replace(reason, complaints=_complaints(built.error))
    return Unsolved("unresolved", told, init_of(built.plan, sources, context.namespace))


def _undefined(error: BaseException) -> str:
    """The name that an error says is not defined; empty where it says something else."""
    missing = torch_says.read(error).get("missing-name") if isinstance(error, NameError) else None
    return missing.name("name") if missing is not None and not isinstance(error, UnboundLocalError) else ""


def _told_undefined(name: str, error: BaseException, context: Context) -> str:
    """Where a name that is not defined is used: in a line of the file that is asked about, or in another file."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or frames[-1].filename.startswith("<"):
        # What a comment gives to the constructor stands in no file.
        return f"`{name}` has no value where it is used."
    where = f" in line {frames[-1].lineno}"
    if frames[-1].filename != context.path:
        where = f" in line {frames[-1].lineno} of {os.path.basename(frames[-1].filename)}"
    return f"`{name}` is used{where} and has no value there."


def _complaints(error: BaseException) -> tuple[ReportedComplaint, ...]:
    """What is known of the error's text."""
    return tuple(ReportedComplaint(item.kind, tuple(sorted(item.facts.items()))) for item in torch_says.read(error))


def not_found(
    session: Session,
    result: search.NotFound,
    context: Context,
    known: Sequence[values.Inputs] = (),
    certain: bool = False,
) -> Unsolved:
    """`failed` where two fixed sizes disagree, else `unresolved` with what would help. `known` is what is passed,
    `certain` are the constructor's arguments of which none is a guess.
    """
    passed = _passed(session, known, context)
    wrong = _mismatch(session, result, context)
    error = result.outcome.error or RuntimeError("no attempt was made")
    if wrong is None and passed is not None:
        wrong, error = passed[1], passed[2]
    if wrong is not None:
        message = _disagreement(wrong, None if passed is None else passed[0], None if passed is None else passed[1])
        if passed is not None and wrong.multiple_of:
            wrong = passed[1]
        related = _layer_places(session, wrong, context)
        facts: dict[str, Fact] = {"layer": wrong.layer, "wanted": wrong.wanted, "got": wrong.got}
        kind = "passed-sizes-refused" if passed is not None else "fixed-sizes-disagree"
        detail = torch_says.one_line(error)
        reason = failure("shape-mismatch", message, context.path, wrong.place, detail, related, kind=kind, facts=facts)
        reason = replace(reason, sizes=wrong.sizes(), complaints=_complaints(error))
        return Unsolved("failed", reason, ())
    never = impossible.of(session, result, context) if certain else None
    if never is not None:
        return _never_runs(session, never, context)
    layer = impossible.state_in_a_tuple(session, result) if certain else ""
    if layer:
        return _state_in_a_tuple(session, layer, error, context)
    if isinstance(error, StandInUsed):
        line = innermost_line(error, context.path)
        place = mismatch.call_place(context.source, line, "") if line else None
        message = f"`forward` cannot run here: {error}. Install it where the probes run."
        reason = failure("missing-package", message, context.path, place, kind="package-missing")
        return Unsolved("unresolved", reason, ())
    if isinstance(error, search.TooSlow):
        return _too_slow(error, context)
    other = converted.runs_after(session, result, context)
    if other is not None:
        return _runs_converted(other, error, context)
    called = torch_says.read(error).get("forward-missing")
    if called is not None and called.name("name") == session.cls.__name__:
        # The class has a `forward`, which asks the next class for its own: that of `nn.Module` is none.
        message = "`forward` calls that of the next base, and there is none: a subclass with another base is what runs."
        return Unsolved("skipped", failure("abstract", message, "", None, kind="class-abstract"), ())
    if called is not None:
        return _without_forward(error, called.name("name"), context)
    line = innermost_line(error, context.path)
    message = (
        f"No input was found: the best of {result.attempts} attempts failed"
        f"{f' in line {line}' if line else ''} with {torch_says.clause(error)}. {advice.missing(error)}"
    ).rstrip()
    undefined = _undefined(error)
    if undefined:
        message = _told_undefined(undefined, error, context)
    comment = "" if is_hopeless(error) else advice.for_inputs(result.inputs, result.outcome.wishes)
    if comment and context.written:
        message += f" Say what goes in, in a comment above the class: {comment}."
    place = mismatch.call_place(context.source, line, "") if line else None
    facts = {"error": type(error).__name__}
    kind = "every-attempt-failed" if result.attempts else "nothing-to-try"
    kind = "name-undefined" if undefined else kind
    detail = torch_says.one_line(error)
    reason = failure("no-input", message, context.path, place, detail, kind=kind, facts=facts)
    return Unsolved("unresolved", replace(reason, complaints=_complaints(error)), ())


def _runs_converted(other: converted.Converted, error: BaseException, context: Context) -> Unsolved:
    """A module whose `forward` makes tensors of a dtype that its weights only have once it is converted."""
    line = innermost_line(error, context.path)
    place = mismatch.call_place(context.source, line, "") if line else None
    shapes = ", ".join(
        f"`{item.name}` {_shape(item.guess)} {item.guess.dtype}"
        for item in other.inputs
        if isinstance(item.guess, values.TensorGuess)
    )
    message = (
        f"It runs only after `.{other.method}()`: as it is made, its weights are float32, and `forward` makes "
        f"{other.dtype} tensors. Converted, it takes for example {shapes}."
    )
    facts: dict[str, Fact] = {"method": other.method, "dtype": other.dtype}
    detail = torch_says.one_line(error)
    reason = failure("no-input", message, context.path, place, detail, kind="runs-converted", facts=facts)
    return Unsolved("unresolved", replace(reason, complaints=_complaints(error)), ())


_OF_STATES = {0: "states, one for each of its layers and directions,", 2: "features in each state"}
"""What the axes of a recurrent layer's state are."""


def _never_runs(session: Session, never: impossible.Impossible, context: Context) -> Unsolved:
    """A call that no input makes run, with the sizes that disagree where these are two numbers."""
    layer = f"`{never.layer}`" if never.layer else "this call"
    facts: dict[str, Fact] = {"layer": never.layer}
    wrong = None
    if never.wanted is None or never.got is None:
        message = f"No input can make {layer} run: {torch_says.clause(never.error)}."
    else:
        if never.axis is not None:
            of = _OF_STATES.get(never.axis, "in a batch of states")
            message = f"{layer} takes {never.wanted} {of} and gets {never.got}: no input can make it run."
        elif never.layer:
            takes = f"{layer} takes {never.wanted} features or channels, but what arrives has {never.got}"
            message = f"{takes}: no input can make it run."
        else:
            meet = f"What is put together here has sizes of {never.wanted} and {never.got} where one is needed"
            message = f"{meet}: no input can make it run."
        facts = {**facts, "wanted": never.wanted, "got": never.got}
        wrong = mismatch.Mismatch(never.wanted, never.got, never.layer, "", None, never.place)
    related = () if wrong is None else _layer_places(session, wrong, context)
    detail = torch_says.one_line(never.error)
    kind = "no-sizes-fit"
    reason = failure("shape-mismatch", message, context.path, never.place, detail, related, kind=kind, facts=facts)
    return Unsolved("failed", replace(reason, complaints=_complaints(never.error)), ())


def _state_in_a_tuple(session: Session, layer: str, error: BaseException, context: Context) -> Unsolved:
    line = innermost_line(error, context.path)
    place = mismatch.call_place(context.source, line, layer) if line else None
    kind = type(session.module.get_submodule(layer)).__name__
    is_one = f"`{layer}` is a `{kind}`, whose state is one Tensor, and gets a tuple, as an `LSTM` does"
    message = f"{is_one}: no input can make it run."
    facts: dict[str, Fact] = {"layer": layer, "type": kind}
    detail = torch_says.one_line(error)
    reason = failure("shape-mismatch", message, context.path, place, detail, kind="state-in-a-tuple", facts=facts)
    return Unsolved("failed", replace(reason, complaints=_complaints(error)), ())


_HELD = {
    "ModuleList": "it only holds layers: call them one by one in a loop, or make it an `nn.Sequential`",
    "ModuleDict": "it only holds layers: call the one that is meant by its key, or all of them in a loop",
}


def _without_forward(error: BaseException, kind: str, context: Context) -> Unsolved:
    """A module is called that has no `forward`, which no input mends."""
    line = innermost_line(error, context.path)
    place = mismatch.call_place(context.source, line, "") if line else None
    called = "A module" if place is None else f"`{_called_text(context.source, place)}`"
    why = _HELD.get(kind, "give it one, or call the method that is meant")
    message = f"{called} is a `{kind}`, which has no `forward`: {why}."
    detail = torch_says.one_line(error)
    facts: dict[str, Fact] = {"type": kind}
    reason = failure("no-input", message, context.path, place, detail, kind="called-without-forward", facts=facts)
    return Unsolved("unresolved", replace(reason, complaints=_complaints(error)), ())


def _called_text(source: str, place: tuple[int, int, int, int]) -> str:
    """What is called in the line of a place, up to its arguments."""
    first, start, last, end = place
    text = source.splitlines()[first - 1][start : end if first == last else None]
    return text.split("(")[0].strip() or text


def _disagreement(wrong: mismatch.Mismatch, inputs: values.Inputs | None, passed: mismatch.Mismatch | None) -> str:
    """What the layer takes and what it gets, with the inputs that are passed if there are any."""
    layer = f"`{wrong.layer}`" if wrong.layer else "this call"
    takes = f"{layer} takes {wrong.wanted} features or channels"
    shapes = ", ".join(_shape(item) for item in values.all_tensors(inputs or ()))
    seen = f"with {shapes} it gets {passed.got}" if passed is not None and shapes else ""
    if wrong.multiple_of:
        always = f"what arrives is a multiple of {wrong.multiple_of} whatever goes in: no input can make it run"
        return f"{takes}, but {always}" + (f"; {seen}." if seen else ".")
    if seen:
        return f"{takes}, but {seen}."
    producer = f"`{wrong.producer}` gives" if wrong.producer else "what arrives has"
    return f"{takes}, but {producer} {wrong.got}: no input can make it run."


def _shape(guess: values.TensorGuess) -> str:
    return f"({', '.join(map(str, guess.dims))}{',' if len(guess.dims) == 1 else ''})"


def _passed(
    session: Session, known: Sequence[values.Inputs], context: Context
) -> tuple[values.Inputs, mismatch.Mismatch, BaseException] | None:
    """Of what is certainly passed the first that a layer refuses, and how."""
    for inputs in () if session.real_only else known[:MOST_KNOWN]:
        watched = mismatch.FailingLayer(session.module)
        error = session.concrete(inputs, [watched]).error
        wrong = None if error is None else mismatch.given(error, watched, context.path, context.source)
        if error is not None and wrong is not None:
            return inputs, wrong, error
    return None


def _too_slow(error: search.TooSlow, context: Context) -> Unsolved:
    line = innermost_line(error, context.path)
    message = (
        f"The run was ended{f' in line {line}' if line else ''}: {error}. A `forward` that works this long, or for "
        "ever, cannot be probed; raise `timeoutMs` if it needs the time."
    )
    place = mismatch.call_place(context.source, line, "") if line else None
    reason = failure("timeout", message, context.path, place, torch_says.one_line(error), kind="run-too-slow")
    return Unsolved("timeout", reason, ())


def _mismatch(session: Session, result: search.NotFound, context: Context) -> mismatch.Mismatch | None:
    if session.real_only or not result.inputs or not values.sizes(result.inputs):
        return None
    error = result.outcome.error
    if error is None or mismatch.sizes_that_disagree(error) is None:
        return None
    watched = mismatch.FailingLayer(session.module)
    try:
        with time_limit(shares.SYMBOLIC_RUN.of(context.remaining())):
            outcome = session.symbolic(result.inputs, [watched])
    except TimeLimit:
        return None
    if outcome.error is None:
        return None
    found = mismatch.find(outcome.error, watched, context.path, context.source)
    if found is not None and found.multiple_of and not _of_one_form(result):
        return None
    # What turns the dims of one item about may be written for a single one.
    return None if session.concrete(_single(result.inputs)).ok else found


def _single(inputs: values.Inputs) -> values.Inputs:
    """One item of a batch of inputs."""
    return values.map_tensors(inputs, lambda _, guess: replace(guess, dims=guess.dims[1:], axes=guess.axes[1:]))


def _of_one_form(result: search.NotFound) -> bool:
    """Whether each tensor goes to a layer that takes its number of dims alone: what follows holds for all inputs."""
    wishes, tensors = result.outcome.wishes, values.all_tensors(result.inputs)
    return all(
        index in wishes and wishes[index].firm and wishes[index].rank == len(tensor.dims)
        for index, tensor in enumerate(tensors)
    )


def _layer_places(session: Session, wrong: mismatch.Mismatch, context: Context) -> tuple[Location, ...]:
    lines = inside.layer_lines(session.cls)
    texts = context.source.splitlines()
    places = []
    for name in (wrong.layer, wrong.producer):
        line = lines.get(name)
        if line is not None and line <= len(texts):
            text = texts[line - 1]
            span = Range(line, len(text) - len(text.lstrip()), line, len(text.rstrip()))
            places.append(Location(context.path, span, f"`{name}` is made here."))
    return tuple(places)
