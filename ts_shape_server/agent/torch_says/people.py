"""Messages as their reader should see them: without the names of what stands in for his values during a probe."""

from __future__ import annotations

import re
import traceback

_INSTEAD: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"'(?:types\.)?SimpleNamespace' object"), "the argument that was guessed"),
    (re.compile(r"\b(?:types\.)?SimpleNamespace\b"), "object"),
    (re.compile(r"\b(?:ts_shape_server\.)?agent\.standins\.Inert\b"), "a part of a package that is not installed"),
    (re.compile(r"'Inert' object|\bInert\b"), "a part of a package that is not installed"),
    (re.compile(r"\bMeta(\w+?)Type\b"), r"torch.\1Tensor"),
    (re.compile(r"\b(?:torch\._subclasses\.fake_tensor\.)?Fake(Tensor|Parameter)\b"), r"\1"),
    (
        re.compile(
            r"Attempting to broadcast a dimension of length \d+ at -?\d+! Mismatching argument at index \d+ had "
            r"torch\.Size\(\[([^\]]*)\]\); but expected shape should be broadcastable to \[([^\]]*)\]"
        ),
        r"tensors of the sizes (\1) and (\2) cannot be broadcast together",
    ),
    (re.compile(r"\s*\(Could this error message be improved\?.*", re.DOTALL), ""),
    (re.compile(r" at 0x[0-9a-f]{6,}"), ""),
)


def for_people(text: str) -> str:
    """A message in the words of the module's author."""
    for pattern, instead in _INSTEAD:
        text = pattern.sub(instead, text)
    return text


def one_line(error: BaseException) -> str:
    """The first line of an error's text, at most 200 characters; the type's name where it has none."""
    try:
        text = for_people(str(error).strip())
    except Exception:
        text = ""
    first = text.splitlines()[0] if text else ""
    if not first and isinstance(error, AssertionError):
        first = _raising_line(error)
    return f"{type(error).__name__}: {first}"[:300] if first else type(error).__name__


def _raising_line(error: BaseException) -> str:
    """The line of code that raised it, in quotes: all that an assertion without words says."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"`{frames[-1].line}`" if frames and frames[-1].line else ""


def clause(error: BaseException) -> str:
    """The first line of an error as a part of a sentence, which ends with a full stop of its own."""
    return one_line(error).rstrip(". ")
