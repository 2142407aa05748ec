"""What a job in the child knows of its surroundings: the loaded file, its source, the time that is left.

Plain data: it decides nothing, and knows neither torch nor the sandbox.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Context:
    """`namespace` is the loaded module's own; `deadline` is a `time.monotonic()` value in seconds."""

    path: str
    root: str
    source: str
    namespace: Mapping[str, Any]
    deadline: float
    stubbed: tuple[str, ...] = ()
    stages: tuple[str, ...] = field(default=("example", "symbols", "script"))

    def remaining(self) -> float:
        """Seconds until the deadline, never below zero."""
        return max(0.0, self.deadline - time.monotonic())
