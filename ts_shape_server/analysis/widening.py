"""Joins the types that several runs saw in one place to the one type that TorchScript needs there. Pure."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from ts_shape_server.analysis.syntax import expression

_OPTIONAL = "Optional"


def widened(kinds: Sequence[str]) -> str | None:
    """The narrowest type that takes all of them; None where TorchScript has none."""
    joined: ast.expr | None = None
    for kind in dict.fromkeys(kinds):
        tree = expression(kind)
        if tree is None:
            return None
        joined = tree if joined is None else _joined(joined, tree)
        if joined is None:
            return None
    return None if joined is None else ast.unparse(ast.fix_missing_locations(joined))


def _joined(left: ast.expr, right: ast.expr) -> ast.expr | None:
    texts = ast.unparse(left), ast.unparse(right)
    if texts[0] == texts[1]:
        return left
    if "None" in texts or _inner(left) is not None or _inner(right) is not None:
        rest = [_inner(item) or item for item, text in zip((left, right), texts, strict=True) if text != "None"]
        inside = rest[0] if len(rest) == 1 else _joined(rest[0], rest[1])
        return None if inside is None else ast.Subscript(ast.Name(_OPTIONAL, ast.Load()), inside, ast.Load())
    if set(texts) == {"int", "float"}:
        return ast.Name("float", ast.Load())
    if isinstance(left, ast.Subscript) and isinstance(right, ast.Subscript):
        return _joined_containers(left, right)
    return None


def _joined_containers(left: ast.Subscript, right: ast.Subscript) -> ast.expr | None:
    if ast.unparse(left.value) != ast.unparse(right.value):
        return None
    firsts, seconds = _items(left), _items(right)
    if len(firsts) != len(seconds):
        return None
    items = [_joined(one, other) for one, other in zip(firsts, seconds, strict=True)]
    known = [item for item in items if item is not None]
    if len(known) < len(items):
        return None
    inside = known[0] if len(known) == 1 else ast.Tuple(list(known), ast.Load())
    return ast.Subscript(left.value, inside, ast.Load())


def _items(node: ast.Subscript) -> list[ast.expr]:
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]


def _inner(node: ast.expr) -> ast.expr | None:
    """What an ``Optional[…]`` may hold; None for another type."""
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == _OPTIONAL:
        return node.slice
    return None
