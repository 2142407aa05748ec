"""From an error to its complaints: the tables of all families, looked up by kind."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ts_shape_server.agent.torch_says import containers, dtypes, python, ranks, resources, sizes
from ts_shape_server.agent.torch_says.rows import Complaint, Row

MOST_TEXT = 2000
"""Characters of a message that are read: what follows are tables of overloads and traces."""
REMEMBERED = 4096
"""Answers that are kept: a search meets the same few messages over and over."""

TABLE: tuple[Row, ...] = (
    *ranks.ROWS,
    *sizes.ROWS,
    *dtypes.ROWS,
    *containers.ROWS,
    *python.ROWS,
    *resources.ROWS,
)

_by_kind: dict[str, list[Row]] = {}
for _row in TABLE:
    _by_kind.setdefault(_row.kind, []).append(_row)


@dataclass(frozen=True)
class Complaints:
    """All that one error says, asked for by kind. A kind that no table has is a `KeyError`."""

    text: str

    def get(self, kind: str) -> Complaint | None:
        """The first complaint of this kind, in the order of its rows."""
        found = _complaints(kind, self.text)
        return found[0] if found else None

    def all(self, kind: str) -> tuple[Complaint, ...]:
        """All complaints of this kind, in the order of its rows."""
        return _complaints(kind, self.text)

    def __contains__(self, kind: object) -> bool:
        return isinstance(kind, str) and bool(_complaints(kind, self.text))

    def __iter__(self) -> Iterator[Complaint]:
        for kind in _by_kind:
            yield from _complaints(kind, self.text)

    @property
    def words(self) -> frozenset[str]:
        """The words of the message, to look for names that the author gave."""
        return frozenset(re.findall(r"\w+", self.text))


def read(error: BaseException) -> Complaints:
    """The complaints of an error. One that fails to say what it is says nothing."""
    try:
        return read_text(str(error))
    except Exception:
        return Complaints("")


def read_text(text: str) -> Complaints:
    """The complaints of a message."""
    return Complaints(text[:MOST_TEXT])


@functools.lru_cache(maxsize=REMEMBERED)
def _complaints(kind: str, text: str) -> tuple[Complaint, ...]:
    found = []
    for row in _by_kind[kind]:
        match = row.pattern.search(text)
        facts = None if match is None else row.read(match)
        if facts is not None:
            found.append(Complaint(kind, facts))
    return tuple(found)
