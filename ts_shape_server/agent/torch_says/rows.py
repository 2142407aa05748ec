"""What a row of the tables is: the kind of a complaint, the pattern of its message, how its facts are read.

Every row carries messages as torch and Python write them; each of them is a case of the tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Optional, Union

Fact = Union[int, str, "tuple[int, ...]", "tuple[str, ...]"]
Facts = Mapping[str, Fact]
Reader = Callable[["re.Match[str]"], Optional[Facts]]


@dataclass(frozen=True)
class Complaint:
    """One thing that a message says. Its facts are numbers, names, and tuples of them; the kind decides which."""

    kind: str
    facts: Facts

    def number(self, name: str) -> int | None:
        """A fact that is a number; None where it is none, as a size of a symbolic run."""
        value = self.facts.get(name)
        return value if isinstance(value, int) else None

    def numbers(self, name: str) -> tuple[int, ...]:
        """A fact that is several numbers."""
        value = self.facts.get(name, ())
        return tuple(item for item in value if isinstance(item, int)) if isinstance(value, tuple) else ()

    def name(self, name: str) -> str:
        """A fact that is a name; empty where it is none."""
        value = self.facts.get(name, "")
        return value if isinstance(value, str) else ""

    def names(self, name: str) -> tuple[str, ...]:
        """A fact that is several names."""
        value = self.facts.get(name, ())
        return tuple(item for item in value if isinstance(item, str)) if isinstance(value, tuple) else ()


@dataclass(frozen=True)
class Row:
    """`said` are messages that the pattern finds. `read` gives the facts of a match, None where it is none after all.

    Texts of errors that nobody worded for a pattern, as those of an author's own checks, are read too: a pattern is
    as long as it has to be to tell.
    """

    kind: str
    pattern: re.Pattern[str]
    said: tuple[str, ...]
    read: Reader


def no_facts(match: re.Match[str]) -> Facts:
    """For complaints that are all said with their kind."""
    return {}


def row(kind: str, pattern: str, *said: str, read: Reader = no_facts, any_case: bool = False, flags: int = 0) -> Row:
    """One row. A row without a message that it finds is an error at import: nothing would show that it works."""
    compiled = re.compile(pattern, flags | (re.IGNORECASE if any_case else 0))
    if not said or any(compiled.search(text) is None for text in said):
        raise ValueError(f"a row of {kind} finds none of its messages: {pattern}")
    return Row(kind, compiled, said, read)


def whole_numbers(text: str) -> tuple[int, ...]:
    """The whole numbers in a text."""
    return tuple(int(number) for number in re.findall(r"\d+", text))


def number_or_symbol(text: str) -> Fact:
    """A size as torch prints it: a number, or the symbol or expression that it is in a symbolic run."""
    plain = text.strip("[],() ")
    return int(plain) if plain.isdigit() else plain
