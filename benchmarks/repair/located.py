"""Compares the place of a failure with the one that torch marks in its own text. Reads texts, knows nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ts_shape_server.contract.report import Failure

_PLACE = re.compile(r'^\s*File "(?P<path>[^"\n]+)", line (?P<line>\d+).*$', re.MULTILINE)
_ORDER = ("exact", "inside", "line", "other", "none")

Mark = tuple[int, int, int, int]
"""Line, column (in bytes), last line, end column."""


def marked(detail: str, path: str) -> Mark | None:
    """The range that torch marks first in a file; None where it marks nothing there."""
    for match in _PLACE.finditer(detail):
        if match.group("path") != path:
            continue
        body = detail[match.end() :].split('\n  File "', 1)[0].strip("\n").split("\n")
        marks = [index for index, text in enumerate(body) if index and re.fullmatch(r" *~+( <--- HERE)?", text)]
        if marks:
            line, first, last = int(match.group("line")), body[marks[0]], body[marks[-1]]
            end = last.rstrip().removesuffix(" <--- HERE")
            return line, len(first) - len(first.lstrip()), line + len(marks) - 1, len(end)
    return None


def place(failure: Failure, path: str) -> str:
    """``exact`` (line and column are torch's), ``inside`` (a part of what torch marks, such as the parameter of a
    function), ``line``, ``other``, ``unmarked`` (torch names no place here) or ``none``.
    """
    return _compared(failure, marked(failure.detail, path))


def first(refused: str, path: str, found: Sequence[Failure]) -> str:
    """How near a failure comes to the place that torch's own first refusal of the file at `path` marks; as `place`."""
    wanted = marked(refused, path)
    if wanted is None:
        return "unmarked"
    return min((_compared(failure, wanted) for failure in found), key=_ORDER.index, default="none")


def _compared(failure: Failure, wanted: Mark | None) -> str:
    if failure.location is None:
        return "none"
    if wanted is None:
        return "unmarked"
    found = failure.location.range
    if (found.line, found.column) == wanted[:2]:
        return "exact"
    if wanted[:2] <= (found.line, found.column) and (found.end_line, found.end_column) <= wanted[2:]:
        return "inside"
    return "line" if found.line == wanted[0] else "other"
