"""The source of a function, a class or a file as text and as a tree, each read once. Knows no torch."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import textwrap
from collections.abc import Mapping
from typing import Any


def function_tree(function: Any) -> ast.FunctionDef | None:
    """The syntax tree of a function, line numbers as in its file; None without source. It is shared: only read it."""
    try:
        return _tree_of(inspect.unwrap(function))
    except (TypeError, ValueError):
        return None


@functools.lru_cache(maxsize=1024)
def _tree_of(function: Any) -> ast.FunctionDef | None:
    try:
        lines, start = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError, ValueError, IndentationError):
        return None
    found = tree.body[0] if tree.body else None
    if not isinstance(found, ast.FunctionDef):
        return None
    ast.increment_lineno(found, start - 1)
    return found


@functools.lru_cache(maxsize=1024)
def class_lines(cls: type) -> tuple[tuple[str, ...], int]:
    """The lines of a class and the number of the first. Raises `OSError` or `TypeError` without source.

    `inspect` parses the whole file anew for each class before Python 3.13.
    """
    path = inspect.getsourcefile(cls)
    every = linecache.getlines(path) if path else []
    try:
        top = [item for item in file_tree("".join(every)).body if getattr(item, "name", None) == cls.__qualname__]
    except (SyntaxError, ValueError):
        top = []
    if len(top) == 1 and isinstance(top[0], ast.ClassDef):
        start = min([top[0].lineno, *(item.lineno for item in top[0].decorator_list)])
        return tuple(every[start - 1 : top[0].end_lineno]), start
    lines, start = inspect.getsourcelines(cls)
    return tuple(lines), start


@functools.lru_cache(maxsize=16)
def file_tree(text: str) -> ast.Module:
    """The syntax tree of a file's text. It is shared: only read it. Raises `SyntaxError` or `ValueError`."""
    return ast.parse(text)


def taken(tree: ast.FunctionDef) -> list[ast.arg]:
    """The named parameters of a method, without the one for the instance, which a static method does not have."""
    every = [*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs]
    static = any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in tree.decorator_list)
    return every if static else every[1:]


def only_raises(function: Any) -> bool:
    """Whether a method does nothing but raise `NotImplementedError`, or by a slip of the pen `NotImplemented`: it is
    there to be overridden.
    """
    tree = function_tree(function)
    body = [] if tree is None else [item for item in tree.body if not _is_text(item)]
    if len(body) != 1 or not isinstance(body[0], ast.Raise):
        return False
    raised = body[0].exc.func if isinstance(body[0].exc, ast.Call) else body[0].exc
    return isinstance(raised, ast.Name) and raised.id in ("NotImplementedError", "NotImplemented")


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def words_of(text: str) -> frozenset[str]:
    """The identifiers in a text."""
    return frozenset("".join(sign if sign.isalnum() or sign == "_" else " " for sign in text).split())


def names_in_line(source_lines: Mapping[int, str], line: int) -> frozenset[str]:
    """The identifiers that stand in a line."""
    return words_of(source_lines.get(line, ""))
