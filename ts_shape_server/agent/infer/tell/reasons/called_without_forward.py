"""A module is called that has no `forward`, which no input mends: a `ModuleList`, or the next base of the class."""

from __future__ import annotations

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.infer.tell.reasons.unsolved import Place, Unfound, Unsolved, unsolved
from ts_shape_server.contract.report import failure

_HELD = {
    "ModuleList": "it only holds layers: call them one by one in a loop, or make it an `nn.Sequential`",
    "ModuleDict": "it only holds layers: call the one that is meant by its key, or all of them in a loop",
}


def reason(unfound: Unfound) -> Unsolved | None:
    called = torch_says.read(unfound.error).get("forward-missing")
    if called is None:
        return None
    kind = called.name("name")
    if kind == unfound.session.cls.__name__:
        # The class has a `forward`, which asks the next class for its own: that of `nn.Module` is none.
        message = "`forward` calls that of the next base, and there is none: a subclass with another base is what runs."
        return Unsolved("skipped", failure("abstract", message, "", None, kind="class-abstract"))
    place = unfound.place()
    text = "A module" if place is None else f"`{_called_text(unfound.context.source, place)}`"
    why = _HELD.get(kind, "give it one, or call the method that is meant")
    message = f"{text} is a `{kind}`, which has no `forward`: {why}."
    named = "no-input", "called-without-forward"
    return unsolved(unfound.context, unfound.error, *named, message, place=place, facts={"type": kind})


def _called_text(source: str, place: Place) -> str:
    """What is called in the line of a place, up to its arguments."""
    first, start, last, end = place
    text = source.splitlines()[first - 1][start : end if first == last else None]
    return text.split("(")[0].strip() or text
