"""Tries a changed source beside the original: is TorchScript happier, and is the result the same.

A change counts only if nothing got worse: the weights keep their names, eager gives the same (`sameness`), no new
refusal came, and what scripts agrees with eager.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ts_shape_server.agent.context import Context
from ts_shape_server.agent.runs import Run
from ts_shape_server.agent.script import examination, sameness
from ts_shape_server.agent.script.finding import identities, identity, one_line
from ts_shape_server.agent.script.session import Session


def trial(original: Run, candidate: Run, context: Context, known: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """``{"ok", "reason", "torchscript"}``; `reason` is empty if the candidate is better, ``torchscript`` is None if it
    does not compute the same, and says nothing of tracing. ``compared`` is false where that could not be seen.

    `context` is the candidate's. `known` is the original's ``torchscript`` object: without it only a candidate that
    scripts counts as better.
    """
    before = Session(original, context)
    try:
        weights = before.pristine.state_dict()
        reason = _same_weights(weights, Session(candidate, context).pristine.state_dict())
        after = Session(candidate, context, None if reason else weights)
        reason = reason or sameness.difference(before, after)
    except sameness.NotCompared as error:
        return {"ok": False, "reason": str(error), "torchscript": None, "compared": False}
    except Exception as error:
        return {"ok": False, "reason": f"the changed module does not run: {one_line(error)}", "torchscript": None}
    if reason:
        return {"ok": False, "reason": reason, "torchscript": None}
    found = examination.examined(after, tracing=False)
    reason = _better(known, found["script"])
    return {"ok": not reason, "reason": reason, "torchscript": found}


def _same_weights(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Empty if both have weights of the same names and shapes."""
    for name, value in before.items():
        if name not in after:
            return f"the change loses the weight `{name}`: a checkpoint would no longer load"
        if getattr(after[name], "shape", None) != getattr(value, "shape", None):
            return f"the change gives `{name}` another shape: a checkpoint would no longer load"
    new = [name for name in after if name not in before]
    return f"the change adds the weight `{new[0]}`: a checkpoint would no longer load" if new else ""


def _better(known: Mapping[str, Any] | None, found: Mapping[str, Any]) -> str:
    """Empty if fewer things are wrong than before and nothing new is."""
    failures = found.get("failures", ())
    now = identities(failures)
    messages = {identity(item): item["message"] for item in failures}
    if found["ok"] and not now:
        return ""
    if known is None:
        return f"the changed module still does not script: {next(iter(messages.values()), 'torch gives no reason')}"
    was = identities((known.get("script") or {}).get("failures", ()))
    new = now - was
    if new:
        return f"the change brings a new failure: {messages[next(iter(new))]}"
    if sum(now.values()) >= sum(was.values()):
        return f"the change takes no failure away: {next(iter(messages.values()), '')}"
    return ""
