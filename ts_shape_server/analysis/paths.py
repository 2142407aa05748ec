"""The path that an expression means as far as the text tells: constants, what joins them, and names assigned once.

Nothing is run: a path that depends on arguments, the environment or the time is none. Pure.
"""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Mapping

from ts_shape_server.analysis.modules import dotted, resolve_name

_OF_PATH = frozenset({"Path", "PurePath", "PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath"})
_JOINING = frozenset({"os.path.join", "posixpath.join", *(f"pathlib.{name}" for name in _OF_PATH)})
_KEEPING = frozenset({"str", "os.fspath", "os.path.abspath", "os.path.normpath", "os.path.realpath"})
_KEEPING_METHODS = frozenset({"resolve", "absolute", "as_posix", "__str__", "__fspath__"})
_DEEPEST = 20


def path_text(node: ast.expr, tree: ast.Module, imports: Mapping[str, str]) -> str | None:
    """The path that `node` means in the file `tree`, relative to it where it goes by ``__file__``; None for no path."""
    return _PathReader(tree, imports).text(node, _DEEPEST)


class _PathReader:
    def __init__(self, tree: ast.Module, imports: Mapping[str, str]) -> None:
        self._tree = tree
        self._imports = imports

    def text(self, node: ast.expr, depth: int) -> str | None:
        if depth <= 0:
            return None
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.JoinedStr):
            return self._formatted(node, depth)
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Div)):
            parts = [self.text(item, depth - 1) for item in (node.left, node.right)]
            return _joined(parts, "" if isinstance(node.op, ast.Add) else "/")
        if isinstance(node, ast.Call):
            return self._called(node, depth)
        if isinstance(node, ast.Attribute) and node.attr == "parent":
            owner = self.text(node.value, depth - 1)
            return None if owner is None else _parent(owner)
        if isinstance(node, ast.Name):
            return "__file__" if node.id == "__file__" else self._assigned(node.id, depth)
        return None

    def _formatted(self, node: ast.JoinedStr, depth: int) -> str | None:
        parts: list[str | None] = []
        for item in node.values:
            if isinstance(item, ast.FormattedValue):
                plain = item.format_spec is None and item.conversion in (-1, ord("s"))
                number = isinstance(item.value, ast.Constant) and isinstance(item.value.value, int)
                shown = ast.unparse(item.value) if number else self.text(item.value, depth - 1)
                parts.append(shown if plain else None)
            else:
                parts.append(self.text(item, depth - 1))
        return _joined(parts, "")

    def _called(self, node: ast.Call, depth: int) -> str | None:
        name = dotted(node.func)
        function = None if name is None else resolve_name(name, self._imports)
        given = [self.text(item, depth - 1) for item in node.args]
        if function in _JOINING and given and not node.keywords:
            return _joined(given, "/")
        if function in _KEEPING and len(given) == 1:
            return given[0]
        if function == "os.path.dirname" and len(given) == 1 and given[0] is not None:
            return _parent(given[0])
        if isinstance(node.func, ast.Attribute):
            owner = self.text(node.func.value, depth - 1)
            if node.func.attr == "joinpath":
                return _joined([owner, *given], "/")
            return owner if node.func.attr in _KEEPING_METHODS else None
        return None

    def _assigned(self, name: str, depth: int) -> str | None:
        """What the one assignment of a name in the file gives it; None where there are more, or it is a parameter."""
        values: list[ast.expr | None] = []
        for node in ast.walk(self._tree):
            if isinstance(node, ast.arg) and node.arg == name:
                return None
            if isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load):
                values.append(None)
            if isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if len(targets) == 1 and isinstance(targets[0], ast.Name) and targets[0].id == name:
                    values.append(node.value)
        found = [value for value in values if value is not None]
        # Each assignment is met twice: as a statement, and by the name that it stores.
        return self.text(found[0], depth - 1) if len(found) == 1 and len(values) == 2 else None


def _joined(parts: list[str | None], sign: str) -> str | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    return posixpath.join(*known) if sign else "".join(known)


def _parent(path: str) -> str:
    """The folder of a path; one that is relative to the file itself goes up from there."""
    if path in (".", "") or path.endswith(".."):
        return posixpath.normpath(posixpath.join(path, ".."))
    return posixpath.dirname(path) or "."
