"""Imports that an edit of a file needs, as text edits: in the file's own style, below its imports of the same kind.

The one place that adds imports. A name that the file has already is used as it is (``import math as m``); a new line
stands below a docstring, comments and ``from __future__`` imports, wherever those are. Pure.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator, Sequence

from ts_shape_server.analysis.scopes import FUNCTIONS, bound_by
from ts_shape_server.analysis.syntax import first_line
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range, TextEdit


def ensure_import(source: SourceText, tree: ast.Module, module: str) -> tuple[str, list[TextEdit]]:
    """What a module is called in a file, and the edits that import it where it is not."""
    imports = Imports(source, tree)
    return imports.module(module), imports.edits()


def without_import(
    source: SourceText, tree: ast.Module, names: Collection[str], with_group: bool = False
) -> list[TextEdit]:
    """The edits that take names out of the imports at the top of a file, with the statement that has no other, and
    `with_group` with the empty line below a statement that stands by itself.
    """
    edits: list[TextEdit] = []
    for node in tree.body:
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        bound = [alias.asname or alias.name.split(".")[0] for alias in node.names]
        gone = [place for place, name in enumerate(bound) if name in names]
        alone = node.lineno not in {other.lineno for other in tree.body if other is not node}
        if gone and len(gone) == len(bound) and alone:
            after = (node.end_lineno or node.lineno) + 1
            above = source.line(node.lineno - 1).strip() if node.lineno > 1 else ""
            after += with_group and not above and after < len(source.lines) and not source.line(after).strip()
            edits.append(TextEdit(Range(node.lineno, 0, after, 0), ""))
        elif gone and len(gone) < len(bound):
            edits += [_without([source.range_of(alias) for alias in node.names], place) for place in gone]
    return edits


def _without(spans: list[Range], place: int) -> TextEdit:
    """The edit that takes an item out of a list with commas: up to the next one, or from the one before."""
    span = spans[place]
    if place + 1 < len(spans):
        after = spans[place + 1]
        return TextEdit(Range(span.line, span.column, after.line, after.column), "")
    before = spans[place - 1]
    return TextEdit(Range(before.end_line, before.end_column, span.end_line, span.end_column), "")


class Imports:
    """The imports of one file: remembers what has to be new. `known` are the names that it has, with their paths."""

    def __init__(self, source: SourceText, tree: ast.Module) -> None:
        self._source = source
        self._tree = tree
        self.known = dict(_runtime_imports(tree.body))
        self._bound = {name for statement in tree.body for name in bound_by(statement)}
        self._missing: dict[str, list[str]] = {}
        self._missing_modules: list[str] = []

    def module(self, module: str) -> str:
        """The name of a module in this file."""
        for name, path in self.known.items():
            if path == module:
                return name
        if module not in self._missing_modules:
            self._missing_modules.append(module)
        return module

    def member(self, module: str, word: str) -> str:
        """A member of a module: by the name that it is imported as, else through the module, else newly imported."""
        for path in (f"{module}.{word}", f"typing_extensions.{word}" if module == "typing" else ""):
            for name, imported in self.known.items():
                if imported == path:
                    return name
        for name, imported in self.known.items():
            if imported == module:
                return f"{name}.{word}"
        if word in self._bound or not word[:1].isupper():
            if module not in self._missing_modules:
                self._missing_modules.append(module)
            return f"{module}.{word}"
        missing = self._missing.setdefault(module, [])
        if word not in missing:
            missing.append(word)
        return word

    def edits(self) -> list[TextEdit]:
        """The edits that import what was asked for and is not imported yet."""
        edits: list[TextEdit] = []
        lines: dict[str, list[str]] = {}
        for module in self._missing_modules:
            lines.setdefault(module, []).append(f"import {module}")
        for module, words in sorted(self._missing.items()):
            known = self._from_import(module)
            if known is not None:
                edits += self._added_to(known, sorted(words))
            else:
                lines.setdefault(module, []).append(f"from {module} import {', '.join(sorted(words))}")
        return [*edits, *self._new_lines(lines)]

    def _from_import(self, module: str) -> ast.ImportFrom | None:
        """A ``from module import …`` at the top of the file."""
        for node in self._tree.body:
            if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                break
            from_there = isinstance(node, ast.ImportFrom) and node.module == module and not node.level
            if isinstance(node, ast.ImportFrom) and from_there and node.names[0].name != "*":
                return node
        return None

    def _added_to(self, node: ast.ImportFrom, words: Sequence[str]) -> Iterator[TextEdit]:
        """New names in an import: in their place where its names are sorted, else at its end."""
        names = [alias.name for alias in node.names]
        in_order = names == sorted(names, key=_order)
        spans = [self._source.range_of(alias) for alias in node.names]
        one_a_line = len({span.line for span in spans} | {node.lineno}) == len(spans) + 1
        last = spans[-1]
        for word in words:
            after = [span for name, span in zip(names, spans, strict=True) if _order(name) > _order(word)]
            if in_order and after:
                place = Range(after[0].line, after[0].column, after[0].line, after[0].column)
                gap = self._source.newline + " " * after[0].column if one_a_line else " "
                yield TextEdit(place, f"{word},{gap}")
            else:
                place = Range(last.end_line, last.end_column, last.end_line, last.end_column)
                gap = self._source.newline + " " * last.column if one_a_line else " "
                yield TextEdit(place, f",{gap}{word}")

    def _new_lines(self, lines: dict[str, list[str]]) -> Iterator[TextEdit]:
        """New import lines, each after the last import of its kind."""
        for module in sorted(lines, reverse=True):
            text = "".join(line + self._source.newline for line in lines[module])
            yield self._below_imports(module, text)

    def _below_imports(self, module: str, text: str) -> TextEdit:
        """Below the imports of the same kind at the top of the file (of torch, of the standard library), below all
        imports where there are none of that kind, and else above the code.
        """
        head = _head(self._tree.body)
        imports = [node for node in head if _is_import(node) and not _is_future(node)]
        kin = [node for node in imports if _kind(node) == _kind_of(module)]
        newline = self._source.newline
        anchor = kin[-1] if kin else imports[-1] if imports else None
        if anchor is not None:
            return self._after(anchor, text)
        above = [node for node in head if not _is_import(node) or _is_future(node)]
        if above:
            return self._after(above[-1], newline + text)
        first = min((first_line(node) for node in self._tree.body), default=1)
        return TextEdit(Range(first, 0, first, 0), text + newline)

    def _after(self, node: ast.stmt, text: str) -> TextEdit:
        line = (node.end_lineno or node.lineno) + 1
        if line > len(self._source.lines):
            end = len(self._source.lines)
            column = len(self._source.line(end))
            return TextEdit(Range(end, column, end, column), self._source.newline + text)
        return TextEdit(Range(line, 0, line, 0), text)


def _runtime_imports(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    """Names that imports at the top level bind when the file runs; those for type checkers alone are none."""
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                yield alias.asname or top, alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Try):
            yield from _runtime_imports(node.body)


def _head(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """The statements above the first definition: up to the last import there, or the docstring."""
    head: list[ast.stmt] = []
    for node in body:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            break
        head.append(node)
    last = max((number for number, node in enumerate(head) if _is_import(node)), default=-1)
    if last < 0 and head and isinstance(head[0], ast.Expr) and isinstance(head[0].value, ast.Constant):
        last = 0
    return head[: last + 1]


def _is_import(node: ast.stmt) -> bool:
    if isinstance(node, ast.Try):
        return any(_is_import(item) for item in node.body)
    return isinstance(node, (ast.Import, ast.ImportFrom))


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _kind(node: ast.stmt) -> str:
    if isinstance(node, ast.Import):
        return _kind_of(node.names[0].name)
    if isinstance(node, ast.ImportFrom):
        return "own" if node.level else _kind_of(node.module or "")
    return ""


def _kind_of(module: str) -> str:
    top = module.split(".")[0]
    return "standard" if top in sys.stdlib_module_names else top


def _order(name: str) -> tuple[int, str]:
    """isort's order inside an import: constants, then classes, then the rest."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2), name
