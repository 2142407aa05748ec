"""The error inside what TorchScript's interpreter says: it puts a page of its own around what an operation raised."""

from __future__ import annotations

import re

_HEAD = "The following operation failed in the TorchScript interpreter"
_RAISED = re.compile(r"^(?:builtins\.|torch\.jit\.)?(\w*(?:Error|Exception)): ", re.MULTILINE)
_TYPES: dict[str, type[Exception]] = {
    item.__name__: item
    for item in (AssertionError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)
}


def inner(error: Exception) -> Exception:
    """What was raised inside, with `error` as its cause; `error` itself if it is no such page. One that fails to say
    what it is, is replaced by one that can.
    """
    try:
        text = str(error)
    except Exception:
        return RuntimeError(f"{type(error).__name__} without a text").with_traceback(error.__traceback__)
    if not text.startswith(_HEAD):
        return error
    found = list(_RAISED.finditer(text))
    if not found:
        return error
    made = _TYPES.get(found[-1].group(1), RuntimeError)(text[found[-1].end() :].strip())
    made.__cause__ = error
    return made.with_traceback(error.__traceback__)


def is_silent(error: BaseException | None) -> bool:
    """Whether the interpreter has kept the text of what was raised to itself, as it does without memory."""
    return error is not None and not str(error) and str(error.__cause__).startswith(_HEAD)
