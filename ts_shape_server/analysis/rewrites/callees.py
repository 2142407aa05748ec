"""Which functions of a file a call may be of: through the attributes that a constructor sets, module lists and loops
over them. Knows text only, and no rewrites. Pure.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.situation import Definition, Situation
from ts_shape_server.analysis.scopes import FUNCTIONS

_DEPTH = 6


def callees(situation: Situation, call: ast.Call) -> list[tuple[ast.ClassDef | None, Definition]] | None:
    """The functions that a call may be of, with their classes (`forward` for a module); None where one is not known."""
    function = situation.function_of(call)
    owner = situation.owner(function) if function is not None else None
    tops = {item.name: item for item in situation.tree.body if isinstance(item, (*FUNCTIONS, ast.ClassDef))}
    called = call.func
    if isinstance(called, ast.Name) and isinstance(tops.get(called.id), FUNCTIONS):
        found = tops[called.id]
        return [(None, found)] if isinstance(found, FUNCTIONS) else None
    if isinstance(called, ast.Attribute) and ast.unparse(called.value) == "self" and owner is not None:
        method = situation.method(owner, called.attr)
        if method is not None:
            return [(owner, method)]
    made = list(_stands_for(situation, called, function, owner, _DEPTH))
    found_classes: list[tuple[ast.ClassDef | None, Definition]] = []
    for node in made:
        name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        top = tops.get(name)
        forward = situation.method(top, "forward") if isinstance(top, ast.ClassDef) else None
        if not isinstance(top, ast.ClassDef) or forward is None:
            return None
        found_classes.append((top, forward))
    return list(dict.fromkeys(found_classes)) or None


def calls_of(situation: Situation, wanted: Definition) -> Iterator[ast.Call]:
    """The calls of a function in this file, as far as they are known to be of it."""
    for node in ast.walk(situation.tree):
        if isinstance(node, ast.Call) and any(item is wanted for _, item in callees(situation, node) or ()):
            yield node


def _stands_for(
    situation: Situation, node: ast.expr, function: Definition | None, owner: ast.ClassDef | None, depth: int
) -> Iterator[ast.expr]:
    """The expressions that make what an expression stands for."""
    if depth == 0:
        return
    if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self" and owner is not None:
        for item in ast.walk(owner):
            if isinstance(item, ast.Assign) and any(
                ast.unparse(target) == f"self.{node.attr}" for target in item.targets
            ):
                yield item.value
    elif isinstance(node, ast.Subscript):
        yield from _items(situation, node.value, function, owner, depth - 1)
    elif isinstance(node, ast.Name) and function is not None:
        for item in ast.walk(function):
            if isinstance(item, (ast.For, ast.comprehension)):
                for path in _paths(item.target, node.id):
                    yield from _iterated(situation, item.iter, path, function, owner, depth - 1)
            elif isinstance(item, ast.Assign) and any(ast.unparse(target) == node.id for target in item.targets):
                yield from _stands_for(situation, item.value, function, owner, depth - 1)


def _paths(target: ast.expr, name: str) -> Iterator[tuple[int, ...]]:
    """Where a name stands in what a loop unpacks."""
    if isinstance(target, ast.Name) and target.id == name:
        yield ()
    for place, item in enumerate(target.elts if isinstance(target, (ast.Tuple, ast.List)) else ()):
        for path in _paths(item, name):
            yield (place, *path)


def _iterated(
    situation: Situation,
    node: ast.expr,
    path: tuple[int, ...],
    function: Definition | None,
    owner: ast.ClassDef | None,
    depth: int,
) -> Iterator[ast.expr]:
    """What stands at a place of the items that a loop goes through."""
    name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
    arguments = node.args if isinstance(node, ast.Call) else []
    if name == "enumerate" and arguments:
        if path[:1] == (1,):
            yield from _iterated(situation, arguments[0], path[1:], function, owner, depth)
    elif name == "zip":
        if path and path[0] < len(arguments):
            yield from _iterated(situation, arguments[path[0]], path[1:], function, owner, depth)
    elif name == "reversed" and arguments:
        yield from _iterated(situation, arguments[0], path, function, owner, depth)
    else:
        for item in _items(situation, node, function, owner, depth):
            yield from _within(situation, item, path)


def _within(situation: Situation, node: ast.expr, path: tuple[int, ...]) -> Iterator[ast.expr]:
    """What stands at a place inside an item that is a list of modules itself."""
    if not path:
        yield node
        return
    inner = _listed(situation, node)
    if path[0] < len(inner):
        yield from _within(situation, inner[path[0]], path[1:])


def _items(
    situation: Situation, node: ast.expr, function: Definition | None, owner: ast.ClassDef | None, depth: int
) -> Iterator[ast.expr]:
    """The items of a list of modules."""
    for made in _stands_for(situation, node, function, owner, depth):
        yield from _listed(situation, made)
    for item in ast.walk(owner) if owner is not None else ():
        if isinstance(item, ast.Call) and ast.unparse(item.func) == f"{ast.unparse(node)}.append" and item.args:
            yield item.args[0]


def _listed(situation: Situation, node: ast.expr) -> list[ast.expr]:
    """The items of a list that is written out, or made by a comprehension."""
    if isinstance(node, ast.Call) and situation.path_of(node.func) in ("torch.nn.ModuleList", "torch.nn.Sequential"):
        inner = node.args[0] if len(node.args) == 1 else None
        if inner is None:
            return list(node.args)
        return _listed(situation, inner.value if isinstance(inner, ast.Starred) else inner) or [inner]
    if isinstance(node, (ast.List, ast.Tuple)):
        return list(node.elts)
    if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
        return [node.elt]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return _listed(situation, node.left)
    return []
