"""Which parameters are gone through item by item beside something that the module has: ``zip(self.heads, features)``,
``self.heads[i](features[i])``. Such a parameter is a list, as long as its companion. Reads; runs nothing.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ts_shape_server.agent.infer.facts.source import function_tree

MOST = 64
"""A longer list is none that is passed item by item."""


@dataclass
class _Loops:
    """What loops bind: numbers by the attribute that they count, items by their number and by what they come from."""

    counted: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)
    drawn: dict[str, str] = field(default_factory=dict)
    walked: dict[str, tuple[str, str]] = field(default_factory=dict)
    zipped: list[tuple[str, str, int]] = field(default_factory=list)


def lengths(function: Any, module: Any) -> dict[str, int]:
    """For each parameter of the method `function` that has a companion in `module`, how many items it has."""
    found = _own_lengths(function, module)
    tree = function_tree(function)
    for node in ast.walk(tree) if tree is not None else ():
        method = _own(node.func) if isinstance(node, ast.Call) else None
        called = getattr(type(module), method, None) if method is not None else None
        if not isinstance(node, ast.Call) or not inspect.isfunction(called):
            continue
        inner = _own_lengths(called, module)
        names = list(inspect.signature(called).parameters)[1:]
        passed = [*zip(names, node.args), *((item.arg or "", item.value) for item in node.keywords)]
        for name, argument in passed:
            if name in inner and isinstance(argument, ast.Name):
                found.setdefault(argument.id, inner[name])
    return found


def _own_lengths(function: Any, module: Any) -> dict[str, int]:
    """The same from the body of that method alone."""
    tree = function_tree(function)
    if tree is None:
        return {}
    parameters = {item.arg for item in [*tree.args.args, *tree.args.kwonlyargs]}
    rebound: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            rebound[node.id] = min(node.lineno, rebound.get(node.id, node.lineno))
    found: dict[str, int] = {}
    for name, attribute, line, chosen in _pairs(tree):
        length = _length(getattr(module, attribute, None), chosen)
        if name in parameters and length is not None and line <= rebound.get(name, line):
            found[name] = max(length, found.get(name, 0))
    return found


def _pairs(tree: ast.FunctionDef) -> Iterator[tuple[str, str, int, bool]]:
    """Names with the attribute beside them and the line, and whether the attribute's items choose among theirs."""
    loops = _Loops()
    for node in ast.walk(tree):
        if isinstance(node, (ast.For, ast.comprehension)):
            _read(loops, node.target, node.iter)
    yield from ((name, attribute, line, False) for name, attribute, line in loops.zipped)
    for node in ast.walk(tree):
        for argument in node.args if isinstance(node, ast.Call) else ():
            item = _item(argument)
            if isinstance(argument, ast.Name) and argument.id in loops.walked:
                # ``for k, x in enumerate(xs)``: here `x` is ``xs[k]``.
                item = loops.walked[argument.id]
            attribute = _called(node.func, item[1], loops) if item is not None and isinstance(node, ast.Call) else None
            if item is not None and attribute is not None:
                yield item[0], attribute, argument.lineno, False
        item = _item(node)
        if item is not None and item[1] in loops.drawn:
            yield item[0], loops.drawn[item[1]], getattr(node, "lineno", 0), True


def _read(loops: _Loops, target: ast.expr, source: ast.expr) -> None:
    counter: str | None = None
    numbered = _arguments(source, "enumerate")
    if numbered and isinstance(target, ast.Tuple) and len(target.elts) == 2:
        counter = target.elts[0].id if isinstance(target.elts[0], ast.Name) else None
        target, source = target.elts[1], numbered[0]
    if counter is not None and isinstance(target, ast.Name) and isinstance(source, ast.Name):
        loops.walked[target.id] = (source.id, counter)
    attribute = _own(source)
    if attribute is not None and isinstance(target, ast.Name):
        loops.drawn[target.id] = attribute
        if counter is not None:
            loops.counted[counter] = attribute
            loops.numbers[target.id] = counter
    paired = _arguments(source, "zip")
    own = [name for name in map(_own, paired) if name is not None]
    loops.zipped += [(item.id, own[0], item.lineno) for item in paired if isinstance(item, ast.Name) and own]


def _called(function: ast.expr, index: str, loops: _Loops) -> str | None:
    """The attribute of which the item at `index` is called."""
    if isinstance(function, ast.Name) and loops.numbers.get(function.id) == index:
        return loops.counted[index]
    if isinstance(function, ast.Subscript) and isinstance(function.slice, ast.Name) and function.slice.id == index:
        return _own(function.value)
    return None


def _item(node: ast.AST) -> tuple[str, str] | None:
    """The names of ``x[i]``."""
    if not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Name):
        return None
    return (node.value.id, node.slice.id) if isinstance(node.slice, ast.Name) else None


def _arguments(node: ast.expr, name: str) -> list[ast.expr]:
    """The arguments of a call of that builtin; none of anything else."""
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    return node.args if called and isinstance(node, ast.Call) else []


def _own(node: ast.expr) -> str | None:
    """The name of ``self.name``."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        return node.attr
    return None


def _length(companion: Any, chosen: bool) -> int | None:
    """How many items go with a companion, or are chosen by its numbers; None for none, or too many to be passed."""
    try:
        items = list(islice(companion, MOST + 1))
    except Exception:
        return None
    whole = bool(items) and all(type(item) is int for item in items)
    if chosen and not whole:
        return None
    length = max(item + 1 if item >= 0 else -item for item in items) if chosen else len(items)
    return length if 1 <= length <= MOST else None
