"""Places in source. Lines start at 1; columns start at 0 and count code points, not bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from ts_shape_server.contract.schema import Codec, ContractError


@dataclass(frozen=True)
class Range:
    """A half-open stretch of a file: lines from 1, columns from 0 in code points."""

    line: int
    column: int
    end_line: int
    end_column: int

    def contains(self, line: int, column: int) -> bool:
        return (self.line, self.column) <= (line, column) <= (self.end_line, self.end_column)


@dataclass(frozen=True)
class Location:
    """A range in a file, with what it has to do with the finding that names it. `path` is absolute."""

    path: str
    range: Range
    message: str = ""


@dataclass(frozen=True)
class TextEdit:
    """Replace `range` by `text`; an insertion has an empty range."""

    range: Range
    text: str


def _read_row(value: Any, depth: int) -> Range:
    if type(value) is not list or len(value) != 4 or any(type(item) is not int for item in value):
        raise ContractError("is no extent")
    return Range(*value)


def row(place: Range) -> list[int]:
    """A range as a list of its four numbers."""
    return [place.line, place.column, place.end_line, place.end_column]


Row = Annotated[Range, Codec(_read_row, row)]
"""A range as a list of four numbers: a report has thousands."""
