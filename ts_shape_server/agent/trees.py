"""Nested values, walked from left to right: lists, tuples and dicts, and the fields of dataclasses where asked.

The one walker of what functions take and give. Knows nothing of what the values are for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch

DEPTH = 100
"""Containers inside of containers; deeper ones are taken whole, as is a list that holds itself."""


def leaves(value: Any, depth: int = DEPTH, fields: bool = False) -> Iterator[Any]:
    """The parts that are no containers; with `fields`, a dataclass is a container too."""
    if depth and isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item, depth - 1, fields)
    elif depth and isinstance(value, dict):
        for item in value.values():
            yield from leaves(item, depth - 1, fields)
    elif depth and fields and dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from leaves(getattr(value, field.name), depth - 1, fields)
    else:
        yield value


def tensors(value: Any, depth: int = DEPTH, fields: bool = False) -> Iterator[torch.Tensor]:
    """The tensors among them."""
    return (item for item in leaves(value, depth, fields) if isinstance(item, torch.Tensor))
