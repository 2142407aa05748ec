"""One run of `forward` took all the time there is: it cannot be probed."""

from __future__ import annotations

from ts_shape_server.agent.infer.inputs import search
from ts_shape_server.agent.infer.tell.reasons.unsolved import Unfound, Unsolved, unsolved


def reason(unfound: Unfound) -> Unsolved | None:
    error = unfound.error
    if not isinstance(error, search.TooSlow):
        return None
    message = (
        f"The run was ended{unfound.in_line}: {error}. A `forward` that works this long, or for ever, cannot be "
        "probed; raise `timeoutMs` if it needs the time."
    )
    place = unfound.place()
    return unsolved(unfound.context, error, "timeout", "run-too-slow", message, status="timeout", place=place)
