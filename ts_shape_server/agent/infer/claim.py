"""What a module accepts, as data: free dims with their ranges and steps, and the conditions between them.

Knows nothing of how a claim is found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Condition:
    """A guard that must hold, compiled over all sizes. `slots` are the places of its symbols."""

    expression: Any
    slots: tuple[int, ...]
    holds: Callable[[Sequence[int]], bool]


@dataclass(frozen=True)
class Free:
    """Dims that move together. `maximum` None: no bound was met. `members` are places in the sizes."""

    members: tuple[int, ...]
    minimum: int
    maximum: int | None
    multiple_of: int


@dataclass(frozen=True)
class Claim:
    """What the module accepts around `base`: every place is in one of `free`, or has its base value."""

    base: Sizes
    free: tuple[Free, ...]
    conditions: tuple[Condition, ...]
    second: Sizes | None

    def allows(self, sizes: Sizes) -> bool:
        """Whether the claim covers these sizes."""
        covered = {member for item in self.free for member in item.members}
        if any(sizes[slot] != self.base[slot] for slot in range(len(sizes)) if slot not in covered):
            return False
        for item in self.free:
            value = sizes[item.members[0]]
            if any(sizes[member] != value for member in item.members) or value < item.minimum:
                return False
            if value % item.multiple_of or (item.maximum is not None and value > item.maximum):
                return False
        return all(condition.holds(sizes) for condition in self.conditions)
