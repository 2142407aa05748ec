"""The tree of a text, also of one that is being typed: what does not parse is blanked, statement by statement, and the
first problem is named with its place. Pure; trees are kept by text and shared, so nobody changes them.
"""

from __future__ import annotations

import ast
import re
import threading
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from ts_shape_server.analysis.scopes import inner_blocks
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range

LONGEST = 400_000
"""Characters of a file that is looked into. What is longer is data: it would cost seconds at every key."""
_ATTEMPTS = 16
_HEADER_ON_LINE = re.compile(r"on line (\d+)$")
_HEADER = re.compile(r"\s*(?:async|class|def|if|elif|else|for|while|with|try|except|finally|match|case)\b")
_SIMPLE = frozenset({ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr, ast.Return, ast.Import, ast.ImportFrom})
_CLOSERS = ")]}"
_WARNINGS = threading.Lock()
"""`warnings.catch_warnings` swaps state of the whole process; two threads that parse must not swap it crosswise."""


@dataclass(frozen=True)
class Parsed:
    """The tree of what parses, the lines that it was made of, and the first syntax error (None if there is none)."""

    tree: ast.Module = field(compare=False, repr=False)
    lines: tuple[str, ...] = field(repr=False)
    error: tuple[Range, str] | None = None


def parse(source: SourceText) -> Parsed:
    """The tree of the text. Where it does not parse, the broken statements are blanked, as few as will do."""
    return _parsed(source.text)


@lru_cache(maxsize=16)
def _parsed(text: str) -> Parsed:
    source = SourceText(text)
    if len(text) > LONGEST:
        words = f"the file has more than {LONGEST:,} characters and is not looked into"
        return Parsed(ast.Module([], []), (), (Range(1, 0, 1, len(source.line(1))), words))
    lines = list(source.lines)
    if lines[0].startswith("\ufeff"):
        lines[0] = lines[0][1:]
    first: tuple[Range, str] | None = None
    blanked: tuple[int, int] | None = None
    for _ in range(_ATTEMPTS):
        try:
            return Parsed(_tree("\n".join(lines)), tuple(lines), first)
        except SyntaxError as error:
            first = first or (_place(source, error), error.msg or "invalid syntax")
            blanked = _mend(lines, error, blanked)
        except (ValueError, RecursionError, MemoryError) as error:
            words = str(error) or "the file is nested too deeply to be parsed"
            return Parsed(ast.Module([], []), (), first or (Range(1, 0, 1, len(source.line(1))), words))
        if blanked is None:
            break
    return Parsed(ast.Module([], []), (), first)


def expression(text: str) -> ast.expr | None:
    """The tree of an expression; None if it is none."""
    try:
        with _WARNINGS, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def parses(text: str) -> bool:
    """Whether the text is a Python file."""
    try:
        _tree(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _tree(text: str) -> ast.Module:
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def _place(source: SourceText, error: SyntaxError) -> Range:
    """The token that the parser stopped at, else its line."""
    number = max(1, min(error.lineno or 1, len(source.lines)))
    text = source.line(number)
    start, end = (error.offset or 0) - 1, (error.end_offset or 0) - 1
    if error.lineno == number and 0 <= start < len(text):
        closed = error.end_lineno == number and start < end <= len(text)
        return Range(number, start, number, end if closed else len(text))
    return Range(number, len(text) - len(text.lstrip()), number, len(text))


def _mend(lines: list[str], error: SyntaxError, before: tuple[int, int] | None) -> tuple[int, int] | None:
    """Blank what the parser stopped at: the line that it names, or the header whose block it misses there. Where that
    block follows below, the line between does not belong.

    Gives the lines from 1 that were blanked, None if there is nothing left to blank.
    """
    number = max(1, min(error.lineno or 1, len(lines)))
    named = _HEADER_ON_LINE.search(error.msg or "")
    if named is None:
        return _blank(lines, number, before)
    header = max(1, min(int(named.group(1)), len(lines)))
    below = next((_indent(line) for line in lines[number:] if line.strip()), 0)
    if lines[number - 1].strip() and below > _indent(lines[header - 1]) >= _indent(lines[number - 1]):
        lines[number - 1] = ""
        return number, number
    return _blank(lines, header, before)


def _blank(lines: list[str], number: int, before: tuple[int, int] | None) -> tuple[int, int] | None:
    """Replace the statement at a line by ``pass``; where that line has been blanked already, the block around it."""
    first, last = number, number
    if before is not None and before[0] <= number <= before[1]:
        around = _around(lines, *before)
        if around is None:
            return None
        first, last = around
    elif lines[number - 1].strip() in ("", "pass"):
        around = _around(lines, number, number)
        if around is None:
            return None
        first, last = around
    stand_in = "" if first == last and _juts_out(lines, first) else " " * _indent(lines[first - 1]) + "pass"
    lines[first - 1 : last] = [stand_in, *[""] * (last - first)]
    return first, last


def _juts_out(lines: list[str], number: int) -> bool:
    """Whether a line stands at another depth than its neighbours without opening a block.

    A ``pass`` in its place would cut the block in two.
    """
    if _HEADER.match(lines[number - 1]):
        return False
    indent = _indent(lines[number - 1])
    after = next((_indent(line) for line in lines[number:] if line.strip()), 0)
    before = next((_indent(line) for line in reversed(lines[: number - 1]) if line.strip()), 0)
    return indent < after or (indent > before and indent > after)


def _around(lines: list[str], first: int, last: int) -> tuple[int, int] | None:
    """The block around some lines: its header, which stands further left, and everything that belongs to that.

    Lines at the left margin have no block around them: then the one before is taken with them, for what it left open.
    """
    indent = next((_indent(lines[at]) for at in range(first - 1, last) if lines[at].strip()), 0)
    start = first - 1
    while start > 0 and (not lines[start - 1].strip() or _indent(lines[start - 1]) >= max(indent, 1)):
        start -= 1
    if start == 0:
        return None
    header = _indent(lines[start - 1])
    end = last
    while end < len(lines) and _belongs(lines[end], header):
        end += 1
    return start, end


def _belongs(line: str, header: int) -> bool:
    stripped = line.strip()
    return not stripped or _indent(line) > header or (_indent(line) == header and stripped[0] in _CLOSERS)


def _indent(line: str) -> int:
    expanded = line.expandtabs(8)
    return len(expanded) - len(expanded.lstrip())


def statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """All statements of a block and of the blocks inside it, outer ones first, in the order of the text."""
    for statement in body:
        yield statement
        if type(statement) not in _SIMPLE:
            for block in inner_blocks(statement):
                yield from statements(block)


def first_line(statement: ast.stmt) -> int:
    """The line that a statement starts at, its decorators included."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(item.lineno for item in decorators)])
