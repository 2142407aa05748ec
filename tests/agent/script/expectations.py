"""Reads the failures that a source expects from its comments."""

from __future__ import annotations

import re

EXPECTATION = re.compile(r"^(?P<indent>\s*#\s*)(?P<marks>\^+) (?P<words>.*)$")


def expected_of(source: str) -> list[tuple[int, int, int, str]]:
    """(line, column, end column, words) for every comment of the form ``#   ^^^^ words``; it marks the line above."""
    found = []
    marked = 0
    for number, line in enumerate(source.split("\n"), 1):
        match = EXPECTATION.match(line)
        if match is None:
            marked = number
            continue
        start = len(match.group("indent"))
        found.append((marked, start, start + len(match.group("marks")), match.group("words")))
    return found
