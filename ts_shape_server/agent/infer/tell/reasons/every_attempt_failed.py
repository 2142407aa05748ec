"""No input was found, and nothing shows that there is none: what the best attempt failed with, and what would help."""

from __future__ import annotations

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.infer.running.session import is_hopeless
from ts_shape_server.agent.infer.tell import advice
from ts_shape_server.agent.infer.tell.reasons.unsolved import Unfound, Unsolved, unsolved


def reason(unfound: Unfound) -> Unsolved:
    error, result = unfound.error, unfound.result
    message = (
        f"No input was found: the best of {result.attempts} attempts failed{unfound.in_line} with "
        f"{torch_says.clause(error)}. {advice.missing(error)}"
    ).rstrip()
    comment = "" if is_hopeless(error) else advice.for_inputs(result.inputs, result.outcome.wishes)
    if comment and unfound.context.written:
        message += f" Say what goes in, in a comment above the class: {comment}."
    kind = "every-attempt-failed" if result.attempts else "nothing-to-try"
    facts = {"error": type(error).__name__}
    return unsolved(unfound.context, error, "no-input", kind, message, place=unfound.place(), facts=facts)
