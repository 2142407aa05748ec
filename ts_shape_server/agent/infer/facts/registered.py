"""The names under which a class is registered, so that a configuration can name it without a path.

A decorator that registers (``@MODELS.register_module()``), or a table of the workspace that has the class under its
name (``{"Net": Net}``). Also reads what a Python file of a configuration sets to literals. Runs nothing.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from ts_shape_server.agent.infer.facts.source import file_tree

MOST_FILES = 400
LARGEST = 1 << 17
_LEFT_OUT = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "env", "build", "dist"})


def names(cls: type, source: str) -> frozenset[str]:
    """The names that the decorators of a class at the top of its file register it under."""
    try:
        tree = file_tree(source)
    except (SyntaxError, ValueError):
        return frozenset()
    node = next((item for item in tree.body if isinstance(item, ast.ClassDef) and item.name == cls.__name__), None)
    found: set[str] = set()
    for decorator in node.decorator_list if node is not None else ():
        call = decorator if isinstance(decorator, ast.Call) else None
        if "register" not in ast.unparse(call.func if call is not None else decorator).lower():
            continue
        given = [*call.args, *(item.value for item in call.keywords if item.arg == "name")] if call is not None else []
        texts = [item.value for item in given if isinstance(item, ast.Constant) and isinstance(item.value, str)]
        found |= set(texts) or {cls.__name__}
    return frozenset(found)


@lru_cache(maxsize=64)
def in_table(cls: type, root: str) -> bool:
    """Whether a dict of the workspace has the class under its name, and only one class there has that name."""
    name = re.escape(cls.__name__)
    entry, definition = re.compile(rf"[\"']{name}[\"']\s*:\s*{name}\b"), re.compile(rf"^class {name}\b", re.MULTILINE)
    listed, defined = False, 0
    for text in _texts(root):
        listed = listed or entry.search(text) is not None
        defined += len(definition.findall(text))
    return listed and defined == 1


def _texts(root: str) -> Iterator[str]:
    number = 0
    for folder, folders, files in os.walk(root) if root else ():
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _LEFT_OUT)
        for name in sorted(files):
            path = os.path.join(folder, name)
            if not name.endswith(".py"):
                continue
            number += 1
            try:
                if os.path.getsize(path) > LARGEST:
                    continue
                with open(path, encoding="utf-8") as file:
                    yield file.read()
            except (OSError, ValueError):
                continue
        if number >= MOST_FILES:
            return


def literals(text: str) -> dict[str, Any]:
    """What a file sets its names to, where that is made of literals, `dict(...)` and such names."""
    found: dict[str, Any] = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target = statement.targets[0]
            if isinstance(target, ast.Name):
                found.pop(target.id, None)
                try:
                    found[target.id] = _value(statement.value, found)
                except (ValueError, TypeError):
                    continue
    return found


def _value(node: ast.expr, known: dict[str, Any]) -> Any:
    """The value of a literal expression. Raises ValueError, TypeError for anything else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        if any(item.arg is None for item in node.keywords):
            raise ValueError
        return {str(item.arg): _value(item.value, known) for item in node.keywords}
    if isinstance(node, ast.Dict):
        if any(key is None for key in node.keys):
            raise ValueError
        return {_value(key, known): _value(item, known) for key, item in zip(node.keys, node.values) if key is not None}
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_value(item, known) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    if isinstance(node, ast.Name):
        if node.id not in known:
            raise ValueError
        return known[node.id]
    return ast.literal_eval(node)
