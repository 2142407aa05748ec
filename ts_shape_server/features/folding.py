"""Which layers of a report are shown: down to a depth at which they fit on a screen, the others counted.

A wrapper around an encoder of twelve layers shows its own layers and the parts of the encoder; what is inside of those
is in the JSON and at the end of the report's page. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ts_shape_server.contract.report import Layer

ROWS = 20
"""Layers that are shown, if there is a depth with no more; those of the class itself are shown up to `MOST`."""
MOST = 80


@dataclass(frozen=True)
class Folded:
    """The layers that are shown, and how many are left out."""

    shown: tuple[Layer, ...]
    inside: int


def folded(layers: Sequence[Layer]) -> Folded:
    """The layers of a report down to the greatest depth at which there are few enough."""
    depths = sorted({_depth(item) for item in layers})
    fitting = [depth for depth in depths if sum(_depth(item) <= depth for item in layers) <= ROWS]
    most = fitting[-1] if fitting else min(depths, default=0)
    shown = tuple(item for item in layers if _depth(item) <= most)[:MOST]
    return Folded(shown, len(layers) - len(shown))


def _depth(layer: Layer) -> int:
    return layer.name.count(".")
