"""What the statements at the top of a file are for: which only define, which do something, which reach a class.

Pure: it reads syntax trees and runs nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IMPORTS = (ast.Import, ast.ImportFrom)
_BLOCKS = (ast.If, ast.Try, ast.With)
_CATCHES_IMPORT = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


def only_defines(statement: ast.stmt) -> bool:
    """Whether a statement gives names to things and does nothing else that could take time."""
    if isinstance(statement, (*DEFINITIONS, *_IMPORTS)):
        return True
    if isinstance(statement, _BLOCKS):
        return all(only_defines(inner) for inner in _inner(statement))
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):
        return statement.value is None or not any(isinstance(node, ast.Call) for node in ast.walk(statement.value))
    return isinstance(statement, ast.Pass)


def holds_definitions(statement: ast.stmt) -> bool:
    """Whether a block has definitions or imports in it that are worth having if the block as a whole fails."""
    return isinstance(statement, _BLOCKS) and any(
        isinstance(node, (*DEFINITIONS, *_IMPORTS)) for node in ast.walk(statement)
    )


def _inner(statement: ast.stmt) -> Iterator[ast.stmt]:
    for name in ("body", "orelse", "finalbody"):
        yield from getattr(statement, name, ())
    for handler in getattr(statement, "handlers", ()):
        yield from handler.body


def statements(tree: ast.Module, name: str) -> list[ast.stmt]:
    """The top-level statements that define `name` or something it reaches, imports included, in their order.

    Definitions in `if` and `try` blocks count as if they stood at the top; calls and loops that only do something are
    left out.
    """
    flat = list(_flatten(tree.body))
    providers: dict[str, list[int]] = {}
    for position, statement in enumerate(flat):
        for given in bound(statement):
            providers.setdefault(given, []).append(position)
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
    return [
        statement for position, statement in enumerate(flat) if position in chosen or _brings_unknown_names(statement)
    ]


def _brings_unknown_names(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and (
        statement.module == "__future__" or any(alias.name == "*" for alias in statement.names)
    )


def _flatten(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if isinstance(statement, (ast.Try, ast.If)) and not all(map(only_defines, _inner(statement))):
            yield from _flatten(_inner(statement))
        else:
            yield statement


def is_main_guard(statement: ast.stmt) -> bool:
    """``if __name__ == "__main__":``"""
    return isinstance(statement, ast.If) and any(
        isinstance(node, ast.Constant) and node.value == "__main__" for node in ast.walk(statement.test)
    )


def bound(statement: ast.stmt) -> set[str]:
    """The names that a statement gives to the module."""
    if isinstance(statement, DEFINITIONS):
        return {statement.name}
    if isinstance(statement, (ast.For, ast.AsyncFor, ast.While, ast.AugAssign)):
        return set()
    names: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, _IMPORTS):
            names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, DEFINITIONS):
            names.add(node.name)
    return names - {"*"}


def stored(statement: ast.stmt) -> set[str]:
    """The names that a statement would give to the module if it ran to its end, as loops do."""
    if isinstance(statement, DEFINITIONS):
        return {statement.name}
    names = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
    return {node.id for node in names if isinstance(node.ctx, ast.Store)}


def _used(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def guarded_lines(tree: ast.Module) -> frozenset[int]:
    """Lines in a `try` whose handlers take over when an import fails, and do not give up."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any(_takes_over(handler) for handler in node.handlers):
            for statement in node.body:
                lines.update(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1))
    return frozenset(lines)


def _takes_over(handler: ast.ExceptHandler) -> bool:
    caught = [] if handler.type is None else [node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)]
    gives_up = any(isinstance(node, ast.Raise) for node in ast.walk(handler))
    return not gives_up and (handler.type is None or bool(_CATCHES_IMPORT.intersection(caught)))


def future_flags(tree: ast.Module) -> int:
    """The compiler flags of the file's ``from __future__`` imports."""
    import __future__

    flags = 0
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            for alias in statement.names:
                feature = getattr(__future__, alias.name, None)
                flags |= getattr(feature, "compiler_flag", 0)
    return flags
