"""What the text of a method tells of a local name at one place: the statement around it, the modules that a loop takes
it from, the dimension of a tensor that it was unpacked from. Pure.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from ts_shape_server.analysis.modules import dotted
from ts_shape_server.analysis.scopes import FUNCTIONS, own_nodes
from ts_shape_server.analysis.syntax import statements

Method = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Lines:
    """The lines of a statement; of one with a block those of its header."""

    first: int
    last: int

    def __contains__(self, line: object) -> bool:
        return isinstance(line, int) and self.first <= line <= self.last


@dataclass(frozen=True)
class FromModules:
    """A loop takes the name from the modules of ``self.<path>``; `position` where each of them is unpacked."""

    path: str
    position: int | None


@dataclass(frozen=True)
class FromShape:
    """The name is a size of a tensor: `dim` of `tensor` as it comes into `line`; a negative one counts from the end."""

    tensor: str
    line: int
    dim: int


def statement_at(tree: ast.Module, line: int) -> Lines:
    """The innermost statement around a line; the line alone where there is none."""
    around = [lines for node in statements(tree.body) if line in (lines := _lines(node))]
    return max(around, key=lambda lines: lines.first, default=Lines(line, line))


def _lines(node: ast.stmt) -> Lines:
    body = getattr(node, "body", None)
    if isinstance(body, list) and body:
        return Lines(node.lineno, max(node.lineno, int(body[0].lineno) - 1))
    return Lines(node.lineno, node.end_lineno or node.lineno)


def method_at(tree: ast.Module, line: int) -> Method | None:
    """The innermost function around a line."""
    around = [
        node
        for node in statements(tree.body)
        if isinstance(node, FUNCTIONS) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return max(around, key=lambda node: node.lineno, default=None)


def is_called(tree: ast.Module, line: int, end_column: int) -> bool:
    """Whether what ends at this place is called there. The column counts bytes, as `ast` does."""
    return any(
        isinstance(node, ast.Call) and (node.func.end_lineno, node.func.end_col_offset) == (line, end_column)
        for node in ast.walk(tree)
    )


def made_elsewhere(tree: ast.Module, imports: Mapping[str, str]) -> list[tuple[int, int]]:
    """Where a file calls what it imports and what is named like a class: the lines, and columns of the last name in
    bytes, one place for each name.
    """
    found: dict[str, tuple[int, int]] = {}
    for node in ast.walk(tree):
        path = dotted(node.func) if isinstance(node, ast.Call) and not isinstance(node.func, ast.Subscript) else None
        if path is None or not isinstance(node, ast.Call):
            continue
        first, last = path.split(".")[0], path.rsplit(".", 1)[-1]
        outside = imports.get(first, "").split(".")[0] not in ("", "torch", "torchvision", "numpy")
        if outside and last[:1].isupper():
            end = node.func.end_col_offset or 0
            found.setdefault(path, (node.func.end_lineno or node.lineno, end - len(last.encode())))
    return list(found.values())


def from_modules(method: Method, name: str, line: int) -> FromModules | None:
    """Which modules a loop over a container of `self` gives to a name, as the loops around a line say."""
    found = None
    for node in statements(method.body):
        if not (isinstance(node, ast.For) and node.lineno <= line <= (node.end_lineno or node.lineno)):
            continue
        target, iterated = _paired(node.target, node.iter)
        for part, over in zip(target, iterated, strict=False):
            path = (dotted(over) or "") if isinstance(over, ast.Attribute) else ""
            if path.startswith("self."):
                found = _bound(part, name, path.removeprefix("self.")) or found
    return found


def _paired(target: ast.expr, over: ast.expr) -> tuple[list[ast.expr], list[ast.expr]]:
    """Targets of a loop beside what each runs over: through ``zip`` and ``enumerate``."""
    name = over.func.id if isinstance(over, ast.Call) and isinstance(over.func, ast.Name) else ""
    if isinstance(over, ast.Call) and name == "zip" and isinstance(target, ast.Tuple):
        return target.elts, over.args
    if isinstance(over, ast.Call) and name == "enumerate" and isinstance(target, ast.Tuple) and len(target.elts) == 2:
        return _paired(target.elts[1], over.args[0]) if over.args else ([], [])
    if isinstance(over, ast.Call) and name in ("reversed", "list", "tuple") and over.args:
        return _paired(target, over.args[0])
    return [target], [over]


def _bound(target: ast.expr, name: str, path: str) -> FromModules | None:
    if isinstance(target, ast.Name):
        return FromModules(path, None) if target.id == name else None
    if isinstance(target, (ast.Tuple, ast.List)):
        for position, part in enumerate(target.elts):
            if isinstance(part, ast.Name) and part.id == name:
                return FromModules(path, position)
    return None


def from_shape(method: Method, name: str) -> FromShape | None:
    """The dimension that a name is, if the method binds it once: ``b, t = x.shape``, ``b = x.size(0)``."""
    stores = [
        node
        for statement in method.body
        for node in own_nodes(statement)
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
    ]
    if len(stores) != 1:
        return None
    for node in statements(method.body):
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
            if target is stores[0]:
                return _one_size(node.value, node.lineno)
            if isinstance(target, (ast.Tuple, ast.List)) and stores[0] in target.elts:
                return _unpacked(target.elts, stores[0], node.value, node.lineno)
    return None


def _unpacked(targets: list[ast.expr], name: ast.expr, value: ast.expr, line: int) -> FromShape | None:
    tensor = _sizes_of(value)
    place = targets.index(name)
    if isinstance(value, ast.Tuple) and len(value.elts) == len(targets):
        return _one_size(value.elts[place], line)
    star = next((number for number, item in enumerate(targets) if isinstance(item, ast.Starred)), None)
    if tensor is None or place == star:
        return None
    return FromShape(tensor, line, place if star is None or place < star else place - len(targets))


def _one_size(value: ast.expr, line: int) -> FromShape | None:
    """``x.shape[1]`` and ``x.size(1)``."""
    number: ast.expr | None = None
    tensor: str | None = None
    if isinstance(value, ast.Subscript):
        tensor, number = _sizes_of(value.value), value.slice
    elif isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "size":
        tensor = value.func.value.id if isinstance(value.func.value, ast.Name) else None
        number = value.args[0] if len(value.args) == 1 else None
    try:
        dim = None if number is None else ast.literal_eval(number)
    except ValueError:
        return None
    return FromShape(tensor, line, dim) if tensor is not None and isinstance(dim, int) else None


def _sizes_of(value: ast.expr) -> str | None:
    """The tensor whose sizes an expression is: ``x.shape``, ``x.size()``."""
    if isinstance(value, ast.Call) and not value.args and not value.keywords:
        value, wanted = value.func, "size"
    else:
        wanted = "shape"
    if isinstance(value, ast.Attribute) and value.attr == wanted and isinstance(value.value, ast.Name):
        return value.value.id
    return None
