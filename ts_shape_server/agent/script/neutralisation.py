"""What is changed in a copy to take one refusal out of the compiler's way, and the changes that several kinds share.

It does not know which refusal wants which change.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from ts_shape_server.agent.script import edits, types
from ts_shape_server.agent.script.problem import RefusalSearch
from ts_shape_server.agent.script.sources import Edit, NodeKey, ParsedFunction, key_of
from ts_shape_server.agent.script.types import Type


@dataclass(frozen=True)
class Neutralisation:
    """Edits to make together. `lost` are names that have no true value any more, `opaque` expressions of which only
    the place is left; `repairs` names the parameters (of `function`) whose annotation is the whole edit. `narrower`
    are smaller ones, of which one may do if this one does."""

    function: ParsedFunction
    edits: tuple[Edit, ...]
    lost: frozenset[str] = frozenset()
    repairs: tuple[str, ...] = ()
    opaque: frozenset[NodeKey] = frozenset()
    narrower: tuple[Neutralisation, ...] = ()


def value(
    search: RefusalSearch, function: ParsedFunction, node: ast.expr, kind: Type, lost: frozenset[str] = frozenset()
) -> Neutralisation:
    edit = edits.replaced(key_of(node), lambda _: edits.value_call(search.sources, kind))
    opaque = frozenset([key_of(node)]) if kind == types.ANY or not kind.known else frozenset()
    return Neutralisation(function, (edit,), lost, opaque=opaque)


def values(search: RefusalSearch, function: ParsedFunction, node: ast.expr, kind: Type) -> Iterator[Neutralisation]:
    children = [item for item in node.args if not isinstance(item, ast.Starred)] if isinstance(node, ast.Call) else []
    if children:
        sources = search.sources
        keys = {key_of(child) for child in children}

        def make(found: ast.AST) -> ast.expr:
            kept = [item for item in getattr(found, "args", []) if hasattr(item, "lineno") and key_of(item) in keys]
            return edits.value_call(sources, kind, kept)

        yield Neutralisation(function, (edits.replaced(key_of(node), make),))
    yield value(search, function, node, kind)


def type_read(search: RefusalSearch, function: ParsedFunction, name: str) -> Type:
    """What a local name held wherever it was read."""
    loads = [node for node in ast.walk(function.tree) if isinstance(node, ast.Name) and node.id == name]
    kinds = [search.type_of(function, node) for node in loads]
    joined = types.join_all(kind for kind in kinds if kind is not None)
    return joined if joined.representable else types.ANY


def within(node: ast.AST, outer: ast.AST) -> bool:
    return any(item is node for item in ast.walk(outer))
