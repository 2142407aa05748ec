"""Torch's messages in words a person can act on: looks them up in the catalogue.

It knows neither places nor edits.
"""

from __future__ import annotations

import re

from ts_shape_server.agent.script import sentences
from ts_shape_server.agent.script.catalogue import TABLE, Row
from ts_shape_server.agent.script.problem import Problem, Search
from ts_shape_server.agent.script.sentences import Told
from ts_shape_server.agent.script.sources import Parsed


def tell(problem: Problem, search: Search, repaired: tuple[str, ...] = (), owner: Parsed | None = None) -> Told:
    """The words for a problem. `repaired` are parameters of `owner` whose annotation alone takes it away."""
    if repaired and owner is not None:
        return sentences.untyped(repaired, owner, problem, search)
    library = sentences.in_library(problem, search)
    if library is not None:
        return sentences.of_library(library, _told(library, search))
    return sentences.static_forward(problem, search) or _told(problem, search)


def _told(problem: Problem, search: Search) -> Told:
    found = _row(problem)
    if found is None:
        return Told(sentences.plain(problem))
    row, match = found
    if not isinstance(row.sentence, str):
        return row.sentence(match, problem, search)
    groups = {name: sentences.readable(text or "") for name, text in match.groupdict().items()}
    function = problem.function.tree.name if problem.function is not None else "forward"
    message = row.sentence.format(code=sentences.code_of(problem), function=function, **groups)
    message = message.replace("``", "a call here" if function == "forward" else f"a call in `{function}`")
    cause = (row.pattern.pattern, *(groups[name] for name in row.cause)) if row.cause else None
    return Told(message, cause)


def independent(problem: Problem) -> bool:
    """Whether a message is a reason of its own, whatever values the expression reads."""
    found = _row(problem)
    return found is not None and found[0].independent


def _row(problem: Problem) -> tuple[Row, re.Match[str]] | None:
    for row in TABLE:
        match = row.pattern.search(problem.message)
        if match:
            return row, match
    return None
