"""Torch's messages in words a person can act on: looks them up in the catalogue.

It knows neither places nor edits.
"""

from __future__ import annotations

import re
import string
from dataclasses import replace

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
        return sentences.plain(problem)
    row, match = found
    groups = {name: sentences.readable(text) for name, text in match.groupdict().items() if text is not None}
    if not isinstance(row.sentence, str):
        told = row.sentence(match, problem, search)
        return replace(told, kind=told.kind or row.kind, facts={**groups, **told.facts})
    function = problem.function.tree.name if problem.function is not None else "forward"
    words = {"code": sentences.code_of(problem), "function": function, **dict.fromkeys(match.groupdict(), ""), **groups}
    message = row.sentence.format(**words)
    message = message.replace("``", "a call here" if function == "forward" else f"a call in `{function}`")
    named = {name: words[name] for _, name, _, _ in string.Formatter().parse(row.sentence) if name in words}
    return Told(message, kind=row.kind, facts={**named, **groups})


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
