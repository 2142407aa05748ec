"""What speaks against a find, in the order of how grave it is. It judges nothing: `choice` counts, and compares."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Doubts:
    """What speaks against a find, compared field by field; all zero where nothing does."""

    misused: int
    """Calls of layers with one item instead of a batch, and of functions that spread a tensor over a table's dims."""
    rows: int
    """Whether the output has other rows than the input when the batch grows."""
    asked: int
    """Sizes that `forward` asks for by their place, and that cannot be changed."""
    fixed: int
    """Sizes that cannot be changed."""
    uneven: int
    """Pairs of fixed sizes of which only the product matters and that are not equal."""
    raised: int = 0
    """Dims that tensors which come from inputs get of each other."""
    ones: int = 0
    """Sizes of one that can be others."""

    @property
    def is_grave(self) -> bool:
        """Whether they speak against a find by themselves, and not only beside another find."""
        return any((self.misused, self.rows, self.asked, self.uneven))

    @property
    def word(self) -> str:
        """The gravest, by the name of its field."""
        return next((name for name in self.__dataclass_fields__ if getattr(self, name)), "")
