"""A file as a slice sees it: its statements in the order in which they run, its functions, and who calls them.

The contents of ``if __name__ == "__main__":`` count as statements of the module. Pure.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ts_shape_server.analysis.scopes import (
    COMPREHENSIONS,
    FUNCTIONS,
    bound_by,
    changed_by,
    changed_within,
    inner_blocks,
    last_part,
    own_nodes,
    parameters,
)


@dataclass(frozen=True)
class Step:
    """One block on the way from the module to a statement: its owner, its statements, and the place among them."""

    owner: ast.AST
    body: Sequence[ast.stmt]
    index: int


Way = tuple[Step, ...]


@dataclass(frozen=True)
class Site:
    """A call, and the way to the statement that it stands in."""

    call: ast.Call
    way: Way


@dataclass(frozen=True)
class Value:
    """What a name was bound to: `expression` (or its element `item`), or a parameter of `function`."""

    expression: ast.expr | None
    way: Way
    function: ast.FunctionDef | ast.AsyncFunctionDef | None = None
    item: int | None = None


class Program:
    """The statements of a file by what they bind, with the way to each."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.module: list[ast.stmt] = list(_flat(tree.body))
        self.positions = {id(statement): number for number, statement in enumerate(self.module)}
        self._values: dict[tuple[str, int, int], Value | None] = {}
        self._binders: dict[tuple[str, int], ast.AST | None] = {}
        self._bound: dict[int, frozenset[str]] = {}
        self._assigned: set[str] = set()
        self.changed: set[str] = set()
        self.replaced: dict[int, frozenset[str]] = {}
        """By the first statement of a scope, the names whose objects get another part in it: filled when asked."""
        self.comprehensions: dict[int, list[ast.AST]] = {}
        self.binders: dict[str, list[int]] = {}
        self.changers: dict[str, list[int]] = {}
        self.stars: list[int] = []
        self.shared = frozenset(name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names)
        """The names of the module that its functions assign."""
        for number, statement in enumerate(self.module):
            for name in bound_by(statement):
                self.binders.setdefault(name, []).append(number)
            for name in changed_within(statement):
                self.changers.setdefault(name, []).append(number)
            if isinstance(statement, ast.ImportFrom) and any(alias.name == "*" for alias in statement.names):
                self.stars.append(number)
        self.classes = frozenset(item.name for item in self.module if isinstance(item, ast.ClassDef))
        """The classes of the module itself."""
        self.ways: list[Way] = list(steps(tree))
        self.way_of = {id(way[-1].body[way[-1].index]): way for way in self.ways}
        self.functions: dict[str, list[tuple[ast.FunctionDef | ast.AsyncFunctionDef, Way]]] = {}
        self.attributes: dict[tuple[int, str], list[tuple[ast.expr, Way]]] = {}
        self.sites: dict[str, list[Site]] = {}
        self.calls: list[Site] = []
        self.class_values: dict[tuple[str, str], list[tuple[ast.expr, Way]]] = {}
        """What is assigned inside a class: by the class's name and the last part of the target's."""
        for way in self.ways:
            statement = way[-1].body[way[-1].index]
            self.changed |= changed_by(statement)
            for target, value in _assignments(statement):
                owner = enclosing_class(way)
                if owner is not None:
                    self.class_values.setdefault((owner.name, last_part(target)), []).append((value, way))
                attribute = _of_self(target)
                if attribute is not None:
                    self.attributes.setdefault((id(owner), attribute), []).append((value, way))
            if isinstance(statement, FUNCTIONS):
                self.functions.setdefault(statement.name, []).append((statement, way))
                self._assigned.update(parameters(statement.args))
            for node in own_expressions(statement):
                if isinstance(node, ast.Call):
                    self._add_call(Site(node, way))
                elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    self._assigned.add(node.id)
                elif isinstance(node, COMPREHENSIONS):
                    self.comprehensions.setdefault(id(statement), []).append(node)

    def value_of(self, name: str, way: Way) -> Value | None:
        """What a name was last bound to before the end of a way: an expression, or a function's parameter."""
        if name not in self._assigned:
            return None
        key = (name, id(way[-1].body[way[-1].index]), len(way))
        if key not in self._values:
            self._values[key] = self._value_of(name, way)
        return self._values[key]

    def _value_of(self, name: str, way: Way) -> Value | None:
        scopes = segments(way)
        for number, (owner, inside) in reversed(list(enumerate(scopes))):
            for step in reversed(inside):
                if isinstance(step.owner, (ast.ClassDef, ast.Module)):
                    continue
                for statement in reversed(step.body[: step.index]):
                    if name in self.bound(statement):
                        return self._bound_in(statement, name)
            if isinstance(owner, ast.Module):
                end = self._place(inside) if number == len(scopes) - 1 else len(self.module)
                place = next((place for place in reversed(self.binders.get(name, ())) if place < end), None)
                return None if place is None else self._bound_in(self.module[place], name)
            if isinstance(owner, FUNCTIONS) and name in parameters(owner.args):
                return Value(None, self.way_of[id(owner)], owner)
        return None

    def binder_of(self, name: str, way: Way) -> ast.AST | None:
        """The statement of a function that binds a name before the end of a way, or the function whose parameter it
        is; None where the name is the module's.
        """
        key = (name, id(way[-1].body[way[-1].index]))
        if key not in self._binders:
            self._binders[key] = self._binder_of(name, way)
        return self._binders[key]

    def _binder_of(self, name: str, way: Way) -> ast.AST | None:
        for owner, inside in reversed(segments(way)):
            if isinstance(owner, ast.Module):
                return None
            for step in reversed(inside):
                if isinstance(step.owner, ast.ClassDef):
                    continue
                for statement in reversed(step.body[: step.index]):
                    if name in self.bound(statement):
                        return _binding(statement, name)
                if step.owner is not owner and isinstance(step.owner, ast.stmt) and name in self.bound(step.owner):
                    return _binding(step.owner, name)
            if isinstance(owner, FUNCTIONS) and name in parameters(owner.args):
                return owner
        return None

    def _place(self, inside: Way) -> int:
        """The place among the module's statements that steps lead through."""
        places = (self.positions.get(id(step.body[step.index])) for step in inside)
        return next((place for place in places if place is not None), len(self.module))

    def bound(self, statement: ast.stmt) -> frozenset[str]:
        """`bound_by`, remembered."""
        if id(statement) not in self._bound:
            self._bound[id(statement)] = bound_by(statement)
        return self._bound[id(statement)]

    def _bound_in(self, statement: ast.stmt, name: str) -> Value | None:
        """The last plain assignment of a name inside a statement; None if it is bound in another way."""
        inner = [node for node in own_nodes(statement) if isinstance(node, (ast.Assign, ast.AnnAssign))]
        inner.sort(key=lambda node: node.lineno, reverse=True)
        for node in inner:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name) and target.id == name and node.value is not None:
                    return Value(node.value, self.way_of[id(node)])
                if isinstance(target, (ast.Tuple, ast.List)) and node.value is not None:
                    for number, item in enumerate(target.elts):
                        if isinstance(item, ast.Name) and item.id == name:
                            return Value(node.value, self.way_of[id(node)], item=number)
        return None

    def _add_call(self, site: Site) -> None:
        self.calls.append(site)
        function = site.call.func
        name = (
            function.id
            if isinstance(function, ast.Name)
            else function.attr
            if isinstance(function, ast.Attribute)
            else ""
        )
        self.sites.setdefault(name, []).append(site)


