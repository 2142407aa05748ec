"""No input was found, and nothing shows that there is none: what the best attempt failed with, and what would help."""

from __future__ import annotations

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.infer.facts.body import hints
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.inputs import starting
from ts_shape_server.agent.infer.running.session import is_hopeless
from ts_shape_server.agent.infer.tell import advice
from ts_shape_server.agent.infer.tell.reasons.unsolved import Unfound, Unsolved, unsolved


def reason(unfound: Unfound) -> Unsolved:
    error, result = unfound.error, unfound.result
    message = (
        f"No input was found: the best of {result.attempts} attempts failed{unfound.in_line} with "
        f"{torch_says.clause(error)}. {advice.missing(error)}"
    ).rstrip()
    if unfound.context.written and not is_hopeless(error):
        objects = _objects(unfound.session.cls, result.inputs)
        message = f"{message} {advice.for_inputs(result.inputs, result.outcome.wishes, objects)}".rstrip()
    kind = "every-attempt-failed" if result.attempts else "nothing-to-try"
    facts = {"error": type(error).__name__}
    return unsolved(unfound.context, error, "no-input", kind, message, place=unfound.place(), facts=facts)


def _objects(cls: type, inputs: values.Inputs) -> dict[str, tuple[str, ...]]:
    """By input what `forward` uses of it that no tensor has, where the best attempt was a tensor."""
    known = hints(cls.forward)  # type: ignore[attr-defined]  # only modules come here
    tried = {item.name for item in inputs if isinstance(item.guess, values.TensorGuess)}
    used = {name: tuple(sorted(starting.beyond_tensors(hint))) for name, hint in known.items() if name in tried}
    return {name: names for name, names in used.items() if names}
