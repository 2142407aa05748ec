"""The constructor's arguments as the report's `init`: expressions that stand alone, each with where it comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ts_shape_server.contract.report import Argument


def init_of(
    plan: Mapping[str, str], sources: Mapping[str, str], namespace: Mapping[str, Any]
) -> tuple[tuple[str, Argument], ...]:
    """The arguments of a plan, each expression such that the file's own `namespace` understands it."""
    return tuple(
        (name, Argument(standing_alone(text, namespace), sources.get(name, "guess"))) for name, text in plan.items()
    )


def standing_alone(expression: str, namespace: Mapping[str, Any]) -> str:
    """An expression over `torch` and `nn` for a file that may not import them by these names."""
    for name, spelled in (("nn", "__import__('torch').nn"), ("torch", "__import__('torch')")):
        if name not in namespace:
            expression = re.sub(rf"(?<![\w.'\"]){name}\.", f"{spelled}.", expression)
    return expression
