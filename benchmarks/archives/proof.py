"""Is a difference between an archive and its class the saved module's own? Decided by running both, not by names.

Both are called at sizes that either report allows or just excludes. The difference is the module's own where each
report is right about its own side in every call, and a call shows the two sides apart. Pure: others make the calls.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.parity import claims, draws
from ts_shape_server.contract import schema
from ts_shape_server.contract.report import Report

Call = list[Any]
"""The inputs of one call in their order, each in the contract's nested form."""
Side = Mapping[str, Any]
"""``{"output", "error", "limited"}``: what came of a call, as `parity.trials` has it."""

_OF_VALUES = ("dtype", "largest value")
"""Breaks that change no size."""


def calls(archive: Report, source: Report) -> list[Call]:
    """What to call both sides with. Nothing where a report does not fit together."""
    found: list[Call] = []
    try:
        for report in (archive, source):
            claim = claims.read(schema.write(report))
            found += [list(claim.inputs(draw).values()) for draw in (claim.base, *draws.allowed(claim))]
            found += [list(item.inputs.values()) for item in draws.breaks(claim) if item.kind not in _OF_VALUES]
    except claims.Unreadable:
        return []
    return list({json.dumps(call): call for call in found}.values())


def own_difference(archive: Report, source: Report, made: Sequence[tuple[Call, Mapping[str, Side]]]) -> str:
    """How the archive itself differs from its class, in words; empty where that is not shown.

    `made` has, beside each call, what came of it on the sides ``archive`` and ``class``.
    """
    by_side = {"archive": claims.read(schema.write(archive)), "class": claims.read(schema.write(source))}
    told = [(call, sides) for call, sides in made if not any(side["limited"] for side in sides.values())]
    for call, sides in told:
        if not all(_as_claimed(by_side[name], call, side) for name, side in sides.items()):
            return ""
    return next((words for call, sides in told if (words := _apart(call, sides["archive"], sides["class"]))), "")


def _as_claimed(claim: claims.Claim, call: Call, side: Side) -> bool:
    """Whether the call ran with the claimed outputs where the claim allows it, and failed where it does not."""
    draw = _draw(claim, call)
    if draw is None:
        return side["error"] is not None
    return side["error"] is None and claims.mismatch(claim, side["output"], draw) is None


def _draw(claim: claims.Claim, call: Call) -> claims.Draw | None:
    """The symbols at a call that the claim allows, None for one that it excludes."""
    inputs = dict(zip(claim.example, call, strict=False))
    sizes = {leaf.path: _sizes(inputs, leaf.path) for leaf in claim.leaves}
    met = {
        claimed: size
        for leaf in claim.leaves
        for claimed, size in zip(leaf.claimed, sizes[leaf.path], strict=False)
        if claimed in claim.symbols
    }
    draw: dict[str, claims.Value] = {**claim.base, **{str(name): size for name, size in met.items()}}
    try:
        fits = all(claim.sizes(leaf, draw) == sizes[leaf.path] for leaf in claim.leaves)
    except (claims.Unreadable, ZeroDivisionError):
        return None
    return draw if fits and claim.broken(draw) is None else None


def _sizes(value: Any, path: Sequence[str | int]) -> tuple[int, ...]:
    for part in path:
        inner = next((value[kind] for kind in ("list", "tuple", "dict") if kind in value), value)
        value = inner[part]
    return tuple(value["tensor"])


def _apart(call: Call, archive: Side, source: Side) -> str:
    if archive["error"] is not None and source["error"] is not None:
        return ""
    given = ", ".join(map(_spelled, call))
    if source["error"] is not None:
        return f"it takes {given}, which the class refuses: {source['error']}"
    if archive["error"] is not None:
        return f"it refuses {given}, which the class takes: {archive['error']}"
    if archive["output"] != source["output"]:
        return f"it gives {_spelled(archive['output'])} for {given}, and the class {_spelled(source['output'])}"
    return ""


def _spelled(value: Any) -> str:
    if "tensor" in value:
        return f"Tensor ({', '.join(map(str, value['tensor']))})"
    if "list" in value:
        return f"[{', '.join(map(_spelled, value['list']))}]"
    if "tuple" in value:
        return f"({', '.join(map(_spelled, value['tuple']))})"
    if "dict" in value:
        return f"{{{', '.join(f'{key}: {_spelled(item)}' for key, item in value['dict'].items())}}}"
    return str(value.get("expr", value.get("type")))
