"""Where a text has what is shown about it: its classes with their parameters, and the names that statements bind.

Reads syntax trees; it does not know what is shown there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ts_shape_server.analysis.script_uses import Purpose
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range


@dataclass(frozen=True)
class ClassPlace:
    """What the text says of a class: where its name stands, the parameters of `forward`, what its comments turn off.
    `purposes`: what the workspace gives it to. `of_torch`: it is a variable that holds a layer of torch's, of which
    only wrong calls are told.
    """

    name: str
    name_range: Range
    parameters: Mapping[str, tuple[Range, str | None]]
    ignore: frozenset[str] = frozenset()
    skip: bool = False
    problems: tuple[tuple[Range, str], ...] = ()
    purposes: frozenset[Purpose] = frozenset()
    of_torch: bool = False


@dataclass(frozen=True)
class Stored:
    """A name that an assignment binds: where the name ends, and the lines of the whole statement."""

    name: str
    line: int
    column: int
    first_line: int
    last_line: int


def stored_names(source: SourceText, tree: ast.Module) -> list[Stored]:
    """Every plain name that an assignment or a loop binds, anywhere in the file."""
    found: list[Stored] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            last = _header_end(node)
            for name in _bound(node):
                end = source.range_of(name)
                found.append(Stored(name.id, end.end_line, end.end_column, node.lineno, last))
    return found


def _header_end(node: ast.stmt) -> int:
    """The last line of the statement itself: for a loop that of its header."""
    body = getattr(node, "body", None)
    if isinstance(body, list) and body:
        return max(node.lineno, int(body[0].lineno) - 1)
    return node.end_lineno or node.lineno


def _bound(node: ast.stmt) -> Iterator[ast.Name]:
    targets: Sequence[ast.expr] = ()
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, (ast.AugAssign, ast.For)) or (isinstance(node, ast.AnnAssign) and node.value is not None):
        targets = (node.target,)
    for target in targets:
        for inner in ast.walk(target):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                yield inner
