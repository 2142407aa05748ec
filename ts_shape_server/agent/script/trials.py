"""Tries a changed source beside the original: is TorchScript happier, and is the result the same.

A change counts only if nothing got worse: the weights keep their names, eager gives the same (`sameness`), no new
refusal came, and what scripts agrees with eager.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.compare import compare
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.runs import Run
from ts_shape_server.agent.script import examination, other_settings, sameness, saving
from ts_shape_server.agent.script.finding import identities
from ts_shape_server.agent.script.session import ScriptSession
from ts_shape_server.contract.jobs import TrialAnswer
from ts_shape_server.contract.report import ScriptAttempt, TorchScript


def trial(original: Run, candidate: Run, context: Context, known: TorchScript | None = None) -> TrialAnswer:
    """`reason` is empty if the candidate is better; ``torchscript`` says nothing of tracing.

    `context` is the candidate's. `known` is the original's state: without it only a candidate that scripts counts as
    better.
    """
    before = ScriptSession(original, context)
    try:
        weights = before.pristine.state_dict()
        reason = _same_weights(weights, ScriptSession(candidate, context).pristine.state_dict())
        after = ScriptSession(candidate, context, None if reason else weights)
        reason = reason or sameness.difference(before, after)
    except sameness.NotCompared as error:
        return TrialAnswer(False, str(error), compared=False)
    except Exception as error:
        return TrialAnswer(False, f"the changed module does not run: {torch_says.one_line(error)}")
    if reason:
        return TrialAnswer(False, reason)
    found = examination.examined(after, tracing=False)
    reason = _better(known, found.script)
    reason = reason or _under_other_settings(original, candidate, context, found.script.ok is True)
    return TrialAnswer(not reason, reason, found)


def _under_other_settings(original: Run, candidate: Run, context: Context, scripts: bool) -> str:
    """Empty if the change keeps what the class computes under every other setting with which it runs: a branch that the
    run did not take is live. If it `scripts` now, the scripts under these settings compute the same too.
    """
    for setting in other_settings.others(original):
        before = ScriptSession(setting.of(original), context)
        after = ScriptSession(setting.of(candidate), context)
        try:
            weights = before.pristine.state_dict()
            before.eager()
        except Exception:
            # The class cannot be built or run so.
            continue
        try:
            reason = _same_weights(weights, after.pristine.state_dict())
            after = ScriptSession(setting.of(candidate), context, None if reason else weights)
            reason = reason or sameness.difference(before, after)
            reason = reason or (_script_differs(before, after) if scripts else "")
        except sameness.NotCompared:
            continue
        except Exception as error:
            reason = f"the changed module does not run: {torch_says.one_line(error)}"
        if reason:
            return f"{reason}, {setting.words}"
    return ""


def _script_differs(before: ScriptSession, after: ScriptSession) -> str:
    """Empty unless the script of a changed class differs from eager, or is lost, and that of the original did not."""
    made = _scripted(after)
    if made == "":
        return ""
    was = _scripted(before)
    if made is None:
        return "the change brings a class that does not script" if was == "" else ""
    return "" if was else made


def _scripted(session: ScriptSession) -> str | None:
    """None if a class does not script; else how its script differs from eager, empty if it does not."""
    jit: Any = torch.jit
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = jit.script(session.fresh())
        except Exception:
            return None
        written = saving.saved(session, made)
        try:
            with jit.optimized_execution(False):
                reason = compare(session.eager(), session.call(made)).reason
        except Exception as error:
            return f"the script raises {torch_says.one_line(error)}"
        if reason or not written.data:
            return reason
        answer, _ = saving.loaded(session, written)
        return "" if answer.ok else answer.reason


def _same_weights(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Empty if both have weights of the same names and shapes."""
    for name, value in before.items():
        if name not in after:
            return f"the change loses the weight `{name}`: a checkpoint would no longer load"
        if getattr(after[name], "shape", None) != getattr(value, "shape", None):
            return f"the change gives `{name}` another shape: a checkpoint would no longer load"
    new = [name for name in after if name not in before]
    return f"the change adds the weight `{new[0]}`: a checkpoint would no longer load" if new else ""


def _better(known: TorchScript | None, found: ScriptAttempt) -> str:
    """Empty if fewer things are wrong than before and nothing new is."""
    now = identities(found.failures)
    messages = {item.identity: item.message for item in found.failures}
    if found.ok and not now:
        return ""
    if known is None:
        return f"the changed module still does not script: {next(iter(messages.values()), 'torch gives no reason')}"
    was = identities(known.script.failures)
    new = now - was
    if new:
        return f"the change brings a new failure: {messages[next(iter(new))]}"
    if sum(now.values()) >= sum(was.values()):
        return f"the change takes no failure away: {next(iter(messages.values()), '')}"
    return ""
