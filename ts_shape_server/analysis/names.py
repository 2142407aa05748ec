"""What is under the cursor, as far as the text alone tells: a class, `forward`, a parameter, a layer, a local. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from ts_shape_server.analysis.modules import FileClasses, ModuleClass, Signature, dotted, resolve_name
from ts_shape_server.analysis.paths import path_text
from ts_shape_server.analysis.scopes import COMPREHENSIONS, FUNCTIONS, own_nodes, parameters, stored
from ts_shape_server.analysis.syntax import statements
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range

Function = ast.FunctionDef | ast.AsyncFunctionDef
Place = tuple[ast.Name | ast.Attribute, Range]
_LOADERS = frozenset({"torch.jit.load", "torch.jit._serialization.load", "torch.export.load", "torch.load"})


@dataclass(frozen=True)
class Subject:
    """A name under the cursor.

    `kind` is ``class``, ``forward``, ``parameter``, ``layer``, ``part`` (what is reached through an attribute: a layer
    inside of a layer, or anything else), ``variable``, ``archive_path`` or ``name`` (to be asked of jedi).
    `class_name` is the qualified class that it belongs to.
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
    declared = None if owner is None else _declared(owner, line, column)
    if declared is not None:
        return declared
    loaded = _archive_at(source, classes, line, column)
    if loaded is not None:
        path, span = loaded
        return Subject("archive_path", None if owner is None else owner.name, path, line, span)
    found = _node_at(source, classes, line, column)
    if found is None:
        return _imported(source, classes, line, column)
    node, span = found
    if isinstance(node, ast.Attribute):
        return _attribute(classes, owner, node, line, span)
    return _name(classes, owner, node, line, span)


def _imported(source: SourceText, classes: FileClasses, line: int, column: int) -> Subject | None:
    """A name in an import, as it comes or as it is called here."""
    for node in _nodes_on(classes.tree, line):
        if not isinstance(node, ast.alias):
            continue
        whole = source.range_of(node)
        first = Range(whole.line, whole.column, whole.line, whole.column + len(node.name))
        if first.contains(line, column):
            return Subject("name", None, node.name, line, first)
        if node.asname is not None:
            called = Range(whole.end_line, whole.end_column - len(node.asname), whole.end_line, whole.end_column)
            if called.contains(line, column):
                return Subject("name", None, node.asname, line, called)
    return None


def _attribute(classes: FileClasses, owner: ModuleClass | None, node: ast.Attribute, line: int, span: Range) -> Subject:
    path = dotted(node)
    if owner is not None and path == f"self.{node.attr}" and _method_around(classes, owner, line) is not None:
        return Subject("layer", owner.name, node.attr, line, span)
    if owner is not None and path is not None and path.startswith("self.") and not _subscripted(node):
        return Subject("part", owner.name, path.removeprefix("self."), line, span)
    nested = None if path is None else _class_called(classes, owner, path)
    return Subject("name" if nested is None else "class", nested, node.attr, line, span)


def _subscripted(node: ast.expr) -> bool:
    return any(isinstance(inner, ast.Subscript) for inner in ast.walk(node))


def _name(classes: FileClasses, owner: ModuleClass | None, node: ast.Name, line: int, span: Range) -> Subject:
    method = _method_around(classes, owner, line)
    if owner is not None and method is not None and method.name != "__init__":
        forward = owner.forward if owner.forward is not None and owner.forward.line == method.lineno else None
        given = () if forward is None else forward.parameters
        if any(item.name == node.id for item in given) and not _assigned_before(method, node):
            return Subject("parameter", owner.name, node.id, line, span)
        if node.id in _locals(method) - _own_name(method):
            return Subject("variable", owner.name, node.id, line, span)
    name = _class_called(classes, owner, node.id)
    return Subject("name" if name is None else "class", name, node.id, line, span)


def _class_called(classes: FileClasses, owner: ModuleClass | None, name: str) -> str | None:
    """The qualified name of the class of this file that a name stands for inside `owner`."""
    parts = owner.name.split(".") if owner is not None else []
    known = {item.name for item in classes.classes}
    for count in range(len(parts), -1, -1):
        qualified = ".".join([*parts[:count], name])
        if qualified in known:
            return qualified
    return None


