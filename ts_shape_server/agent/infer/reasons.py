"""Why nothing was found, as the contract's `reason`: a mismatch that no input mends, a package, time, or what would
help. Decides by kinds and facts, and says it in a sentence for the author.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.clock import TimeLimit, time_limit
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer import building, contract, mismatch, search, values
from ts_shape_server.agent.infer.session import Session, innermost_line
from ts_shape_server.agent.standins import StandInUsed

SYMBOLIC_SECONDS = 6.0


@dataclass(frozen=True)
class Unsolved:
    """Why no input or no constructor was found."""

    status: str
    reason: dict[str, Any]
    init: dict[str, Any]
    error: BaseException | None = None
    notes: tuple[str, ...] = ()


def init_of(plan: Mapping[str, str], sources: Mapping[str, str], namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The contract's object for a plan, each expression such that the file's own `namespace` understands it."""
    return {
        "args": {
            name: {"expr": standing_alone(text, namespace), "from": sources.get(name, "guess")}
            for name, text in plan.items()
        }
    }


def standing_alone(expression: str, namespace: Mapping[str, Any]) -> str:
    """An expression over `torch` and `nn` for a file that may not import them by these names."""
    for name, spelled in (("nn", "__import__('torch').nn"), ("torch", "__import__('torch')")):
        if name not in namespace:
            expression = re.sub(rf"(?<![\w.'\"]){name}\.", f"{spelled}.", expression)
    return expression


def not_built(built: building.NotBuilt, context: Context, sources: Mapping[str, str]) -> Unsolved:
    line = innermost_line(built.error, context.path)
    message = (
        f"No constructor arguments were found: {contract.one_line(built.error)}. "
        "Give them in a comment above the class: `# ts-shape: init(name=value)`."
    )
    if isinstance(built.error, StandInUsed):
        # No arguments would help: what the constructor makes is not on this machine.
        message = f"It cannot be built here: {built.error}."
    place = mismatch.call_place(context.source, line, "") if line else None
    reason = contract.failure("no-constructor", message, context.path, place, contract.one_line(built.error))
    told = {**reason, "complaints": _complaints(built.error)}
    return Unsolved("unresolved", told, init_of(built.plan, sources, context.namespace), built.error)


def _complaints(error: BaseException) -> list[dict[str, Any]]:
    """What is known of the error's text, in the form of the contract."""
    return [
        {
            "kind": item.kind,
            "facts": {name: list(fact) if isinstance(fact, tuple) else fact for name, fact in item.facts.items()},
        }
        for item in torch_says.read(error)
    ]


def not_found(session: Session, result: search.NotFound, context: Context) -> Unsolved:
    """`failed` where two fixed sizes disagree, else `unresolved` with what would help."""
    wrong = _mismatch(session, result, context)
    error = result.outcome.error or RuntimeError("no attempt was made")
    if wrong is not None:
        layer = f"`{wrong.layer}`" if wrong.layer else "this call"
        producer = f"`{wrong.producer}` gives" if wrong.producer else "what arrives has"
        message = (
            f"{layer} takes {wrong.wanted} features or channels, but {producer} {wrong.got}: no input can make it run."
        )
        related = _layer_places(session, wrong, context)
        reason = contract.failure(
            "shape-mismatch", message, context.path, wrong.place, contract.one_line(error), related
        )
        reason["sizes"] = wrong.sizes()
        reason["complaints"] = _complaints(error)
        return Unsolved("failed", reason, {"args": {}}, error)
    if isinstance(error, StandInUsed):
        line = innermost_line(error, context.path)
        place = mismatch.call_place(context.source, line, "") if line else None
        message = f"`forward` cannot run here: {error}. Install it where the probes run."
        return Unsolved(
            "unresolved", contract.failure("missing-package", message, context.path, place), {"args": {}}, error
        )
    if isinstance(error, search.TooSlow):
        return _too_slow(error, context)
    names = ", ".join(item.name for item in result.inputs) or "x"
    line = innermost_line(error, context.path)
    message = (
        f"No input was found: the best of {result.attempts} attempts failed"
        f"{f' in line {line}' if line else ''} with {contract.one_line(error)}. "
        f"Say what goes in, in a comment above the class: `# ts-shape: {names.split(', ')[0]}=(B, 3, 224, 224)`."
    )
    place = mismatch.call_place(context.source, line, "") if line else None
    reason = contract.failure("no-input", message, context.path, place, contract.one_line(error))
    reason["complaints"] = _complaints(error)
    return Unsolved("unresolved", reason, {"args": {}}, error)


def _too_slow(error: search.TooSlow, context: Context) -> Unsolved:
    line = innermost_line(error, context.path)
    message = (
        f"The run was ended{f' in line {line}' if line else ''}: {error}. A `forward` that works this long, or for "
        "ever, cannot be probed; raise `timeoutMs` if it needs the time."
    )
    place = mismatch.call_place(context.source, line, "") if line else None
    reason = contract.failure("timeout", message, context.path, place, contract.one_line(error))
    return Unsolved("timeout", reason, {"args": {}}, error)


def _mismatch(session: Session, result: search.NotFound, context: Context) -> mismatch.Mismatch | None:
    if session.real_only or not result.inputs or not values.sizes(result.inputs):
        return None
    error = result.outcome.error
    if error is None or mismatch.sizes_that_disagree(error) is None:
        return None
    watched = mismatch.FailingLayer(session.module)
    try:
        with time_limit(SYMBOLIC_SECONDS):
            outcome = session.symbolic(result.inputs, [watched])
    except TimeLimit:
        return None
    if outcome.error is None:
        return None
    return mismatch.find(outcome.error, watched, context.path, context.source)


def _layer_places(session: Session, wrong: mismatch.Mismatch, context: Context) -> list[dict[str, Any]]:
    lines = contract.layer_lines(session.cls)
    texts = context.source.splitlines()
    places = []
    for name in (wrong.layer, wrong.producer):
        line = lines.get(name)
        if line is not None and line <= len(texts):
            text = texts[line - 1]
            keys = ("line", "column", "end_line", "end_column")
            span = (line, len(text) - len(text.lstrip()), line, len(text.rstrip()))
            places.append({"path": context.path, "range": dict(zip(keys, span)), "message": f"`{name}` is made here."})
    return places