def _binding(statement: ast.stmt, name: str) -> ast.AST:
    """The statement inside a statement that binds a name last."""
    inner = [node for node in own_nodes(statement) if isinstance(node, ast.stmt) and not inner_block_of(node)]
    inner = [node for node in inner if name in bound_by(node)]
    return max(inner, key=lambda node: node.lineno, default=statement)


def inner_block_of(node: ast.stmt) -> bool:
    """Whether a statement has blocks of its own scope inside."""
    return not isinstance(node, (*FUNCTIONS, ast.ClassDef)) and next(iter(inner_blocks(node)), None) is not None


def _flat(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if is_main_guard(statement):
            yield from statement.body  # type: ignore[attr-defined]  # a main guard is an `if`
        else:
            yield statement


def is_main_guard(statement: ast.AST) -> bool:
    """Whether a statement, or a conditional expression, is ``if __name__ == "__main__":``."""
    return (
        isinstance(statement, (ast.If, ast.IfExp))
        and isinstance(statement.test, ast.Compare)
        and any(isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(statement.test))
    )


def steps(tree: ast.Module) -> Iterable[Way]:
    """The way to every statement of the file, outer statements before inner ones."""

    def walk(owner: ast.AST, body: Sequence[ast.stmt], before: Way) -> Iterable[Way]:
        for index, statement in enumerate(body):
            way = (*before, Step(owner, body, index))
            yield way
            for block in inner_blocks(statement):
                yield from walk(statement, block, way)

    return walk(tree, tree.body, ())


def own_expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    """The expression nodes of a statement, without those of statements inside it, in the order of the text."""
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        if node is not statement:
            yield node
        children = [
            child
            for child in ast.iter_child_nodes(node)
            if not isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case))
        ]
        waiting.extend(reversed(children))


def segments(way: Way) -> list[tuple[ast.AST, Way]]:
    """The way cut into scopes, the module first: each function (or the module) with the steps inside it.

    A class has no scope that its methods see, and is passed over.
    """
    found: list[tuple[ast.AST, list[Step]]] = []
    for step in way:
        if isinstance(step.owner, (ast.Module, *FUNCTIONS)):
            found.append((step.owner, []))
        if found:
            found[-1][1].append(step)
    return [(owner, tuple(inside)) for owner, inside in found]


def enclosing_class(way: Way) -> ast.ClassDef | None:
    """The class whose method the way leads into."""
    for step in reversed(way):
        if isinstance(step.owner, ast.ClassDef):
            return step.owner
    return None


def _assignments(statement: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(statement, ast.Assign):
        yield from ((target, statement.value) for target in statement.targets)
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        yield statement.target, statement.value


def _of_self(node: ast.expr) -> str | None:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        return node.attr
    return None
