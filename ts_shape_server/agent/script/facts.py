"""What a run saw inside the functions that TorchScript refuses: the type of every expression, and the blocks that never
ran. It is what a rewrite of the source needs to know and cannot read there.

Only functions of the examined file in which a refusal stands, or that lead to one, are told of. It knows nothing of
rewrites.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from ts_shape_server.agent.script import edits, locate, types
from ts_shape_server.agent.script.problem import RefusalSearch
from ts_shape_server.agent.script.sources import NodeKey, ParsedFunction, key_of, located_nodes
from ts_shape_server.agent.script.types import Type
from ts_shape_server.contract.places import Range
from ts_shape_server.contract.report import Annotation, Failure, FunctionFacts

LIMIT = 6000
"""Of expressions of one class: they travel with its report."""


def collect(search: RefusalSearch, failures: Iterable[Failure], path: str) -> tuple[FunctionFacts, ...]:
    """The facts for these failures."""
    found: list[FunctionFacts] = []
    left = LIMIT
    for function in _concerned(search, list(failures), path):
        made = _of_function(search, function, left)
        left -= len(made.values)
        found.append(made)
        if left <= 0:
            break
    return tuple(found)


def unseen(search: RefusalSearch, path: str) -> tuple[Annotation, ...]:
    """The annotations of functions that the compiler reads and the run never called: defaults tell."""
    found: list[Annotation] = []
    for function in list(search.sources.functions.values()):
        if function.path != path or search.seen_of(function) is not None:
            continue
        owner, _, name = getattr(function.function, "__qualname__", "").rpartition(".")
        if "<locals>" in owner or not name.isidentifier():
            continue
        for parameter, kind in search.wanted(function).items():
            found.append(Annotation(owner, name, parameter, str(kind), needed=True))
    return tuple(found)


def _concerned(search: RefusalSearch, failures: list[Failure], path: str) -> Iterator[ParsedFunction]:
    places = [place for item in failures for place in (item.location, *item.related) if place is not None]
    lines = {place.range.line for place in places if place.path == path}
    for function in list(search.sources.functions.values()):
        if function.path == path and any(function.first_line <= line <= function.last_line for line in lines):
            yield function


def _of_function(search: RefusalSearch, function: ParsedFunction, limit: int) -> FunctionFacts:
    search.record_with(function)
    values: list[tuple[Range, str]] = []
    for node in located_nodes(function.tree):
        if len(values) >= limit:
            break
        if not isinstance(node, ast.expr) or isinstance(node, ast.Constant):
            continue
        kind = search.expressions.type_of(function, node)
        if kind is not None:
            values.append((Range(*_extent(function, node)), spelled(kind)))
    idle = [
        Range(*_extent(function, block[0])[:2], *_extent(function, block[-1])[2:])
        for block in edits.blocks(function.tree)
        if not search.ran(function, block)
    ]
    seen = search.seen_of(function)
    line = function.first_line + function.tree.lineno - 1
    return FunctionFacts(line, seen is not None, tuple(values), tuple(idle))


def _extent(function: ParsedFunction, node: ast.AST) -> tuple[int, int, int, int]:
    place = function.place_of(node)
    key: NodeKey = key_of(node)
    shift = function.first_line - 1
    return (
        key.line + shift,
        locate.characters(place.path, place.line, place.column or 0),
        key.end_line + shift,
        locate.characters(place.path, place.end_line, place.end_column or 0),
    )


def spelled(kind: Type) -> str:
    """The type as TorchScript writes it; ``!`` and the Python class for a value that it cannot hold."""
    if kind == types.OPAQUE:
        return f"!{kind.python.__module__}.{kind.python.__qualname__}" if kind.python is not None else "!"
    if kind == types.UNKNOWN:
        return "?"
    return f"{kind.name}[{', '.join(map(spelled, kind.items))}]" if kind.items else str(kind)
