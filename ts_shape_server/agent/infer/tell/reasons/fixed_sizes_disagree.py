"""A layer takes a size that what is before it never gives, or refuses what the workspace passes it.

``nn.Linear(5, 2)`` after ``nn.Linear(8, 6)``: 6 features arrive whatever goes in. Where the sizes are those of an input
that the workspace passes, that input is told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ts_shape_server.agent import shares
from ts_shape_server.agent.clock import TimeLimit, time_limit
from ts_shape_server.agent.infer.constructor.arguments import int_arguments
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.running import instances, mismatch
from ts_shape_server.agent.infer.tell.reasons.one_form import has_one_form
from ts_shape_server.agent.infer.tell.reasons.other_ways import may_run
from ts_shape_server.agent.infer.tell.reasons.unsolved import Unfound, Unsolved, layer_places, shape, unsolved
from ts_shape_server.contract.report import Fact

MOST_PASSED = 3
"""So many of the inputs that are passed are tried."""

MOST_AXES, LARGER = 4, 4
"""So many axes of the inputs are made so many times as large, to see whether what a layer gets changes."""


OTHER_NUMBERS = (5, 8)
"""A number that was guessed is made so many times as large, to see whether the layer still refuses."""


@dataclass(frozen=True)
class _Passed:
    """An input that is passed, and the layer that refuses it."""

    inputs: values.Inputs
    wrong: mismatch.Mismatch
    error: BaseException


def reason(unfound: Unfound) -> Unsolved | None:
    passed = _passed(unfound)
    wrong = _mismatch(unfound)
    error = unfound.error
    if wrong is None and passed is not None:
        wrong, error = passed.wrong, passed.error
    if wrong is None:
        return None
    inputs = passed.inputs if passed is not None else unfound.result.inputs
    if may_run(unfound, inputs, wrong.layer, wrong.producer) or _rests_on_a_guess(unfound, wrong, inputs):
        return None
    message = _told(wrong, passed)
    if passed is not None and wrong.multiple_of:
        wrong = passed.wrong
    facts: dict[str, Fact] = {"layer": wrong.layer, "wanted": wrong.wanted, "got": wrong.got}
    told = unsolved(
        unfound.context,
        error,
        "shape-mismatch",
        "passed-sizes-refused" if passed is not None else "fixed-sizes-disagree",
        message,
        status="failed",
        place=wrong.place,
        facts=facts,
        related=layer_places(unfound, wrong.layer, wrong.producer),
    )
    return replace(told, reason=replace(told.reason, sizes=wrong.sizes()))


def _passed(unfound: Unfound) -> _Passed | None:
    """Of what is certainly passed the first that a layer refuses."""
    session, context = unfound.session, unfound.context
    for inputs in () if session.real_only else [item.inputs for item in unfound.passed[:MOST_PASSED]]:
        watched = mismatch.FailingLayer(session.module)
        error = session.concrete(inputs, [watched]).error
        wrong = None if error is None else mismatch.given(error, watched, context.path, context.source)
        if error is not None and wrong is not None:
            return _Passed(inputs, wrong, error)
    return None


def _mismatch(unfound: Unfound) -> mismatch.Mismatch | None:
    """Sizes that disagree whatever goes in, as a symbolic run shows."""
    session, result, context = unfound.session, unfound.result, unfound.context
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
    if found is not None and found.multiple_of and not has_one_form(unfound):
        return None
    if found is None or (not found.multiple_of and _gives_other_sizes(unfound, found)):
        return None
    # What turns the dims of one item about may be written for a single one.
    return None if session.concrete(_single(result.inputs)).ok else found


def _gives_other_sizes(unfound: Unfound, found: mismatch.Mismatch) -> bool:
    """Whether the layer gets another size from larger inputs after all: on symbols a size may have been taken for the
    number that it was, where code asks about it.
    """
    session, context = unfound.session, unfound.context
    for axis in (None, *range(1, MOST_AXES)):
        watched = mismatch.FailingLayer(session.module)
        error = session.concrete(_larger(unfound.result.inputs, axis), [watched]).error
        other = None if error is None else mismatch.given(error, watched, context.path, context.source)
        if error is None or (other is not None and other.layer == found.layer and other.got != found.got):
            return True
    return False


def _rests_on_a_guess(unfound: Unfound, wrong: mismatch.Mismatch, inputs: values.Inputs) -> bool:
    """Whether the layer takes what arrives where a number is larger that was guessed for the constructor: with too few
    layers the sizes between them may not meet.
    """
    session = unfound.session
    for name, number in int_arguments(dict(unfound.plan)).items():
        for factor in OTHER_NUMBERS if name in unfound.guessed else ():
            plan = {**unfound.plan, name: str(number * factor)}
            try:
                other = instances.build(session.cls, plan, session.namespace, not session.real_only)
            except Exception:
                continue
            watched = mismatch.FailingLayer(other.module)
            error = other.concrete(inputs, [watched]).error
            if error is None or wrong.layer in (layer for layer, _ in watched.finished):
                return True
    return False


def _larger(inputs: values.Inputs, axis: int | None) -> values.Inputs:
    """The inputs with one axis of each, or all but the first, `LARGER` times as large."""

    def grown(_: int, guess: values.TensorGuess) -> values.TensorGuess:
        dims = (size * LARGER if place and axis in (None, place) else size for place, size in enumerate(guess.dims))
        return replace(guess, dims=tuple(dims))

    return values.map_tensors(inputs, grown)


def _single(inputs: values.Inputs) -> values.Inputs:
    """One item of a batch of inputs."""
    return values.map_tensors(inputs, lambda _, guess: replace(guess, dims=guess.dims[1:], axes=guess.axes[1:]))


def _told(wrong: mismatch.Mismatch, passed: _Passed | None) -> str:
    """What the layer takes and what it gets, with the inputs that are passed if there are any."""
    layer = f"`{wrong.layer}`" if wrong.layer else "this call"
    takes = f"{layer} takes {wrong.wanted} features or channels"
    shapes = ", ".join(map(shape, values.all_tensors(passed.inputs))) if passed is not None else ""
    seen = f"with {shapes} it gets {passed.wrong.got}" if passed is not None and shapes else ""
    if wrong.multiple_of:
        always = f"what arrives is a multiple of {wrong.multiple_of} whatever goes in: no input can make it run"
        return f"{takes}, but {always}" + (f"; {seen}." if seen else ".")
    if seen:
        return f"{takes}, but {seen}."
    producer = f"`{wrong.producer}` gives" if wrong.producer else "what arrives has"
    return f"{takes}, but {producer} {wrong.got}: no input can make it run."
