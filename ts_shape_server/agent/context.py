"""What a job in the child knows of its surroundings: the loaded file, its source, the time that is left.

Plain data: it decides nothing, and knows neither torch nor the sandbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, Optional

from ts_shape_server.agent import clock
from ts_shape_server.contract.asked import STAGES, Stage
from ts_shape_server.contract.jobs import VerifyAnswer

Elsewhere = Callable[[bytes, bytes, float], Optional[VerifyAnswer]]
"""Has another process verify an archive with its calls, in so many seconds of its work; None if it has ended."""


@dataclass(frozen=True)
class Context:
    """`namespace` is the loaded module's own; `deadline` is a value of `clock.now()`. `written`: the source is a file
    of the user's, who can be told to write a comment into it. `elsewhere` has another process load an archive; None
    where there is none.
    """

    path: str
    root: str
    source: str
    namespace: Mapping[str, Any]
    deadline: float
    stubbed: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = STAGES
    written: bool = True
    elsewhere: Elsewhere | None = None

    def remaining(self) -> float:
        """Seconds of work until the deadline, never below zero."""
        return max(0.0, self.deadline - clock.now())
