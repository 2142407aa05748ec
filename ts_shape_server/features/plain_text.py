"""Markdown of this server as plain text, for clients that show no markdown. Pure."""

from __future__ import annotations

import re

_FENCE = re.compile(r"^```\w*\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
_RULE = re.compile(r"^\| *:?-{3,}.*\n", re.MULTILINE)
_CELLS = re.compile(r"^\| (.*) \|$", re.MULTILINE)
_ITALIC = re.compile(r"^_(.*)_$", re.MULTILINE)
_PIECES = re.compile(r"`([^`\n]*)`|\*\*(.+?)\*\*|\\([\\\[\]<>*_#~!])")


def as_text(markdown: str) -> str:
    """The same words without the signs of markdown; code stays as it is."""
    parts = _FENCE.split(markdown)
    said = [part if number % 2 else _without_signs(part) for number, part in enumerate(parts)]
    return re.sub(r"\n{3,}", "\n\n", "".join(said)).strip()


def _without_signs(text: str) -> str:
    rows = _CELLS.sub(lambda found: found[1].replace(" | ", "   "), _RULE.sub("", text))
    lines = "\n".join(line.rstrip() for line in rows.split("\n"))
    # A line in italics may have other signs in it.
    upright = _ITALIC.sub(r"\1", lines)
    return _PIECES.sub(lambda found: next((part for part in found.groups() if part is not None), ""), upright)
