"""`forward` uses a package that is not installed where the probes run: a stand-in was called."""

from __future__ import annotations

from ts_shape_server.agent.infer.tell.reasons.unsolved import Unfound, Unsolved, unsolved
from ts_shape_server.agent.standins import StandInUsed


def reason(unfound: Unfound) -> Unsolved | None:
    error = unfound.error
    if not isinstance(error, StandInUsed):
        return None
    message = f"`forward` cannot run here: {error}. Install it where the probes run."
    return unsolved(unfound.context, error, "missing-package", "package-missing", message, place=unfound.place())
