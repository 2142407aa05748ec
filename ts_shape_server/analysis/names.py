"""What is under the cursor, as far as the text alone tells: a class, `forward`, a parameter, a layer, a local. Pure."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from ts_shape_server.analysis.modules import FileClasses, ModuleClass, Signature
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.model import Range


@dataclass(frozen=True)
class Subject:
    """A name under the cursor.

    `kind` is ``class``, ``forward``, ``parameter``, ``layer``, ``variable``, ``archive_path`` or ``name`` (to be
    asked of jedi). `class_name` is the qualified class that it belongs to.
    """

    kind: str
    class_name: str | None
    name: str
    line: int
    range: Range


def name_at(source: SourceText, classes: FileClasses, line: int, column: int) -> Subject | None:
    """The subject at a position, None between names."""
    for item in classes.classes:
        if item.name_range.contains(line, column):
            return Subject("class", item.name, item.name.rsplit(".", 1)[-1], line, item.name_range)
    owner = _innermost(classes.classes, line, column)
    if owner is not None:
        declared = _declared(owner, line, column)
        if declared is not None:
            return declared
    found = _node_at(source, classes.tree, line, column)
    if found is None:
        return None
    node, span = found
    if isinstance(node, ast.Constant):
        return Subject("archive_path", owner.name if owner else None, str(node.value), line, span)
    if isinstance(node, ast.Attribute):
        if owner is not None and isinstance(node.value, ast.Name) and node.value.id == "self":
            return Subject("layer", owner.name, node.attr, line, span)
        return Subject("name", None, node.attr, line, span)
    return _name(classes, owner, node, line, span)


def _name(classes: FileClasses, owner: ModuleClass | None, node: ast.Name, line: int, span: Range) -> Subject:
    scoped = [node.id]
    if owner is not None:
        parts = owner.name.split(".")
        scoped += [".".join([*parts[:count], node.id]) for count in range(len(parts), 0, -1)]
    for name in scoped:
        if any(item.name == name for item in classes.classes):
            return Subject("class", name, node.id, line, span)
    if owner is not None:
        method = _method_at(owner, line)
        if method is not None and method.name != "__init__" and node.id != "self":
            if method.name == "forward" and any(item.name == node.id for item in method.parameters):
                kind = "variable" if _assigned_before(classes.tree, method, node.id, line) else "parameter"
                return Subject(kind, owner.name, node.id, line, span)
            return Subject("variable", owner.name, node.id, line, span)
    return Subject("name", None, node.id, line, span)


def _innermost(classes: tuple[ModuleClass, ...], line: int, column: int) -> ModuleClass | None:
    around = [item for item in classes if item.body.contains(line, column)]
    return max(around, key=lambda item: item.body.line, default=None)


def _method_at(owner: ModuleClass, line: int) -> Signature | None:
    return next((item for item in owner.methods if item.body.line <= line <= item.body.end_line), None)


def _declared(owner: ModuleClass, line: int, column: int) -> Subject | None:
    """`forward` and its parameters where they are declared."""
    forward = owner.forward
    if forward is None:
        return None
    if forward.range.contains(line, column):
        return Subject("forward", owner.name, "forward", line, forward.range)
    for parameter in forward.parameters:
        if parameter.range.contains(line, column):
            return Subject("parameter", owner.name, parameter.name, line, parameter.range)
    return None


def _assigned_before(tree: ast.Module, method: Signature, name: str, line: int) -> bool:
    """Whether the method assigns the name in a line up to this one."""
    return any(
        isinstance(node, ast.Name)
        and isinstance(node.ctx, ast.Store)
        and node.id == name
        and method.body.line <= node.lineno <= line
        for node in ast.walk(tree)
    )


def _node_at(
    source: SourceText, tree: ast.Module, line: int, column: int
) -> tuple[ast.Name | ast.Attribute | ast.Constant, Range] | None:
    """The innermost name, attribute (by its last part) or path of `torch.jit.load` at a position."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_load(node) and node.args and isinstance(node.args[0], ast.Constant):
            span = source.range_of(node.args[0])
            if span.contains(line, column) and isinstance(node.args[0].value, str):
                return node.args[0], span
        if isinstance(node, ast.Name) and node.lineno == line:
            span = source.range_of(node)
            if span.contains(line, column):
                return node, span
        if isinstance(node, ast.Attribute) and node.end_lineno == line:
            whole = source.range_of(node)
            span = Range(line, whole.end_column - len(node.attr), line, whole.end_column)
            if span.contains(line, column):
                return node, span
    return None


def _is_load(node: ast.Call) -> bool:
    return ast.unparse(node.func) in ("torch.jit.load", "jit.load")
