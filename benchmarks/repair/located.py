"""Compares the place of a failure with the one that torch marks in its own text. Reads texts, knows nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ts_shape_server.model import Failure

_PLACE = re.compile(r'^\s*File "(?P<path>[^"\n]+)", line (?P<line>\d+).*$', re.MULTILINE)
_ORDER = ("exact", "line", "other", "none")


def marked(detail: str, path: str) -> tuple[int, int] | None:
    """The line and column (in bytes) that torch marks first in a file; None where it marks nothing there."""
    for match in _PLACE.finditer(detail):
        if match.group("path") != path:
            continue
        body = detail[match.end() :].split('\n  File "', 1)[0].strip("\n").split("\n")
        for index, line in enumerate(body):
            if re.fullmatch(r" *~+( <--- HERE)?", line) and index > 0:
                return int(match.group("line")), len(line) - len(line.lstrip())
    return None


def place(failure: Failure, path: str) -> str:
    """``exact`` (line and column are torch's), ``line``, ``other``, ``unmarked`` (torch names no place here) or
    ``none``.
    """
    return _compared(failure, marked(failure.detail, path))


def first(refused: str, path: str, found: Sequence[Failure]) -> str:
    """How near a failure comes to the place that torch's own first refusal of the file at `path` marks; as `place`."""
    wanted = marked(refused, path)
    if wanted is None:
        return "unmarked"
    return min((_compared(failure, wanted) for failure in found), key=_ORDER.index, default="none")


def _compared(failure: Failure, wanted: tuple[int, int] | None) -> str:
    if failure.location is None:
        return "none"
    if wanted is None:
        return "unmarked"
    found = failure.location.range
    if (found.line, found.column) == wanted:
        return "exact"
    return "line" if found.line == wanted[0] else "other"
