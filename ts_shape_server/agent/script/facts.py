"""What a run saw inside the functions that TorchScript refuses: the type of every expression, and the blocks that never
ran. It is what a rewrite of the source needs to know and cannot read there.

Only functions of the examined file in which a refusal stands, or that lead to one, are told of. It knows nothing of
rewrites.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ts_shape_server.agent.script import edits, locate, types
from ts_shape_server.agent.script.problem import Search
from ts_shape_server.agent.script.sources import NodeKey, Parsed, key_of, located_nodes
from ts_shape_server.agent.script.types import Type

LIMIT = 6000
"""Of expressions of one class: they travel with its report."""


def collect(search: Search, failures: Iterable[Mapping[str, Any]], path: str) -> list[dict[str, Any]]:
    """The contract's ``facts`` for these failures."""
    found: list[dict[str, Any]] = []
    left = LIMIT
    for function in _concerned(search, list(failures), path):
        made = _of_function(search, function, left)
        left -= len(made["values"])
        found.append(made)
        if left <= 0:
            break
    return found


def unseen(search: Search, path: str) -> list[dict[str, Any]]:
    """The contract's annotations of functions that the compiler reads and the run never called: defaults tell."""
    found: list[dict[str, Any]] = []
    for function in list(search.sources.functions.values()):
        if function.path != path or search.seen_of(function) is not None:
            continue
        owner, _, name = getattr(function.function, "__qualname__", "").rpartition(".")
        if "<locals>" in owner or not name.isidentifier():
            continue
        for parameter, kind in search.wanted(function).items():
            found.append({"owner": owner, "function": name, "name": parameter, "type": str(kind), "needed": True})
    return found


def _concerned(search: Search, failures: list[Mapping[str, Any]], path: str) -> Iterator[Parsed]:
    places = [place for item in failures for place in (item.get("location"), *item.get("related", ())) if place]
    lines = {place["range"]["line"] for place in places if place["path"] == path}
    for function in list(search.sources.functions.values()):
        if function.path == path and any(function.first_line <= line <= function.last_line for line in lines):
            yield function


def _of_function(search: Search, function: Parsed, limit: int) -> dict[str, Any]:
    search.record_with(function)
    values: list[list[Any]] = []
    for node in located_nodes(function.tree):
        if len(values) >= limit:
            break
        if not isinstance(node, ast.expr) or isinstance(node, ast.Constant):
            continue
        kind = search.expressions.type_of(function, node)
        if kind is not None:
            values.append([*_extent(function, node), spelled(kind)])
    idle = [
        [*_extent(function, block[0])[:2], *_extent(function, block[-1])[2:]]
        for block in edits.blocks(function.tree)
        if not search.ran(function, block)
    ]
    seen = search.seen_of(function)
    return {
        "line": function.first_line + function.tree.lineno - 1,
        "ran": seen is not None,
        "values": values,
        "idle": idle,
    }


def _extent(function: Parsed, node: ast.AST) -> tuple[int, int, int, int]:
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
