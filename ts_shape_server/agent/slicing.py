"""A file that cannot be imported as it stands, cut down to one class and the definitions that it reaches.

Top-level calls, loops and assignments that nothing reaches are not run; a reached one that fails is left out. Pure
but for `execute`, which runs what is left, statement by statement.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def statements(tree: ast.Module, name: str) -> list[ast.stmt]:
    """The top-level statements that define `name` or something it reaches, imports included, in their order."""
    flat = list(_flatten(tree.body))
    providers: dict[str, list[int]] = {}
    for position, statement in enumerate(flat):
        for bound in _bound(statement):
            providers.setdefault(bound, []).append(position)
    wanted = [name]
    chosen: set[int] = set()
    seen: set[str] = set()
    while wanted:
        current = wanted.pop()
        if current in seen:
            continue
        seen.add(current)
        for position in providers.get(current, ()):
            if position not in chosen:
                chosen.add(position)
                wanted.extend(_used(flat[position]))
    stars = {
        position
        for position, statement in enumerate(flat)
        if isinstance(statement, ast.ImportFrom)
        and (statement.module == "__future__" or any(alias.name == "*" for alias in statement.names))
    }
    return [statement for position, statement in enumerate(flat) if position in chosen | stars]


def _flatten(body: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    """Statements, with those in `try` and `if` blocks lifted out; the main guard is dropped."""
    for statement in body:
        if isinstance(statement, ast.Try):
            yield statement if _only_imports(statement) else ast.Pass()
            if not _only_imports(statement):
                yield from _flatten(statement.body)
        elif isinstance(statement, ast.If):
            if "__main__" in ast.dump(statement.test):
                continue
            if any(isinstance(inner, (*_DEFINITIONS, ast.Import, ast.ImportFrom)) for inner in ast.walk(statement)):
                yield statement
        else:
            yield statement


def _only_imports(statement: ast.Try) -> bool:
    return any(isinstance(inner, (ast.Import, ast.ImportFrom)) for inner in statement.body)


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a statement gives to the module."""
    if isinstance(statement, _DEFINITIONS):
        return {statement.name}
    names: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, _DEFINITIONS):
            names.add(node.name)
    if isinstance(statement, (ast.For, ast.While, ast.With)):
        return set()
    return names


def _used(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def execute(chosen: list[ast.stmt], path: str, namespace: dict[str, Any], needed: str) -> BaseException | None:
    """Run the statements; the exception of the one that defines `needed` if it fails, or of the first that failed."""
    first: BaseException | None = None
    for statement in chosen:
        module = ast.Module([statement], [])
        try:
            exec(compile(module, path, "exec", dont_inherit=True), namespace)
        except Exception as error:
            if getattr(statement, "name", "") == needed:
                return error
            first = first or error
    return None if needed in namespace else first or NameError(f"name '{needed}' is not defined")
