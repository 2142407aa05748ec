"""Spells a module that a few statements made and changed as one expression: a backbone whose classifier was replaced.

``net = resnet18()`` and ``net.fc = nn.Identity()`` become ``(lambda net: (setattr(net, 'fc', nn.Identity()), net)[-1])
(resnet18())``. Reads the statements, runs nothing; what it does not know how to spell has no spelling.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from ts_shape_server.agent.infer.guesses import portable

MAXIMUM = 12
"""Statements."""


def spelled(setup: str, text: str, namespace: Mapping[str, Any], own: Mapping[str, Any]) -> str | None:
    """An expression in `own` for what `text` is after the statements of `setup` ran in `namespace`; None if there is
    none. Names of `setup` that `text` does not need may hold anything.
    """
    try:
        statements, asked = ast.parse(setup).body, ast.parse(text, mode="eval").body
    except SyntaxError:
        return None
    needed = _needed(statements, _names(asked))
    bound = {name for item in needed for name in _bound(item)}
    if not needed or len(needed) > MAXIMUM:
        return None
    speller = _Names(namespace, own, bound)
    try:
        expression: ast.expr = speller.spelled(asked)
        for statement in reversed(needed):
            expression = _before(statement, expression, speller)
    except portable.NoSpelling:
        return None
    found = ast.unparse(ast.fix_missing_locations(expression))
    return found if len(found) <= portable.MAXIMUM_LENGTH else None


def _needed(statements: Sequence[ast.stmt], wanted: set[str]) -> list[ast.stmt]:
    """The statements that make or change what is wanted, imports left out: what is imported is spelled by its name."""
    kept: list[ast.stmt] = []
    for statement in reversed(statements):
        if not isinstance(statement, (ast.Import, ast.ImportFrom)) and _concerns(statement, wanted):
            kept.append(statement)
            wanted = wanted | _names(statement)
    return kept[::-1]


def _concerns(statement: ast.stmt, wanted: set[str]) -> bool:
    """Whether a statement may make or change one of the wanted names: an assignment does so only to its targets."""
    if isinstance(statement, ast.Assign):
        return any(_root(target) in wanted or _stored(target) & wanted for target in statement.targets)
    return bool(_names(statement) & wanted) and not _only_freezes(statement) and not _only_prints(statement)


def _stored(node: ast.AST) -> set[str]:
    return {item.id for item in ast.walk(node) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)}


def _bound(statement: ast.stmt) -> set[str]:
    """The name that a plain assignment binds."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _root(node: ast.AST) -> str:
    """The name whose object an assignment changes: ``net`` of ``net.head.fc``."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _only_freezes(statement: ast.stmt) -> bool:
    """Whether a loop does no more than to say that parameters are not trained, which changes no size."""
    return isinstance(statement, ast.For) and all(
        isinstance(item, ast.Assign)
        and all(isinstance(target, ast.Attribute) and target.attr == "requires_grad" for target in item.targets)
        for item in (*statement.body, *statement.orelse)
    )


def _only_prints(statement: ast.stmt) -> bool:
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print"


def _before(statement: ast.stmt, then: ast.expr, speller: _Names) -> ast.expr:
    """An expression that does what the statement does, and has the value of `then`. Raises NoSpelling."""
    if isinstance(statement, ast.Expr):
        return _last(speller.spelled(statement.value), then)
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        raise portable.NoSpelling
    target, value = statement.targets[0], speller.spelled(statement.value)
    if isinstance(target, ast.Name):
        if isinstance(then, ast.Name) and then.id == target.id:
            return value
        parameters = ast.arguments([], [ast.arg(target.id)], None, [], [], None, [])
        return ast.Call(ast.Lambda(parameters, then), [value], [])
    owner = speller.spelled(target.value) if isinstance(target, (ast.Attribute, ast.Subscript)) else None
    if isinstance(target, ast.Attribute) and owner is not None:
        change = ast.Call(ast.Name("setattr", ast.Load()), [owner, ast.Constant(target.attr), value], [])
        return _last(change, then)
    if isinstance(target, ast.Subscript) and owner is not None and not isinstance(target.slice, ast.Slice):
        setter = ast.Attribute(owner, "__setitem__", ast.Load())
        return _last(ast.Call(setter, [speller.spelled(target.slice), value], []), then)
    raise portable.NoSpelling


def _last(first: ast.expr, then: ast.expr) -> ast.expr:
    """Both in their order, with the value of the second."""
    return ast.Subscript(ast.Tuple([first, then], ast.Load()), ast.UnaryOp(ast.USub(), ast.Constant(1)), ast.Load())


def _names(node: ast.AST) -> set[str]:
    return {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}


class _Names(portable.Names):
    """Spells the names that the statements do not bind themselves."""

    def __init__(self, namespace: Mapping[str, Any], own: Mapping[str, Any], bound: set[str]) -> None:
        super().__init__(namespace, own)
        self._bound = bound

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return node if node.id in self._bound else super().visit_Name(node)

    def spelled(self, node: ast.expr) -> ast.expr:
        """The expression with its names spelled. Raises NoSpelling."""
        found = self.visit(node)
        assert isinstance(found, ast.expr)
        return found

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        raise portable.NoSpelling

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_Lambda  # type: ignore[assignment]
