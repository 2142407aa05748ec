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
    """Dims that move together. `maximum` None: no bound was met. `members` are places in the sizes.

    Values are `remainder` more than multiples of `multiple_of`.
    """

    members: tuple[int, ...]
    minimum: int
    maximum: int | None
    multiple_of: int
    remainder: int = 0

    def aligned(self, value: int) -> int:
        """The largest value in the steps that is not above this one."""
        return value - (value - self.remainder) % self.multiple_of

    def has(self, value: int) -> bool:
        """Whether the dims may have this size."""
        within = value >= self.minimum and (self.maximum is None or value <= self.maximum)
        return within and value % self.multiple_of == self.remainder


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
            if any(sizes[member] != value for member in item.members) or not item.has(value):
                return False
        return all(condition.holds(sizes) for condition in self.conditions)


def with_value(sizes: Sizes, members: Sequence[int], value: int) -> Sizes:
    """`sizes` with `value` at these places."""
    return tuple(value if slot in members else size for slot, size in enumerate(sizes))
