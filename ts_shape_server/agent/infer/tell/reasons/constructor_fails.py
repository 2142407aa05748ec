"""The class could not be built: with what it failed last, and the comment that would help where one can."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer.constructor import building
from ts_shape_server.agent.infer.running import mismatch
from ts_shape_server.agent.infer.running.session import innermost_line, is_hopeless
from ts_shape_server.agent.infer.tell import advice
from ts_shape_server.agent.infer.tell.init import init_of
from ts_shape_server.agent.infer.tell.reasons import name_undefined
from ts_shape_server.agent.infer.tell.reasons.unsolved import Unsolved, unsolved
from ts_shape_server.agent.standins import StandInUsed
from ts_shape_server.contract.report import Fact


def reason(cls: type, built: building.NotBuilt, context: Context, sources: Mapping[str, str]) -> Unsolved:
    error = built.error
    line = innermost_line(error, context.path)
    place = mismatch.call_place(context.source, line, "") if line else None
    known = [name for name in built.plan if sources.get(name, "guess") != "guess"]
    kind, message = _told(cls, built, context, known)
    facts: dict[str, Fact] = {"error": type(error).__name__, "arguments": tuple(built.plan)}
    told = unsolved(context, error, "no-constructor", kind, message, place=place, facts=facts)
    return replace(told, init=init_of(built.plan, sources, context.namespace))


def _told(cls: type, built: building.NotBuilt, context: Context, known: Collection[str]) -> tuple[str, str]:
    """The kind, and the sentence. `known` are the arguments that are no guesses."""
    error = built.error
    undefined = name_undefined.told(error, context)
    if undefined:
        return "name-undefined", undefined
    if isinstance(error, StandInUsed):
        # No arguments would help: what the constructor makes is not on this machine.
        return "package-missing", f"It cannot be built here: {str(error).rstrip('. ')}."
    # What is missing for every argument is not mended by a comment that gives some.
    comment = "" if is_hopeless(error) or advice.is_outside(error) else advice.for_constructor(cls, known)
    why = f"{torch_says.clause(error)}. {advice.missing(error)}".rstrip()
    if not comment:
        return "constructor-fails", f"The constructor fails: {why}"
    found = f"No constructor arguments were found: {why}"
    return "arguments-unknown", f"{found} Give them in a comment above the class: {comment}."
