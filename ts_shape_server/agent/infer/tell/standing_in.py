"""Which sizes hang on a module that nobody gives: `nn.Identity()` stands in its place, and another one may make others.

The class is built again with modules there that make an axis longer than it came, the batch left alone. A size that
follows is told as unknown; one that cannot follow, since what comes after takes no other, is the class's own.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from ts_shape_server.agent.infer.constructor.argument_modules import PASSING
from ts_shape_server.agent.infer.constructor.moves.plans import IDENTITY
from ts_shape_server.agent.infer.inputs import search
from ts_shape_server.agent.infer.running import instances, shots
from ts_shape_server.agent.infer.running.session import Session
from ts_shape_server.agent.infer.tell.spelling import UNKNOWN

LONGER = (
    "type('Longer', (nn.Module,), {{'forward': lambda self, *inputs, **named: torch.cat([inputs[0]] * 2, {axis})}})()"
)
AXES = (1, 2, 3, -1)


def names(plan: Mapping[str, str], sources: Mapping[str, str]) -> tuple[str, ...]:
    """The arguments for which a module stands that passes on what it gets."""
    return tuple(
        name for name, text in plan.items() if text in (IDENTITY, PASSING) and sources.get(name, "guess") == "guess"
    )


def without_theirs(
    told: shots.Shot,
    first: shots.Shot,
    cls: type[nn.Module],
    plan: Mapping[str, str],
    names: Sequence[str],
    session: Session,
    found: search.Found,
    path: str,
    lines: range,
) -> tuple[shots.Shot, str]:
    """`told` with the sizes that hang on those arguments as unknown, and a sentence on it; none where none does."""
    runs = [first]
    for axis in AXES:
        changed = {**plan, **dict.fromkeys(names, LONGER.format(axis=axis))}
        try:
            other = instances.build(cls, changed, session.namespace, not session.real_only)
        except Exception:
            continue
        _, shot = shots.take(functools.partial(other.concrete, found.inputs), other.module, path, lines)
        runs += [] if shot is None else [shot]
    seen = False

    def spell(size: Any, after: Sequence[Any]) -> Any:
        nonlocal seen
        if any(item != after[0] for item in after[1:]):
            seen = True
            return UNKNOWN
        return size

    result = shots.spelled(told, runs, spell)
    listed = " and ".join(f"`{name}`" for name in names)
    note = (
        f"Nobody gives {listed}: a module that passes on what it gets stands there, and what another one takes and "
        "makes is not known."
    )
    return result, note if seen else ""
