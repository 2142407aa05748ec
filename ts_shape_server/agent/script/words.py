"""Torch's complaints in words a person can act on: looks them up in the catalogue.

It knows neither places nor edits.
"""

from __future__ import annotations

import string
from dataclasses import replace

from ts_shape_server.agent.script import sentences
from ts_shape_server.agent.script.catalogue import TABLE
from ts_shape_server.agent.script.problem import CompilerProblem, RefusalSearch
from ts_shape_server.agent.script.sentences import Told
from ts_shape_server.agent.script.sources import ParsedFunction


def tell(
    problem: CompilerProblem, search: RefusalSearch, repaired: tuple[str, ...] = (), owner: ParsedFunction | None = None
) -> Told:
    """The words for a problem. `repaired` are parameters of `owner` whose annotation alone takes it away."""
    if repaired and owner is not None:
        return sentences.untyped(repaired, owner, problem, search)
    library = sentences.in_library(problem, search)
    if library is not None:
        return sentences.of_library(library, _told(library, search))
    return sentences.static_forward(problem, search) or _told(problem, search)


def _told(problem: CompilerProblem, search: RefusalSearch) -> Told:
    complaint = problem.complaint
    row = TABLE.get(complaint.kind) if complaint is not None else None
    if complaint is None or row is None:
        return sentences.plain(problem)
    texts = {name: value for name, value in complaint.facts.items() if isinstance(value, str)}
    if not isinstance(row.sentence, str):
        told = row.sentence(complaint, problem, search)
        return replace(told, kind=told.kind or complaint.kind, facts={**texts, **told.facts})
    function = problem.function.tree.name if problem.function is not None else "forward"
    words = {"code": sentences.code_of(problem), "function": function, **texts}
    message = row.sentence.format(**words)
    message = message.replace("``", "a call here" if function == "forward" else f"a call in `{function}`")
    used = {name: words[name] for _, name, _, _ in string.Formatter().parse(row.sentence) if name}
    return Told(message, kind=complaint.kind, facts={**texts, **used})


def independent(problem: CompilerProblem) -> bool:
    """Whether a refusal is a reason of its own, whatever values the expression reads."""
    row = TABLE.get(problem.complaint.kind) if problem.complaint is not None else None
    return row is not None and row.independent
