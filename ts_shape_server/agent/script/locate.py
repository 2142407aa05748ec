"""Reads the places out of torch's error text: which file, which lines and columns, and the chain of callers.

It knows the layout of torch's reports (``File "…", line N``, source lines, a line of ``~~~ <--- HERE``) and how to turn
its utf-8 columns into code points. It knows nothing of what the messages mean.
"""

from __future__ import annotations

import linecache
import re
from dataclasses import dataclass, replace
from types import CodeType
from typing import Any

from ts_shape_server.contract.places import Location, Range

_FILE = re.compile(r'^[ \t]*File "(?P<path>[^"\n]+)", line (?P<line>\d+)(?:, in .*)?[ \t]*$', re.MULTILINE)
_MARKER = re.compile(r"^(?P<indent> *)(?P<marks>~*)(?P<here> <--- HERE)?$")
_CALLER = re.compile(r"'(?P<callee>[^']*)' is being compiled since it was called from '(?P<caller>[^']*)'")


@dataclass(frozen=True)
class MarkedPlace:
    """Lines from 1 and columns in utf-8 bytes, as torch and `ast` count. `column` is None where torch marked nothing.

    `caption` is what torch says of this place in relation to the first.
    """

    path: str
    line: int
    column: int | None
    end_line: int
    end_column: int | None
    caption: str = ""


@dataclass(frozen=True)
class Located:
    """Torch's text taken apart: the bare message and its places, the failing one first."""

    message: str
    places: tuple[MarkedPlace, ...]


def read(text: str) -> Located:
    """Take an error text apart. Text without any place gives no places."""
    matches = list(_FILE.finditer(text))
    if not matches:
        return Located(text.strip(), ())
    message = text[: matches[0].start()].strip().rstrip(":").strip()
    places: list[MarkedPlace] = []
    caption = ""
    for number, match in enumerate(matches):
        end = matches[number + 1].start() if number + 1 < len(matches) else len(text)
        body = text[match.end() : end].strip("\n").split("\n")
        places.append(_place(match.group("path"), int(match.group("line")), body, caption))
        caption = _caption(body)
    return Located(message, tuple(places))


def _caption(body: list[str]) -> str:
    """What the lines under one place say of the next."""
    for line in reversed(body):
        caller = _CALLER.search(line)
        if caller:
            return f"{caller.group('caller')} calls {caller.group('callee')} here"
        if line.startswith("and was used here"):
            return "used here"
        if line.startswith(")"):
            return "needed here"
    return "reached from here"


def _place(path: str, line: int, body: list[str], caption: str) -> MarkedPlace:
    """The marked range: marker lines stand under the lines they mark, the last one says HERE."""
    column: int | None = None
    current = line
    for position, text in enumerate(body):
        marker = _MARKER.match(text)
        if marker is None or not (marker.group("marks") or marker.group("here")) or position == 0:
            current += column is not None
            continue
        if column is None:
            column, current = len(marker.group("indent")), line
        if marker.group("here"):
            end = len(marker.group("indent")) + len(marker.group("marks"))
            return MarkedPlace(path, line, column, current, end, caption)
    return MarkedPlace(path, line, None, line, None, caption)


def with_source_range(place: MarkedPlace, source_range: Any, source: str, first_line: int) -> MarkedPlace:
    """`place` narrowed by the range object of a frontend error, for marks of no width, which torch does not print."""
    encoded = source.encode()
    start, end = int(source_range.start), int(source_range.end)
    line = encoded.count(b"\n", 0, start)
    end_line = encoded.count(b"\n", 0, end)
    return replace(
        place,
        line=first_line + line,
        column=start - (encoded.rfind(b"\n", 0, start) + 1),
        end_line=first_line + end_line,
        end_column=end - (encoded.rfind(b"\n", 0, end) + 1),
    )


def expression(code: CodeType, instruction: int, line: int) -> MarkedPlace:
    """The expression that a frame is in (its `f_lasti` and `f_lineno`), where this Python can tell; else its line."""
    positions = getattr(code, "co_positions", None)
    if positions is not None:
        start, end_line, column, end_column = list(positions())[instruction // 2]
        if start is not None and column is not None:
            return MarkedPlace(code.co_filename, start, column, end_line, end_column)
    return MarkedPlace(code.co_filename, line, None, line, None)


def characters(path: str, line: int, byte_column: int) -> int:
    """A utf-8 column of a file's line as a column in code points."""
    encoded = linecache.getline(path, line).encode()
    return len(encoded[:byte_column].decode(errors="ignore"))


def location(place: MarkedPlace, message: str = "") -> Location:
    """The contract's location of a place; the whole line (without its indentation) where torch marked nothing."""
    column, end_column = place.column, place.end_column
    if column is None or end_column is None:
        text = linecache.getline(place.path, place.line).rstrip("\n").encode()
        column, end_column = len(text) - len(text.lstrip()), len(text.rstrip())
    start, end = characters(place.path, place.line, column), characters(place.path, place.end_line, end_column)
    return Location(place.path, Range(place.line, start, place.end_line, end), message)