def _innermost(classes: tuple[ModuleClass, ...], line: int, column: int) -> ModuleClass | None:
    around = [item for item in classes if item.body.contains(line, column)]
    return max(around, key=lambda item: item.body.line, default=None)


def _method_around(classes: FileClasses, owner: ModuleClass | None, line: int) -> Function | None:
    """The method of `owner` whose lines hold this one."""
    if owner is None:
        return None
    body = next((item.body for item in owner.methods if item.body.line <= line <= item.body.end_line), None)
    if body is None:
        return None
    return next(
        (
            node
            for node in statements(classes.tree.body)
            if isinstance(node, FUNCTIONS) and node.lineno == body.line and node.end_lineno == body.end_line
        ),
        None,
    )


def _declared(owner: ModuleClass, line: int, column: int) -> Subject | None:
    """`forward` and its parameters where they are declared."""
    forward: Signature | None = owner.forward
    if forward is None:
        return None
    if forward.range.contains(line, column):
        return Subject("forward", owner.name, "forward", line, forward.range)
    for parameter in forward.parameters:
        if parameter.range.contains(line, column):
            return Subject("parameter", owner.name, parameter.name, line, parameter.range)
    return None


def _locals(method: Function) -> set[str]:
    """The names that a method binds: its parameters, what it assigns, and what its comprehensions loop over."""
    names = set(parameters(method.args))
    for statement in method.body:
        for node in own_nodes(statement):
            names |= stored(node) if isinstance(node, (ast.Name, *COMPREHENSIONS)) else frozenset()
    return names


def _own_name(method: Function) -> set[str]:
    """What a method calls its object."""
    first = [*method.args.posonlyargs, *method.args.args][:1]
    return {item.arg for item in first}


def _assigned_before(method: Function, at: ast.Name) -> bool:
    """Whether a method assigns the name at this place or in a line above it."""
    if isinstance(at.ctx, ast.Store):
        return True
    return any(
        node.id == at.id and isinstance(node.ctx, ast.Store) and node.lineno < at.lineno
        for statement in method.body
        for node in own_nodes(statement)
        if isinstance(node, ast.Name)
    )


def _node_at(source: SourceText, classes: FileClasses, line: int, column: int) -> Place | None:
    """The innermost name or attribute (by its last part) at a position."""
    for node in _nodes_on(classes.tree, line):
        if isinstance(node, ast.Name) and node.lineno == line:
            span = source.range_of(node)
            if span.contains(line, column):
                return node, span
        elif isinstance(node, ast.Attribute) and node.end_lineno == line:
            whole = source.range_of(node)
            span = Range(line, whole.end_column - len(node.attr), line, whole.end_column)
            if span.contains(line, column):
                return node, span
    return None


def _nodes_on(tree: ast.AST, line: int) -> Iterator[ast.AST]:
    """The nodes whose lines hold this one, outer ones first."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop(0)
        yield node
        for child in ast.iter_child_nodes(node):
            first, last = getattr(child, "lineno", None), getattr(child, "end_lineno", None)
            if first is None or last is None:
                waiting.append(child)
                continue
            decorators = getattr(child, "decorator_list", ())
            if min([first, *(item.lineno for item in decorators)]) <= line <= last:
                waiting.append(child)


def _archive_at(source: SourceText, classes: FileClasses, line: int, column: int) -> tuple[str, Range] | None:
    """The path at a position that a loader of torch is given, as far as the text tells it."""
    for node in _nodes_on(classes.tree, line):
        if not isinstance(node, ast.Call):
            continue
        function = dotted(node.func)
        if function is None or resolve_name(function, classes.imports) not in _LOADERS:
            continue
        for given in [*node.args[:1], *(item.value for item in node.keywords if item.arg == "f")]:
            span = source.range_of(given)
            path = path_text(given, classes.tree, classes.imports) if span.contains(line, column) else None
            if path:
                return path, span
    return None
