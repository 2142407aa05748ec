"""Numbers that a run draws from Python's or numpy's own generators: whether it does, and in which expression.

A trace cannot draw them again. Knows nothing of traces.
"""

from __future__ import annotations

import contextlib
import functools
import random
import sys
from collections.abc import Callable, Iterator
from types import FrameType, ModuleType
from typing import Any

from ts_shape_server.agent.script import locate
from ts_shape_server.agent.script.locate import MarkedPlace
from ts_shape_server.agent.script.observe import innermost

_NO_DRAW = ("seed", "getstate", "setstate", "get_state", "set_state")


def state() -> tuple[object, ...]:
    """What the generators would give next: equal as long as nobody draws."""
    numpy: Any = sys.modules.get("numpy.random")
    if numpy is None:
        return (random.getstate(),)
    kind, keys, *rest = numpy.get_state()
    return (random.getstate(), kind, keys.tobytes(), *rest)


def draws(call: Callable[[], Any]) -> list[MarkedPlace]:
    """The user's expressions that draw while `call` runs, in order. Raises what it raises."""
    found: dict[MarkedPlace, None] = {}

    def note(frame: FrameType | None) -> None:
        steps: list[FrameType] = []
        while frame is not None:
            steps.append(frame)
            frame = frame.f_back
        drawing = innermost(steps, lambda item: item.f_code.co_filename)
        if drawing is not None:
            found[locate.expression(drawing.f_code, drawing.f_lasti, drawing.f_lineno)] = None

    with contextlib.ExitStack() as stack:
        for module in (random, sys.modules.get("numpy.random")):
            if module is not None:
                stack.enter_context(_noting(module, note))
        call()
    return list(found)


@contextlib.contextmanager
def _noting(module: ModuleType, note: Callable[[Any], None]) -> Iterator[None]:
    """The functions of a module that are methods of its own generator, noting who calls them."""
    generators = tuple(vars(module)[name] for name in ("Random", "RandomState") if name in vars(module))
    originals = {
        name: item
        for name, item in vars(module).items()
        if not name.startswith("_") and name not in _NO_DRAW and isinstance(getattr(item, "__self__", None), generators)
    }

    def watched(function: Any) -> Any:
        @functools.wraps(function)
        def watching(*arguments: Any, **keywords: Any) -> Any:
            note(sys._getframe(1))
            return function(*arguments, **keywords)

        return watching

    vars(module).update({name: watched(item) for name, item in originals.items()})
    try:
        yield
    finally:
        vars(module).update(originals)
