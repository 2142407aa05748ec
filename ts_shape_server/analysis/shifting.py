"""Where a place of a text stands after the text was edited: what has been said of code moves with it while it is typed.

A replacement is made of offsets in the text before. A whole new text is taken apart into the lines that it leaves as
they were and those that it replaces. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range

_MOST_COMPARED = 1_000_000
"""Beyond so many pairs of lines those that occur often are not compared."""


@dataclass(frozen=True)
class Replacement:
    """The text between two offsets, and what is there instead."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Shift:
    """One edit of a text: `replacements` are ordered and do not overlap, in offsets of `before`."""

    before: SourceText
    after: SourceText
    replacements: tuple[Replacement, ...]

    def place(self, line: int, column: int, *, ahead: bool = False) -> tuple[int, int] | None:
        """Where a place stands now; None if the text around it is gone. What is inserted right at the place comes
        before it, or after it if `ahead`.
        """
        offset = self._moved(self.before.offset(line, column), ahead)
        return None if offset is None else self.after.position(offset)

    def end_of_name(self, line: int, column: int) -> tuple[int, int] | None:
        """Where the end of a name stands now: the name grows with what is typed into it, and with nothing else."""
        offset = self.before.offset(line, column)
        typed = next((item.text for item in self.replacements if item.start == item.end == offset), "")
        return self.place(line, column, ahead=not typed.isidentifier())

    def range(self, span: Range) -> Range | None:
        """Where a stretch of the text stands now; None if nothing of it is left."""
        first, last = self.before.offset(span.line, span.column), self.before.offset(span.end_line, span.end_column)
        start, end = self._moved(first, False), self._moved(last, True)
        if first == last:
            return None if start is None else Range(*self.after.position(start), *self.after.position(start))
        if start is None:
            start = self._clamped(first, behind=True)
        if end is None:
            end = self._clamped(last, behind=False)
        if start >= end:
            return None
        return Range(*self.after.position(start), *self.after.position(end))

    def _moved(self, offset: int, ahead: bool) -> int | None:
        moved = offset
        for item in self.replacements:
            if offset < item.start or (offset == item.start and (ahead or item.end > item.start)):
                break
            if offset < item.end:
                return None
            moved += len(item.text) - (item.end - item.start)
        return moved

    def _clamped(self, offset: int, behind: bool) -> int:
        """The edge of the replacement that took a place away: its end if `behind`, else its start."""
        moved = 0
        for item in self.replacements:
            if item.start <= offset < item.end:
                return item.start + moved + (len(item.text) if behind else 0)
            moved += len(item.text) - (item.end - item.start)
        return offset + moved


def shift(before: SourceText, after: SourceText, replaced: Replacement | None = None) -> Shift:
    """The edit that leads from one text to the other; `replaced` where it is known."""
    if replaced is not None:
        return Shift(before, after, (replaced,))
    return Shift(before, after, tuple(_replacements(before, after)))


def _replacements(before: SourceText, after: SourceText) -> list[Replacement]:
    found: list[Replacement] = []
    old, new = before.text.splitlines(keepends=True), after.text.splitlines(keepends=True)
    starts, targets = _offsets(old), _offsets(new)
    for tag, first, last, other_first, other_last in _opcodes(old, new):
        if tag != "equal":
            gone = before.text[starts[first] : starts[last]]
            put = after.text[targets[other_first] : targets[other_last]]
            found.append(_narrowed(starts[first], gone, put))
    return found


def _opcodes(old: Sequence[str], new: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    """What is the same at both ends costs nothing; comparing the rest may cost the product of its lengths."""
    shorter = min(len(old), len(new))
    head = next((place for place in range(shorter) if old[place] != new[place]), shorter)
    left = shorter - head
    tail = next((place for place in range(left) if old[-1 - place] != new[-1 - place]), left)
    middle = old[head : len(old) - tail], new[head : len(new) - tail]
    matcher = difflib.SequenceMatcher(None, *middle, autojunk=len(middle[0]) * len(middle[1]) > _MOST_COMPARED)
    return [
        (tag, first + head, last + head, other + head, end + head)
        for tag, first, last, other, end in matcher.get_opcodes()
    ]


def _offsets(lines: Sequence[str]) -> list[int]:
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line))
    return offsets


def _narrowed(start: int, gone: str, put: str) -> Replacement:
    """The same replacement without what both texts have at their ends."""
    shorter = min(len(gone), len(put))
    head = next((place for place in range(shorter) if gone[place] != put[place]), shorter)
    left = shorter - head
    tail = next((place for place in range(left) if gone[-1 - place] != put[-1 - place]), left)
    return Replacement(start + head, start + len(gone) - tail, put[head : len(put) - tail])
