"""Ends a run early that will not be done in its time, told by how far it came in the first part of that.

Symbolic runs of deep nets take a fraction of a second or minutes; those that take minutes leave nothing behind, so
what they take is lost to the runs on numbers that come after them. Knows nothing of what a run is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.overrides import TorchFunctionMode

from ts_shape_server.agent.clock import TimeLimit, now
from ts_shape_server.agent.infer.running.call_names import QUESTIONS

LOOK_EVERY = 16
FIRST_LOOK = 0.2
"""Part of the time after which a run is judged for the first time: the first calls are slower than the rest."""
HOPELESS = 2.0
"""So many times as long as it may take is what a run would have to take by now to be ended."""


class Pace(TorchFunctionMode):
    """Raises `TimeLimit` in a run that comes through its `steps` much too slowly for `seconds` of work.

    Steps are what `Outcome` counts: the torch calls that do more than ask.
    """

    def __init__(self, steps: int, seconds: float) -> None:
        super().__init__()
        self._steps = steps
        self._seconds = seconds
        self._seen = 0
        self._began = 0.0

    def __enter__(self) -> Any:
        self._seen, self._began = 0, now()
        return super().__enter__()  # type: ignore[no-untyped-call]  # torch has no types for it

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        arguments: Sequence[Any] = (),
        keywords: Mapping[str, Any] | None = None,
    ) -> Any:
        if getattr(function, "__name__", "") not in QUESTIONS:
            self._seen += 1
            if self._seen % LOOK_EVERY == 0:
                self._judge()
        return function(*arguments, **(keywords or {}))

    def _judge(self) -> None:
        passed = now() - self._began
        if passed > FIRST_LOOK * self._seconds and passed * self._steps > HOPELESS * self._seconds * self._seen:
            raise TimeLimit
