"""What the compiler of TorchScript says when it refuses a source: the only place that reads its text.

A message becomes complaints. The first one is what the compiler stopped at (`REFUSALS`, in the order in which they are
asked); those after it are other things that the same text tells (`MENTIONS`), which rules ask for by kind.
"""

from __future__ import annotations

import functools
import re
from types import MappingProxyType

from ts_shape_server.agent.torch_says.compiler_mentions import MENTIONS
from ts_shape_server.agent.torch_says.compiler_reading import readable
from ts_shape_server.agent.torch_says.compiler_rows import REFUSALS
from ts_shape_server.agent.torch_says.rows import Complaint

REMEMBERED = 1024
"""Answers that are kept: the same refusals are met again and again."""
MOST_TEXT = 20_000
"""Characters of a message that are read."""


def read(text: str) -> tuple[Complaint, ...]:
    """All that an error of the compiler says, what it stopped at first; nothing for a text that nobody knows."""
    return _read(text.split("\n  File ", 1)[0][:MOST_TEXT])


@functools.lru_cache(maxsize=REMEMBERED)
def _read(text: str) -> tuple[Complaint, ...]:
    found: dict[str, Complaint] = {}
    for row in (*REFUSALS, *MENTIONS):
        match = row.pattern.search(text)
        facts = row.read(match) if match is not None and row.kind not in found else None
        if facts is not None:
            found[row.kind] = Complaint(row.kind, MappingProxyType(dict(facts)))
    return tuple(found.values())


def refusal(text: str) -> Complaint | None:
    """What an error of the compiler stopped at; None for a text that nobody knows."""
    first = next(iter(read(text)), None)
    return first if first is not None and first.kind in _DECIDING else None


def complaint(text: str, kind: str) -> Complaint | None:
    """What an error says of one kind."""
    if kind not in KINDS:
        raise KeyError(kind)
    return next((item for item in read(text) if item.kind == kind), None)


def signature(text: str) -> str:
    """A text that is equal for two errors that are the same one: torch numbers types anew with each compilation."""
    return re.sub(r"___torch_mangle_\d+\.|0x[0-9a-f]+", "", text)


def first_line(text: str) -> str:
    """What a text says in short: its first line, readable."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return readable(lines[0]).rstrip(":.") if lines else ""


def last_line(text: str) -> str:
    """What an error of a running script says in short: its last line, without the type of the error."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return lines[-1].split(": ", 1)[-1] if lines else ""


def raised(text: str, kind: str) -> bool:
    """Whether what a running script raised says something of a kind: it stands under the places."""
    return complaint(last_line(text), kind) is not None


KINDS = frozenset(row.kind for row in (*REFUSALS, *MENTIONS))
_DECIDING = frozenset(row.kind for row in REFUSALS)

_STATIC_FORWARD = re.compile(r"\s*forward\((?P<owner>[\w.]*) ")


def called_forward(text: str) -> str:
    """The class whose `forward` a message begins to print with its parameters; empty if it does not."""
    match = _STATIC_FORWARD.match(readable(text))
    return match.group("owner").rpartition(".")[2] if match is not None else ""


def first_line_says(text: str, kind: str) -> bool:
    """Whether the first line of an error says something of a kind."""
    return complaint(text.split("\n")[0], kind) is not None
