"""What the name under the cursor holds, told by the text alone: an instance of `Net` after ``model = Net()``. Pure."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from ts_shape_server.analysis.instances import Instances, Standing
from ts_shape_server.analysis.modules import FileClasses, dotted, resolve_name
from ts_shape_server.analysis.program import Program, Way
from ts_shape_server.analysis.text import SourceText


class _AnyInstance(Instances):
    """Instances of whatever class but torch's own, by the convention that classes begin with a capital."""

    def __init__(self, program: Program, imports: Mapping[str, str]) -> None:
        super().__init__(program, Standing(frozenset()))
        self._paths = imports

    def is_class(self, node: ast.expr, way: Way = ()) -> bool:
        name = None if isinstance(node, ast.Subscript) else dotted(node)
        if name is None or resolve_name(name, self._paths).startswith("torch."):
            return False
        return name.rsplit(".", 1)[-1][:1].isupper()


@dataclass(frozen=True)
class Held:
    """What makes a value, as the file spells it: the class (`is_class`) or the function that is called."""

    name: str
    is_class: bool


def held_at(source: SourceText, classes: FileClasses, line: int, column: int) -> Held | None:
    """What made the value of the name or attribute at a position; None where the text does not tell."""
    program = Program(classes.tree)
    way = next((way for way in reversed(program.ways) if _spans(way, line)), None)
    if way is None:
        return None
    statement = way[-1].body[way[-1].index]
    node = _named(source, statement, line, column)
    if node is None:
        return None
    value: ast.expr | None = node
    if isinstance(node.ctx, ast.Store):
        value = _assigned(statement, node)
    try:
        origin = _AnyInstance(program, classes.imports).origin(value, way)
    except RecursionError:
        return None
    if origin is not None:
        name = None if origin.call is None else dotted(origin.call.func)
        return None if name is None else Held(name, True)
    bound = program.value_of(node.id, way) if value is node and isinstance(node, ast.Name) else None
    made = bound.expression if bound is not None else value
    name = dotted(made.func) if isinstance(made, ast.Call) else None
    return None if name is None else Held(name, False)


def _assigned(statement: ast.stmt, target: ast.expr) -> ast.expr | None:
    """What a statement assigns to a target."""
    if isinstance(statement, ast.AnnAssign):
        return statement.value
    if not isinstance(statement, ast.Assign):
        return None
    for item in statement.targets:
        if item is target:
            return statement.value
        value = statement.value
        if isinstance(item, ast.Tuple) and isinstance(value, ast.Tuple) and len(item.elts) == len(value.elts):
            return next((part for place, part in zip(item.elts, value.elts, strict=True) if place is target), None)
    return None


def dotted_at(source: SourceText, tree: ast.Module, line: int, column: int) -> str | None:
    """The dotted name at a position, up to the part that the position is in."""
    for node in ast.walk(tree):
        first, last = getattr(node, "lineno", None), getattr(node, "end_lineno", None)
        if first is None or last is None or not first <= line <= last:
            continue
        if isinstance(node, (ast.Name, ast.Attribute)) and _on(source, node, line, column):
            return dotted(node)
        if isinstance(node, ast.alias) and source.range_of(node).contains(line, column):
            return node.asname or node.name
    return None


def _spans(way: Way, line: int) -> bool:
    statement = way[-1].body[way[-1].index]
    return statement.lineno <= line <= (statement.end_lineno or statement.lineno)


def _named(source: SourceText, statement: ast.stmt, line: int, column: int) -> ast.Name | ast.Attribute | None:
    for node in ast.walk(statement):
        if isinstance(node, (ast.Name, ast.Attribute)) and _on(source, node, line, column):
            return node
    return None


def _on(source: SourceText, node: ast.Name | ast.Attribute, line: int, column: int) -> bool:
    """Whether a position is on a name, or on the last part of an attribute."""
    span = source.range_of(node)
    start = span.end_column - len(node.attr) if isinstance(node, ast.Attribute) else span.column
    return line == span.end_line and start <= column <= span.end_column
