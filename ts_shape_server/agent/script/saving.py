"""Whether a script is the module once it is saved: written here, loaded in another process, and compared there.

What is told: calls of functions that stay Python, such as those of a `torch.autograd.Function`; empty classes, which
torch writes so that it cannot read them; operations that the source registers, which no other process has; results that
differ once loaded. Why it is told: a script is made to be saved. Modules whose weights take more than `LARGEST` bytes
are not tried, since saving writes them all. Knows nothing of exports.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch._jit_internal import FunctionModifiers

from ts_shape_server.agent import shares
from ts_shape_server.agent.compare import compare
from ts_shape_server.agent.script import archive, locate
from ts_shape_server.agent.script.finding import finding, first_line
from ts_shape_server.agent.script.problem import RefusalSearch
from ts_shape_server.agent.script.session import ScriptSession
from ts_shape_server.agent.torch_says import compiler as torch_says
from ts_shape_server.agent.torch_says.rows import Complaint
from ts_shape_server.contract.jobs import VerifyAnswer
from ts_shape_server.contract.places import Location
from ts_shape_server.contract.report import ArchiveState, Failure

LARGEST = 64 << 20
_IGNORED = FunctionModifiers.IGNORE


@dataclass(frozen=True)
class WrittenScript:
    """The bytes of a script; without them the `error` of torch, or the `state` that says why it was not tried.

    `called`: the script has a `forward`, an overloaded one has none.
    """

    data: bytes = b""
    error: Exception | None = None
    state: ArchiveState = ""
    called: bool = True


def saved(session: ScriptSession, scripted: Any) -> WrittenScript:
    """A script as it is saved. Ask before it runs: what calls leave in its buffers would be saved too."""
    weights = (*scripted.parameters(), *scripted.buffers())
    if session.heavy or sum(item.numel() * item.element_size() for item in weights) > LARGEST:
        return WrittenScript(state="large")
    jit: Any = torch.jit
    file = io.BytesIO()
    try:
        with warnings.catch_warnings():
            # torch 2.13 says at each call that TorchScript is deprecated.
            warnings.simplefilter("ignore")
            jit.save(scripted, file)
    except Exception as error:
        return WrittenScript(error=error)
    return WrittenScript(file.getvalue(), called=hasattr(scripted, "forward"))


def proven(
    session: ScriptSession, search: RefusalSearch, written: WrittenScript, name: Location
) -> tuple[Failure | None, ArchiveState]:
    """What speaks against a saved script, at the call if torch names one, or else what became of it. A method that its
    author has left to Python with `@torch.jit.ignore` does not speak against it.
    """
    error = written.error
    if error is not None:
        said = torch_says.complaint(str(error), "python-call")
        if said is not None and _is_left_to_python(session.pristine, said.name("name")):
            return None, "left-to-python"
        return _told(error, said, search, name, _empty_object(session.pristine)), ""
    if not written.data:
        return None, written.state
    answer, state = loaded(session, written)
    if answer.ok:
        return None, state
    if not answer.loaded:
        return _told(RuntimeError(answer.reason), None, search, name, _empty_object(session.pristine)), ""
    message = f"it scripts, and is another module once it is saved and loaded: {answer.reason}"
    return finding("script-trap", "differs-once-loaded", message, name, facts={"where": "another process"}), ""


def loaded(session: ScriptSession, written: WrittenScript) -> tuple[VerifyAnswer, ArchiveState]:
    """What another process says of a saved script, and what is proven by that where it says nothing against it."""
    ask = session.context.elsewhere
    if ask is None:
        return _loaded_here(written.data), "no-process"
    file = io.BytesIO()
    try:
        calls = _calls(session) if written.called else []
        archive.save_calls(calls, file)
    except Exception:
        # What goes in or comes out is nothing that can be written.
        return VerifyAnswer(True), "objects"
    answer = ask(written.data, file.getvalue(), shares.ELSEWHERE.of(session.context.remaining()))
    if answer is None:
        return VerifyAnswer(True), "no-process"
    if not answer.compared or (not answer.ok and answer.loaded and not _repeats(session)):
        return replace(answer, ok=True), "not-compared"
    return answer, "agrees" if calls else "objects" if written.called else "no-forward"


def _loaded_here(data: bytes) -> VerifyAnswer:
    jit: Any = torch.jit
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            jit.load(io.BytesIO(data), map_location="cpu")
    except Exception as error:
        return VerifyAnswer(False, first_line(error)[:200], loaded=False)
    return VerifyAnswer(True)


def _calls(session: ScriptSession) -> list[dict[str, Any]]:
    """The calls of the session with what eager gives, for a process without its source; none if they hold objects that
    only the source makes.
    """
    calls = []
    for second in session.sizes():
        try:
            arguments, keywords = session.run.arguments(second)
            random = torch.get_rng_state()
            expected = session.eager(second)
        except Exception:
            continue
        if not archive.is_plain((arguments, keywords, expected)):
            return []
        calls.append({"args": arguments, "kwargs": keywords, "expected": expected, "random": random})
    return calls


def _repeats(session: ScriptSession) -> bool:
    """Whether eager agrees with itself on every size: else a difference means nothing."""
    return all(
        compare(session.eager(second), session.call(session.fresh(), second)).agree for second in session.sizes()
    )


def _is_left_to_python(module: nn.Module, name: str) -> bool:
    """Whether a part of the module has a method of that name that its author marked with `@torch.jit.ignore`."""
    methods = (getattr(type(part), name, None) for part in module.modules())
    return any(getattr(method, "_torchscript_modifier", None) is _IGNORED for method in methods)


def _empty_object(module: nn.Module) -> dict[str, str]:
    """The first attribute with an object that has no attributes of its own, and the class that holds it; else none."""
    for part in module.modules():
        for attribute, value in vars(part).items():
            kind = type(value)
            own = kind.__module__.split(".")[0] not in ("builtins", "torch", "enum", "collections")
            kept = attribute not in getattr(part, "__jit_ignored_attributes__", ())
            if kept and own and getattr(value, "__dict__", None) == {} and not callable(value):
                return {"owner": type(part).__name__, "attribute": attribute, "type": kind.__name__}
    return {}


def _told(
    error: Exception, said: Complaint | None, search: RefusalSearch, name: Location, empty: dict[str, str]
) -> Failure:
    place = next((item for item in locate.read(str(error)).places if search.users(item.path)), None)
    location = locate.location(place) if place is not None else name
    if said is None and empty:
        facts = empty
        reason = (
            f"`self.{empty['attribute']}` of `{empty['owner']}` is a `{empty['type']}`, an object without attributes "
            "of its own, and torch cannot read back what it writes of one"
        )
    elif said is None:
        reason, facts = first_line(error)[:200], {}
    else:
        called = said.name("name")
        facts = {"function": called}
        reason = f"`{called}` stays a function of Python: write its formula here, or export a trace"
    return finding(
        "script-trap",
        "cannot-be-saved",
        f"it scripts, and cannot be saved: {reason}",
        location,
        str(error),
        facts=facts,
    )
