"""Guesses the one number that the construction of a module lacks, where a data set that is not here was to give it.

``GConv(dataset.num_features, 512)`` says which class goes into another one, and all of its sizes but one. Only what is
given to a module class and is used like a number there is guessed, by the name of its parameter: a module, a list or a
config that is missing is not. Runs no statement.
"""

from __future__ import annotations

import ast
import copy
import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

from torch import nn

from ts_shape_server.agent import standins
from ts_shape_server.agent.command_lines import ByName
from ts_shape_server.agent.infer.facts.uses import Use, uses_of

Node = TypeVar("Node", ast.stmt, ast.expr)


def filled(node: Node, namespace: Mapping[str, Any], by_name: ByName) -> tuple[Node, Mapping[str, int]]:
    """`node` with such numbers put in, each by the name of its parameter, and those by name; itself where there are
    none.
    """
    filler = _Filler(namespace, by_name)
    made: Node = filler.visit(copy.deepcopy(node))
    return (ast.fix_missing_locations(made), filler.guessed) if filler.guessed else (node, {})


def changed(expression: str, name: str, number: int, other: int) -> str:
    """An expression with another number where a call passes that one by that name."""
    tree = ast.parse(expression, mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == name and isinstance(node.value, ast.Constant):
            node.value = ast.Constant(other) if node.value.value == number else node.value
    return ast.unparse(tree)


class _Filler(ast.NodeTransformer):
    def __init__(self, namespace: Mapping[str, Any], by_name: ByName) -> None:
        self.guessed: dict[str, int] = {}
        self._namespace = namespace
        self._by_name = by_name

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        kind = _value(node.func, self._namespace)
        if not inspect.isclass(kind) or not issubclass(kind, nn.Module) or _is_spread(node):
            return node
        try:
            names = list(inspect.signature(kind).parameters)
        except (TypeError, ValueError):
            return node
        uses = uses_of(kind)
        given = [self._number(item, name, uses) for item, name in zip(node.args, names)]
        first = next((place for place, item in enumerate(given) if item is not node.args[place]), len(given))
        for keyword in node.keywords:
            keyword.value = self._number(keyword.value, str(keyword.arg), uses)
        if first < len(given) == len(node.args):
            named = [ast.keyword(name, item) for name, item in zip(names[first:], given[first:])]
            node.args, node.keywords = node.args[:first], [*named, *node.keywords]
        return node

    def _number(self, node: ast.expr, name: str, uses: Mapping[str, Use]) -> ast.expr:
        if name not in uses or not _may_be_number(uses[name]) or not _is_missing(node, self._namespace):
            return node
        try:
            number = ast.literal_eval(self._by_name(name))
        except (SyntaxError, ValueError):
            return node
        if type(number) is not int:
            return node
        self.guessed[name] = number
        return ast.Constant(number)


def _may_be_number(use: Use) -> bool:
    others = (use.called, use.indexed, use.iterated, use.attributes, use.keys, use.strings, use.spread)
    return not any(others) and "called" not in use.stored


def _is_missing(node: ast.expr, namespace: Mapping[str, Any]) -> bool:
    """Whether an argument cannot be had here, or is a stand-in for what a missing package would give."""
    if not any(isinstance(item, ast.Name) for item in ast.walk(node)) or isinstance(node, ast.Lambda):
        return False
    return isinstance(_value(node, namespace, _ABSENT), (_Absent, standins.Inert))


class _Absent:
    """What could not be evaluated."""


_ABSENT = _Absent()


def _value(node: ast.expr, namespace: Mapping[str, Any], otherwise: Any = None) -> Any:
    try:
        return eval(compile(ast.Expression(node), "<evidence>", "eval", dont_inherit=True), dict(namespace))
    except Exception:
        return otherwise


def _is_spread(node: ast.Call) -> bool:
    return any(isinstance(item, ast.Starred) for item in node.args) or any(item.arg is None for item in node.keywords)
