"""Messages as their reader should see them: without the names of what stands in for his values during a probe."""

from __future__ import annotations

import re

_INSTEAD: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"'(?:types\.)?SimpleNamespace' object"), "the argument that was guessed"),
    (re.compile(r"\b(?:types\.)?SimpleNamespace\b"), "object"),
    (re.compile(r"\bMeta(\w+?)Type\b"), r"torch.\1Tensor"),
    (re.compile(r"\b(?:torch\._subclasses\.fake_tensor\.)?Fake(Tensor|Parameter)\b"), r"\1"),
    (re.compile(r"\s*\(Could this error message be improved\?.*", re.DOTALL), ""),
    (re.compile(r" at 0x[0-9a-f]{6,}"), ""),
)


def for_people(text: str) -> str:
    """A message in the words of the module's author."""
    for pattern, instead in _INSTEAD:
        text = pattern.sub(instead, text)
    return text
