"""Annotations as minimal text edits: what stands in the file keeps its formatting, imports come in the file's own
style, and what would not parse afterwards is refused.

The type of an attribute goes into the class body: that is the only place where TorchScript reads it. Pure.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from ts_shape_server.analysis.modules import FileClasses
from ts_shape_server.analysis.scopes import FUNCTIONS, inner_blocks
from ts_shape_server.analysis.signatures import Parameter, signature
from ts_shape_server.analysis.spelling import TypeSpelling
from ts_shape_server.analysis.syntax import first_line, parses, statements
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range, TextEdit
from ts_shape_server.contract.report import Annotation

Definition = ast.FunctionDef | ast.AsyncFunctionDef
_EQUALS = re.compile(r"[ \t]*=(?!=)[ \t]*")
_REPLACED_LATER = frozenset({"overload", "setter", "deleter"})


def annotate(
    source: SourceText, classes: FileClasses, annotations: Iterable[Annotation]
) -> tuple[tuple[TextEdit, ...], tuple[str, ...]]:
    """Edits that put these types into the file, and what could not be placed. A type that is there gives no edit."""
    if classes.syntax_error is not None:
        place, message = classes.syntax_error
        return (), (f"the file does not parse (line {place.line}: {message})",)
    writer = _Writer(source, classes)
    wanted: dict[tuple[str, str, str], Annotation] = {}
    problems: list[str] = []
    for annotation in annotations:
        first = wanted.setdefault((annotation.owner, annotation.function, annotation.name), annotation)
        if first.type != annotation.type:
            problems.append(f"{_words(annotation)} is both {first.type} and {annotation.type}")
    edits: list[TextEdit] = []
    for annotation in wanted.values():
        made = writer.edits(annotation)
        if made is None:
            problems.append(f"{_words(annotation)} has no place in the file for an annotation")
        else:
            edits += made
    edits += writer.in_bodies()
    if not edits:
        return (), tuple(problems)
    edits += writer.spelling.imports()
    try:
        sound = parses(source.apply(edits))
    except ValueError:
        sound = False
    if not sound:
        return (), (*problems, "the annotations cannot be written without breaking the file")
    return tuple(edits), tuple(problems)


def _words(annotation: Annotation) -> str:
    place = ".".join(part for part in (annotation.owner, annotation.function) if part)
    if annotation.name == "return":
        return f"the result of `{place}`"
    return f"`{annotation.name}` of `{place}`"


class _Writer:
    """Makes the edits of one file."""

    def __init__(self, source: SourceText, classes: FileClasses) -> None:
        self._source = source
        self._classes = {item.name: item.line for item in classes.classes}
        self._tree = classes.tree
        self._nodes = {node.lineno: node for node in statements(classes.tree.body) if isinstance(node, ast.ClassDef)}
        self._attributes: dict[int, tuple[ast.ClassDef, list[str]]] = {}
        self.spelling = TypeSpelling(source, classes.tree)

    def in_bodies(self) -> list[TextEdit]:
        """The edits for the attributes that were asked for so far, those of one class together."""
        return [self._in_body(owner, lines) for owner, lines in self._attributes.values()]

    def edits(self, annotation: Annotation) -> list[TextEdit] | None:
        """The edits for one annotation; None where the file has no place for it."""
        owner = self._nodes.get(self._classes.get(annotation.owner, 0))
        if owner is None and annotation.owner:
            return None
        if owner is not None and not annotation.function:
            return self._attribute(owner, annotation)
        function = _function(owner.body if owner is not None else self._tree.body, annotation.function)
        if function is None:
            return None
        if annotation.name == "return":
            return self._returned(function, annotation.type)
        parameters = signature(self._source, function, bound=False).parameters
        parameter = next((item for item in parameters if item.name == annotation.name), None)
        if parameter is None or parameter.kind.startswith("var_"):
            return None
        return self._parameter(parameter, annotation.type)

    def _parameter(self, parameter: Parameter, kind: str) -> list[TextEdit]:
        if parameter.default == "None" and not kind.startswith(("Optional[", "None", "Any")):
            kind = f"Optional[{kind}]"
        if self.spelling.same(parameter.annotation, kind):
            return []
        name, end = parameter.range, parameter.end
        column = end.column
        text = f": {self.spelling.of(kind)}"
        equals = _EQUALS.match(self._source.line(end.line), end.column)
        if parameter.annotation is None and parameter.default is not None and equals is not None:
            column, text = equals.end(), text + " = "
        return [TextEdit(Range(name.end_line, name.end_column, end.line, column), text)]

    def _returned(self, function: Definition, kind: str) -> list[TextEdit]:
        if function.returns is not None:
            span = self._source.range_of(function.returns)
            same = self.spelling.same(self._source.slice(span), kind)
            return [] if same else [TextEdit(span, self.spelling.of(kind))]
        return [TextEdit(signature(self._source, function).returns_insert, f" -> {self.spelling.of(kind)}")]

    def _attribute(self, owner: ast.ClassDef, annotation: Annotation) -> list[TextEdit] | None:
        """``name: type`` in the class body. One that stands in a method moves there."""
        for node in owner.body:
            if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
                continue
            if node.target.id == annotation.name:
                span = self._source.range_of(node.annotation)
                same = self.spelling.same(self._source.slice(span), annotation.type)
                return [] if same else [TextEdit(span, self.spelling.of(annotation.type))]
        if owner.body[0].lineno == owner.lineno:
            return None
        line = f"{annotation.name}: {self.spelling.of(annotation.type)}"
        self._attributes.setdefault(owner.lineno, (owner, []))[1].append(line)
        return list(self._taken_from_methods(owner, annotation.name))

    def _in_body(self, owner: ast.ClassDef, lines: list[str]) -> TextEdit:
        """New lines in a class body: below the annotations there, else above the first statement and its comments."""
        first = owner.body[0]
        documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        rest = owner.body[1:] if documented else owner.body
        annotated = 0
        while annotated < len(rest) and isinstance(rest[annotated], ast.AnnAssign):
            annotated += 1
        newline = self._source.newline
        text = self._source.line(first.lineno)
        indent = text[: len(text) - len(text.lstrip())]
        written = newline.join(indent + line for line in lines)
        if annotated or not rest:
            after = rest[annotated - 1] if annotated else first
            end = after.end_lineno or after.lineno
            column = len(self._source.line(end))
            gap = "" if annotated else newline
            return TextEdit(Range(end, column, end, column), f"{newline}{gap}{written}")
        number = first_line(rest[0])
        while self._source.line(number - 1).lstrip().startswith("#") and number - 1 > owner.lineno:
            number -= 1
        gap = newline if isinstance(rest[0], (*FUNCTIONS, ast.ClassDef)) else ""
        return TextEdit(Range(number, 0, number, 0), f"{written}{newline}{gap}")

    def _taken_from_methods(self, owner: ast.ClassDef, name: str) -> Iterator[TextEdit]:
        """The removal of ``: type`` in ``self.name: type = value``, which would annotate the attribute twice."""
        for method in owner.body:
            if not isinstance(method, FUNCTIONS):
                continue
            for node in statements(method.body):
                if isinstance(node, ast.AnnAssign) and node.value is not None and _is_own(node.target, name):
                    target, kind = self._source.range_of(node.target), self._source.range_of(node.annotation)
                    yield TextEdit(Range(target.end_line, target.end_column, kind.end_line, kind.end_column), "")


def _function(body: Iterable[ast.stmt], name: str) -> Definition | None:
    """The definition that holds in the end: overloads and setters are others."""
    found: Definition | None = None
    for node in body:
        if isinstance(node, FUNCTIONS):
            if node.name == name and not any(_last_word(item) in _REPLACED_LATER for item in node.decorator_list):
                found = node
        elif not isinstance(node, ast.ClassDef):
            for block in inner_blocks(node):
                found = _function(block, name) or found
    return found


def _last_word(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_own(node: ast.expr, name: str) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr == name
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    )
