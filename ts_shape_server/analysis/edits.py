"""Annotations as minimal text edits: what stands in the file keeps its formatting, imports come in the file's own
style. Pure.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ts_shape_server.analysis.modules import FileClasses, ModuleClass, Parameter, Signature
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.model import Annotation, Range, TextEdit

_TYPING = ("List", "Dict", "Tuple", "Optional", "Union", "Any", "Callable")
_BUILTIN = {"List": "list", "Dict": "dict", "Tuple": "tuple"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


def annotate(
    source: SourceText, classes: FileClasses, annotations: Iterable[Annotation]
) -> tuple[tuple[TextEdit, ...], tuple[str, ...]]:
    """Edits that put these types into the file, and what could not be placed.

    A type that is there already gives no edit.
    """
    style = _Style(source, classes)
    edits: list[TextEdit] = []
    problems: list[str] = []
    by_name = {item.name: item for item in classes.classes}
    for annotation in annotations:
        owner = by_name.get(annotation.owner)
        if owner is None:
            problems.append(f"the class {annotation.owner} is not in the file")
            continue
        made = _edits_of(source, classes, owner, annotation, style)
        if made is None:
            problems.append(
                f"{annotation.owner}.{annotation.function or annotation.name} has no place for `{annotation.name}`"
            )
        else:
            edits += made
    return (*edits, *style.imports()) if edits else (), tuple(problems)


def _edits_of(
    source: SourceText, classes: FileClasses, owner: ModuleClass, annotation: Annotation, style: _Style
) -> list[TextEdit] | None:
    if not annotation.function:
        return _attribute(source, classes, owner, annotation, style)
    method = next((item for item in owner.methods if item.name == annotation.function), None)
    if method is None:
        return None
    if annotation.name == "return":
        return _returned(source, classes, method, annotation, style)
    parameter = next((item for item in method.parameters if item.name == annotation.name), None)
    if parameter is None or parameter.kind.startswith("var_"):
        return None
    return _parameter(source, parameter, annotation, style)


def _same(written: str | None, wanted: str) -> bool:
    """Whether a written annotation spells the type already, however it is imported."""

    def plain(text: str) -> str:
        text = re.sub(r"\b(?:typing|torch|t)\.", "", text).replace(" ", "").strip("'\"")
        return re.sub(r"\b(list|dict|tuple)\[", lambda match: match.group(1).capitalize() + "[", text)

    if written is None:
        return False
    optional = re.fullmatch(r"(.+)\|None", plain(written))
    spelled = f"Optional[{optional.group(1)}]" if optional else plain(written)
    return spelled == plain(wanted)


def _parameter(source: SourceText, parameter: Parameter, annotation: Annotation, style: _Style) -> list[TextEdit]:
    if _same(parameter.annotation, annotation.type):
        return []
    name, end = parameter.range, parameter.end
    spelled = style.spell(annotation.type)
    span = Range(name.end_line, name.end_column, end.end_line, end.end_column)
    following = source.line(end.line)[end.column :]
    if parameter.annotation is None and parameter.default is not None and following.startswith("="):
        return [TextEdit(Range(end.line, end.column, end.line, end.column + 1), f": {spelled} = ")]
    return [TextEdit(span, f": {spelled}")]


def _returned(
    source: SourceText, classes: FileClasses, method: Signature, annotation: Annotation, style: _Style
) -> list[TextEdit]:
    if _same(method.returns, annotation.type):
        return []
    if method.returns is not None:
        node = _function(classes.tree, method)
        if node is None or node.returns is None:
            return []
        return [TextEdit(source.range_of(node.returns), style.spell(annotation.type))]
    return [TextEdit(method.returns_insert, f" -> {style.spell(annotation.type)}")]


def _function(tree: ast.Module, method: Signature) -> ast.FunctionDef | None:
    return next(
        (
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and node.name == method.name and node.lineno == method.line
        ),
        None,
    )


def _attribute(
    source: SourceText, classes: FileClasses, owner: ModuleClass, annotation: Annotation, style: _Style
) -> list[TextEdit] | None:
    """``self.name = value`` in the constructor becomes ``self.name: type = value``."""
    if owner.init is None:
        return None
    init = _function(classes.tree, owner.init)
    for node in ast.walk(init) if init is not None else ():
        if isinstance(node, ast.AnnAssign) and _is_own(node.target, annotation.name):
            if _same(ast.unparse(node.annotation), annotation.type):
                return []
            return [TextEdit(source.range_of(node.annotation), style.spell(annotation.type))]
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and _is_own(node.targets[0], annotation.name):
            target = source.range_of(node.targets[0])
            place = Range(target.end_line, target.end_column, target.end_line, target.end_column)
            return [TextEdit(place, f": {style.spell(annotation.type)}")]
    return None


def _is_own(node: ast.expr, name: str) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr == name
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    )


@dataclass
class _Style:
    """How the file spells types, and which imports the spellings still need."""

    source: SourceText
    classes: FileClasses
    _missing_typing: list[str] = field(default_factory=list)
    _missing_tensor: bool = False

    def spell(self, kind: str) -> str:
        """A TorchScript type in this file's own words."""
        return _NAME.sub(lambda match: self._word(match.group()), kind)

    def _word(self, word: str) -> str:
        if word == "Tensor":
            return self._tensor()
        if word not in _TYPING:
            return word
        for name, path in self.classes.imports.items():
            if path == f"typing.{word}":
                return name
        if word in _BUILTIN and self._builtin_generics():
            return _BUILTIN[word]
        for name, path in self.classes.imports.items():
            if path == "typing":
                return f"{name}.{word}"
        if word not in self._missing_typing:
            self._missing_typing.append(word)
        return word

    def _tensor(self) -> str:
        for name, path in self.classes.imports.items():
            if path == "torch.Tensor":
                return name
        for name, path in self.classes.imports.items():
            if path == "torch":
                return f"{name}.Tensor"
        self._missing_tensor = True
        return "Tensor"

    def _builtin_generics(self) -> bool:
        """Whether the file subscripts `list`, `dict` or `tuple` in an annotation."""
        return any(
            isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in _BUILTIN.values()
            for node in ast.walk(self.classes.tree)
        )

    def imports(self) -> list[TextEdit]:
        """Edits for the imports that are missing."""
        edits: list[TextEdit] = []
        lines: list[str] = []
        if self._missing_typing:
            names = sorted(self._missing_typing)
            known = self._typing_import()
            if known is not None:
                whole = self.source.range_of(known)
                end = Range(whole.end_line, whole.end_column, whole.end_line, whole.end_column)
                edits.append(TextEdit(end, "".join(f", {name}" for name in names)))
            else:
                lines.append(f"from typing import {', '.join(names)}")
        if self._missing_tensor:
            lines.append("from torch import Tensor")
        if lines:
            newline = self.source.newline
            edits.append(self._new_lines(lines, newline))
        return edits

    def _typing_import(self) -> ast.ImportFrom | None:
        """A one-line ``from typing import …`` that can take another name at its end."""
        for node in self.classes.tree.body:
            one_line = isinstance(node, ast.ImportFrom) and "(" not in self.source.line(node.lineno)
            if isinstance(node, ast.ImportFrom) and node.module == "typing" and one_line:
                return node
        return None

    def _new_lines(self, lines: list[str], newline: str) -> TextEdit:
        """New import lines: before the first plain import, after `__future__`, the docstring and leading comments."""
        body = self.classes.tree.body
        line = 1
        for number, node in enumerate(body):
            docstring = number == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
            if docstring or future:
                line = (node.end_lineno or node.lineno) + 1
                continue
            plain = isinstance(node, (ast.Import, ast.ImportFrom))
            if plain or number == 0:
                return TextEdit(Range(node.lineno, 0, node.lineno, 0), "".join(text + newline for text in lines))
            break
        text = newline + "".join(text + newline for text in lines)
        return TextEdit(Range(line, 0, line, 0), text)
