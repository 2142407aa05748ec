"""e3nn: what a module takes has as many features as its irreps have dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ts_shape_server.agent.ecosystem import Asked
from ts_shape_server.agent.infer.guesses.values import Guess, TensorGuess

BATCH = 2
_IRREPS = {"x": ("irreps_in1", "irreps_in"), "x1": ("irreps_in1",), "y": ("irreps_in2",), "x2": ("irreps_in2",)}
"""For the name of a parameter, the attributes that may say of what it is."""
_FIRST = ("irreps_in1", "irreps_in")


def container(asked: Asked, namespace: Mapping[str, Any]) -> Guess | None:
    for item in asked.passed:
        if not any(base.__module__.startswith("e3nn.") for base in type(item.target).__mro__):
            continue
        names = _IRREPS.get(item.parameter, _FIRST if item.parameter in ("features", "input", "inputs") else ())
        irreps: Any = next((getattr(item.target, name) for name in names if hasattr(item.target, name)), None)
        if hasattr(irreps, "dim"):
            return TensorGuess((BATCH, int(irreps.dim)), axes=("B", None))
    return None
