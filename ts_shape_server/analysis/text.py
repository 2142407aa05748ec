"""A source text with its lines and columns as LSP counts them, for all three position encodings.

Lines end at ``\n``, ``\r\n`` and ``\r`` only; `str.splitlines` knows more ends than the protocol, and shifts every
line after a form feed. Pure: knows no files and no client.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Iterable
from functools import cached_property

from ts_shape_server.contract.places import Range, TextEdit

_LINE_END = re.compile(r"\r\n|\r|\n")
_MARK = "\ufeff"
"""The byte order mark, a sign of the text here and none of the source for `ast`."""


class SourceText:
    """An immutable text. Lines count from 1, columns from 0 in code points, as in `Range`."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(match.end() for match in _LINE_END.finditer(self.text))]

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines without their ends; a text that ends with a line end has an empty last line."""
        return tuple(_LINE_END.split(self.text))

    @property
    def newline(self) -> str:
        """The line end that the text uses first."""
        match = _LINE_END.search(self.text)
        return match.group() if match else "\n"

    def line(self, number: int) -> str:
        """The line of that number, without its end; empty outside of the text."""
        return self.lines[number - 1] if 1 <= number <= len(self.lines) else ""

    def offset(self, line: int, column: int) -> int:
        """The place in the text, held to the text and to its line."""
        if line < 1:
            return 0
        if line > len(self.lines):
            return len(self.text)
        return self._starts[line - 1] + max(0, min(column, len(self.lines[line - 1])))

    def position(self, offset: int) -> tuple[int, int]:
        """The line and column of a place in the text."""
        line = bisect_right(self._starts, max(0, offset))
        return line, min(max(0, offset) - self._starts[line - 1], len(self.lines[line - 1]))

    def to_client(self, line: int, column: int, encoding: str) -> tuple[int, int]:
        """LSP's line and character of a position; the encoding is ``utf-8``, ``utf-16`` or ``utf-32``."""
        number = max(1, min(line, len(self.lines)))
        if line > len(self.lines):
            column = len(self.lines[-1])
        prefix = self.lines[number - 1][: max(0, column)]
        return number - 1, _units(prefix, encoding)

    def from_client(self, line: int, character: int, encoding: str) -> tuple[int, int]:
        """The position of LSP's line and character; inside a surrogate pair or byte sequence: its start."""
        if line >= len(self.lines):
            return len(self.lines), len(self.lines[-1])
        number = max(0, line)
        text = self.lines[number]
        if encoding == "utf-32":
            return number + 1, max(0, min(character, len(text)))
        units = 0
        for column, sign in enumerate(text):
            width = _units(sign, encoding)
            if units + width > character:
                return number + 1, column
            units += width
        return number + 1, len(text)

    def from_ast(self, line: int, byte_column: int) -> int:
        """The column in code points of a column that `ast` counts in bytes."""
        if self.text.isascii():
            return byte_column
        text = self.line(line)
        if text.isascii():
            return min(byte_column, len(text))
        if line == 1 and text[0] == _MARK:
            return 1 + _code_points(text[1:], byte_column)
        return _code_points(text, byte_column)

    def range_of(self, node: ast.AST) -> Range:
        """The range of a node of this text's tree; ValueError for a node that has no place."""
        line, column = getattr(node, "lineno", None), getattr(node, "col_offset", None)
        if line is None or column is None:
            raise ValueError(f"{type(node).__name__} has no place in the text")
        end_line = getattr(node, "end_lineno", None) or line
        end = getattr(node, "end_col_offset", None)
        last = self.from_ast(end_line, column if end is None else end)
        return Range(line, self.from_ast(line, column), end_line, last)

    def slice(self, span: Range) -> str:
        """The text of a range."""
        return self.text[self.offset(span.line, span.column) : self.offset(span.end_line, span.end_column)]

    def apply(self, edits: Iterable[TextEdit]) -> str:
        """The text with the edits made; insertions at one place keep their order. ValueError where edits overlap."""
        placed = [
            (
                self.offset(edit.range.line, edit.range.column),
                self.offset(edit.range.end_line, edit.range.end_column),
                edit,
            )
            for edit in edits
        ]
        placed.sort(key=lambda item: item[:2])
        parts: list[str] = []
        last = 0
        for start, end, edit in placed:
            if start < last:
                raise ValueError(f"edits overlap in line {edit.range.line}")
            parts += [self.text[last:start], edit.text]
            last = end
        return "".join([*parts, self.text[last:]])


def _code_points(text: str, byte_column: int) -> int:
    return len(text.encode("utf-8", "surrogatepass")[:byte_column].decode("utf-8", "ignore"))


def _units(text: str, encoding: str) -> int:
    if text.isascii() or encoding == "utf-32":
        return len(text)
    if encoding == "utf-8":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
