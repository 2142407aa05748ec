"""Runs of a slice what can be run: a data set that is not here costs the arguments that depend on it, and no others.

A statement that fails loses what it would have bound, what it may have changed before it failed, and with that every
later statement that needs it. An attribute that would have been set is lost alone: the object keeps its others. A
module that lacks no more than numbers for its constructor is made with guesses for them. Decides nothing about
arguments.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ts_shape_server.agent.clock import TimeLimit
from ts_shape_server.agent.command_lines import ByName
from ts_shape_server.agent.infer.facts import open_numbers

_SIMPLE = (ast.Assign, ast.AnnAssign, ast.AugAssign)


@dataclass
class Lost:
    """Names that hold nothing now, the attributes of other objects that were not set, and the numbers that were
    guessed for parameters of modules.
    """

    names: set[str] = field(default_factory=set)
    attributes: list[tuple[Any, str]] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)


def run(tree: ast.Module, path: str, namespace: dict[str, Any], by_name: ByName) -> Lost:
    """Run each statement in `namespace`. Raises `TimeLimit`, and nothing that the statements raise. In `tree` a
    statement that ran with guesses for numbers is the one with the guesses.
    """
    lost = Lost()
    for place, statement in enumerate(tree.body):
        if _ran(statement, path, namespace):
            continue
        guessed, numbers = open_numbers.filled(statement, namespace, by_name)
        if numbers and _ran(guessed, path, namespace):
            tree.body[place] = guessed
            lost.numbers.update(numbers)
        else:
            _lose(statement, namespace, lost)
    return lost


def _ran(statement: ast.stmt, path: str, namespace: dict[str, Any]) -> bool:
    code = compile(ast.Module([statement], []), path or "<evidence>", "exec", dont_inherit=True)
    try:
        exec(code, namespace)
    except TimeLimit:
        raise
    except (Exception, SystemExit):
        return False
    return True


def _lose(statement: ast.stmt, namespace: dict[str, Any], lost: Lost) -> None:
    reached = {id(namespace[name]) for name in _reached(statement, namespace) if name in namespace}
    names = {name for name, value in namespace.items() if id(value) in reached} | set(_stored(statement))
    for target in _targets(statement):
        owner = _value(target.value, namespace) if isinstance(target, ast.Attribute) else None
        if isinstance(target, ast.Attribute) and owner is not None and isinstance(statement, _SIMPLE):
            if hasattr(owner, "__dict__"):
                vars(owner).pop(target.attr, None)
                lost.attributes.append((owner, target.attr))
            else:
                names.add(_root(target))
        elif not isinstance(target, ast.Name):
            names |= {_root(target)}
    for name in names:
        namespace.pop(name, None)
    lost.names |= names


def _targets(statement: ast.stmt) -> Iterator[ast.expr]:
    """What the statement, or one inside of it, assigns to."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Assign):
            yield from node.targets
        elif isinstance(node, (ast.AnnAssign, ast.AugAssign)):
            yield node.target


def _stored(statement: ast.stmt) -> Iterator[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
            yield node.id
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).split(".")[0]
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name


def _reached(statement: ast.stmt, namespace: dict[str, Any]) -> Iterator[str]:
    """Names whose objects a call in the statement may have changed: what it is a method of, and what it is given."""
    for node in ast.walk(statement):
        if not isinstance(node, ast.Call):
            continue
        given = [*node.args, *(item.value for item in node.keywords)]
        plain = [item.value if isinstance(item, ast.Starred) else item for item in given]
        names = [item.id for item in plain if isinstance(item, ast.Name)]
        if isinstance(node.func, ast.Attribute):
            names.append(_root(node.func))
        fixed = (types.ModuleType, types.FunctionType, type, int, float, str, type(None))
        yield from (name for name in names if not isinstance(namespace.get(name), fixed))


def _root(node: ast.expr) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call, ast.Starred)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _value(node: ast.expr, namespace: dict[str, Any]) -> Any:
    """What a name or an attribute of one holds; None where it holds nothing."""
    if isinstance(node, ast.Name):
        return namespace.get(node.id)
    owner = _value(node.value, namespace) if isinstance(node, ast.Attribute) else None
    return getattr(owner, node.attr, None) if isinstance(node, ast.Attribute) and owner is not None else None
