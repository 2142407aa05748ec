"""What the workspace certainly passes fails for its sizes, in no layer that could be named: two tensors of them are put
together that do not fit, or there are too many or too few dims.

``out + x`` in a block that halves the sides and doubles the channels: with what is passed both sizes are known, whether
another input runs or not.
"""

from __future__ import annotations

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.running import mismatch
from ts_shape_server.agent.infer.running.session import innermost_line
from ts_shape_server.agent.infer.tell import denials, remedies
from ts_shape_server.agent.infer.tell.reasons.unsolved import PassedByCall, Unfound, Unsolved, unsolved

MOST_PASSED = 3
"""So many of the inputs that are passed are tried."""
_OF_SIZES = frozenset(
    {"layer-size-differs", "side-differs", "sides-added-differ", "broadcast-differs", "state-size-differs"}
    | {"rank-wanted", "mask-differs", "padding-mask-differs", "target-differs"}
)
"""What an error says that is about sizes alone."""


def reason(unfound: Unfound) -> Unsolved | None:
    session = unfound.session
    for passed in unfound.passed[:MOST_PASSED]:
        watched = mismatch.FailingLayer(session.module)
        error = session.concrete(passed.inputs, [watched]).error
        if error is not None and _is_refused(unfound, passed, error):
            return _told(unfound, passed, error, watched)
    return None


def _is_refused(unfound: Unfound, passed: PassedByCall, error: BaseException) -> bool:
    """Whether these sizes fail whatever the values, evaluated and in training."""
    if not isinstance(error, denials.ERRORS) or not any(kind in torch_says.read(error) for kind in _OF_SIZES):
        return False
    session, inputs = unfound.session, passed.inputs
    return isinstance(session.quickly(inputs).error, denials.ERRORS) and not session.in_training(inputs).ok


def _told(unfound: Unfound, passed: PassedByCall, error: BaseException, watched: mismatch.FailingLayer) -> Unsolved:
    """At the expression that fails; where that is none of the file's, at the call."""
    context = unfound.context
    layer = watched.entered[-1] if watched.entered else ""
    line = innermost_line(error, context.path)
    missing = remedies.of(watched, unfound.session.module) or remedies.of_sum(error, values.all_tensors(passed.inputs))
    message = f"With {passed.shapes}, which is passed, this fails: {torch_says.clause(error)}"
    call = passed.location
    return unsolved(
        context,
        error,
        "shape-mismatch" if line is not None else "call-mismatch",
        "passed-sizes-refused",
        f"{message}; {missing}." if missing else f"{message}.",
        status="failed",
        place=passed.place if line is None else mismatch.call_place(context.source, line, layer),
        facts={"layer": layer},
        related=() if line is None or call is None else (call,),
    )
