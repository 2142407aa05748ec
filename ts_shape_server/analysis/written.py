"""Writes what a report found into the source: as a docstring section, as comments, as jaxtyping annotations, as a
``# ts-shape:`` comment that pins it.

What is written is in the forms that the readers of evidence know; whether they read the same again is for a probe of
the changed text to say. Written once more, it replaces itself. Pure.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ts_shape_server.analysis.modules import FileClasses
from ts_shape_server.analysis.rewrites.situation import Rewrite
from ts_shape_server.analysis.scopes import FUNCTIONS
from ts_shape_server.analysis.signatures import signature
from ts_shape_server.analysis.spelling import TypeSpelling
from ts_shape_server.analysis.syntax import first_line, statements
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.dims import Dim
from ts_shape_server.contract.names import is_line
from ts_shape_server.contract.places import Range, TextEdit
from ts_shape_server.contract.report import Report, ValueSpec

Definition = ast.FunctionDef | ast.AsyncFunctionDef

SECTION = "Shapes:"
_INDENT = "    "
_SHAPES = re.compile(r"# \([^()]*(?:\([^()]*\)[^()]*)*\)(?:, \([^()]*(?:\([^()]*\)[^()]*)*\))*")
_PRAGMA = re.compile(r"\s*#\s*ts-shape:\s*(?:(?P<init>init)\(|(?P<name>\*{0,2}\w+)\s*=)")
_JAXTYPING = {
    "float32": "Float",
    "float64": "Float64",
    "float16": "Float16",
    "bfloat16": "BFloat16",
    "int64": "Int",
    "int32": "Int32",
    "int16": "Int16",
    "int8": "Int8",
    "uint8": "UInt8",
    "bool": "Bool",
    "complex64": "Complex",
}


class ShapeWriter:
    """Writes for one class of a file. A method gives None where there is nothing to write, or no place for it."""

    def __init__(self, source: SourceText, classes: FileClasses, report: Report) -> None:
        self._source, self._classes, self._report = source, classes, report
        line = next((item.line for item in classes.classes if item.name == report.name), None)
        found = [node for node in statements(classes.tree.body) if isinstance(node, ast.ClassDef)]
        self._owner = next((node for node in found if node.lineno == line), None)
        body = self._owner.body if self._owner is not None and classes.syntax_error is None else []
        self._forward = next((node for node in body if isinstance(node, FUNCTIONS) and node.name == "forward"), None)

    def docstring(self) -> Rewrite | None:
        """A section ``Shapes:`` in the docstring of `forward`."""
        lines = [f"{item.name}: {text}" for item in self._report.inputs if (text := _described(item.value))]
        function = self._forward
        if function is None or not lines:
            return None
        if result := ", ".join(_described(item) or item.type for item in self._report.outputs):
            lines.append(f"returns: {result}")
        inner = "\t" if "\t" in self._indent(function.body[0].lineno) else _INDENT
        section = [SECTION, *(inner + line for line in lines)]
        edit = self._in_docstring(function, section)
        return (
            None
            if edit is None
            else Rewrite("shapes-in-docstring", "Write the shapes into the docstring of `forward`", (edit,))
        )

    def _in_docstring(self, function: Definition, section: Sequence[str]) -> TextEdit | None:
        first, newline = function.body[0], self._source.newline
        if first.lineno == function.lineno:
            return None
        indent = self._indent(first.lineno)
        block = newline.join(indent + line for line in section)
        if not _is_docstring(first):
            line = first_line(first)
            return TextEdit(Range(line, 0, line, 0), f'{indent}"""{newline}{block}{newline}{indent}"""{newline}')
        span = self._source.range_of(first)
        text = self._source.slice(span)
        opening = re.match(r"[rRuU]?(\"{3}|'{3})", text)
        if opening is None or not text.endswith(opening.group(1)) or len(text) < len(opening.group()) + 3:
            return None
        inside = _without_section(text[opening.end() : -3], newline).rstrip()
        gap = newline * 2 if inside else newline
        changed = f"{opening.group()}{inside}{gap}{block}{newline}{indent}{opening.group(1)}"
        return TextEdit(span, changed) if changed != text else None

    def comments(self) -> Rewrite | None:
        """A comment for each input below the head of `forward`, and one behind each assignment."""
        function = self._forward
        if function is None or function.body[0].lineno == function.lineno:
            return None
        edits = [*self._input_comments(function), *self._assignment_comments(function)]
        return (
            Rewrite("shapes-as-comments", "Write the shapes as comments in `forward`", tuple(edits)) if edits else None
        )

    def _input_comments(self, function: Definition) -> Iterator[TextEdit]:
        body = function.body[1:] if _is_docstring(function.body[0]) and len(function.body) > 1 else function.body
        if _is_docstring(body[0]):
            return
        line, indent = first_line(body[0]), self._indent(body[0].lineno)
        above = line - 1
        there: dict[str, int] = {}
        while (known := re.fullmatch(r"\s*# (\w+): .*", self._source.line(above))) is not None:
            there[known.group(1)] = above
            above -= 1
        new = []
        for item in self._report.inputs:
            text = _described(item.value)
            if not text:
                continue
            comment = f"{indent}# {item.name}: {text}"
            if item.name not in there:
                new.append(comment + self._source.newline)
            elif self._source.line(there[item.name]) != comment:
                number = there[item.name]
                yield TextEdit(Range(number, 0, number, len(self._source.line(number))), comment)
        if new:
            yield TextEdit(Range(line, 0, line, 0), "".join(new))

    def _assignment_comments(self, function: Definition) -> Iterator[TextEdit]:
        seen: dict[int, dict[str, set[str]]] = {}
        for item in self._report.variables:
            if text := _shape(item.value):
                seen.setdefault(item.line, {}).setdefault(item.name, set()).add(text)
        for node in statements(function.body):
            if not isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
                continue
            names = seen.get(node.lineno, {})
            if not names or any(len(texts) > 1 for texts in names.values()):
                continue
            shapes = "# " + ", ".join(next(iter(texts)) for texts in names.values())
            span = self._source.range_of(node)
            whole = self._source.line(span.end_line)
            rest = whole[span.end_column :]
            if rest.strip() and not _SHAPES.fullmatch(rest.strip()):
                continue
            if rest.strip() != shapes:
                yield TextEdit(Range(span.end_line, span.end_column, span.end_line, len(whole)), f"  {shapes}")

    @property
    def jaxtyping_is_refused(self) -> bool:
        """Whether the class scripts now, and does not with jaxtyping annotations."""
        return bool(self._report.torchscript.script.ok)

    def jaxtyping(self) -> Rewrite | None:
        """``x: Float[Tensor, "B 3 H W"]`` for every parameter and the result, where they are tensors."""
        function = self._forward
        if function is None:
            return None
        spelling = TypeSpelling(self._source, self._classes.tree)
        parameters = {item.name: item for item in signature(self._source, function).parameters}
        edits = []
        for given in self._report.inputs:
            parameter = parameters.get(given.name)
            text = _jaxtyped(given.value, spelling)
            if parameter is None or parameter.kind.startswith("var_") or text is None:
                continue
            if parameter.default == "None":
                text = f"{spelling.of('Optional')}[{text}]"
            if parameter.annotation != text:
                name, end = parameter.range, parameter.end
                spaced = parameter.annotation is None and parameter.default is not None
                edits.append(
                    TextEdit(Range(name.end_line, name.end_column, end.line, end.column), f": {text}{' ' * spaced}")
                )
        if not edits:
            return None
        returned = [_jaxtyped(item, spelling) for item in self._report.outputs]
        if len(returned) == 1 and returned[0] is not None:
            insert = signature(self._source, function).returns_insert
            if function.returns is None:
                edits.append(TextEdit(insert, f" -> {returned[0]}"))
            else:
                edits.append(TextEdit(self._source.range_of(function.returns), returned[0]))
        title = "Write the shapes as jaxtyping annotations"
        if self.jaxtyping_is_refused:
            title += ", which TorchScript refuses"
        return Rewrite("shapes-as-jaxtyping", title, (*edits, *spelling.imports()))

    def pinned_input(self, sizes: bool = False) -> Rewrite | None:
        """``# ts-shape: x=(B, 3, H, W)`` above the class, for every input; `sizes` puts the size that ran in the place
        of each symbol that is bounded.
        """
        bounded = self._bounded() if sizes else {}
        if sizes and not bounded:
            return None
        texts: dict[str, str] = {}
        for item in self._report.inputs:
            text = _of_spec(item.value, bounded)
            if text is None:
                text = _of_example(self._report.example.get(item.name))
            if text is None and not item.optional:
                return None
            if text is not None and text != "None":
                texts[item.name] = f"{item.name}={text}"
        edits = self._above_class(texts)
        if not texts or not edits:
            return None
        return Rewrite("pinned-input", f"Pin the input: `{', '.join(texts.values())}`", edits)

    def _bounded(self) -> dict[str, int]:
        """The sizes that ran for the symbols that have a largest size."""
        found: dict[str, int] = {}
        limited = {name for name, symbol in self._report.symbols if symbol.maximum is not None}
        for item in self._report.inputs:
            value = self._report.example.get(item.name)
            ran = value.get("tensor", ()) if isinstance(value, Mapping) else ()
            found.update((dim, size) for dim, size in zip(item.value.dims or (), ran, strict=False) if dim in limited)
        return {str(name): size for name, size in found.items()}

    def pinned_constructor(self) -> Rewrite | None:
        """``# ts-shape: init(dim=32)`` above the class, if the constructor takes arguments."""
        arguments = [f"{name}={item.expression}" for name, item in self._report.init]
        if not arguments or any(text.startswith("*") for text in arguments):
            return None
        text = f"init({', '.join(arguments)})"
        edits = self._above_class({"": text})
        return Rewrite("pinned-constructor", f"Pin the constructor arguments: `{text}`", edits) if edits else None

    def _above_class(self, texts: Mapping[str, str]) -> tuple[TextEdit, ...]:
        """Comments above the class; one for the same name is replaced. Nothing if all of it is there, or if something
        is more than one line: what follows would be code.
        """
        if self._owner is None or not all(map(is_line, texts.values())):
            return ()
        line, indent = first_line(self._owner), self._indent(self._owner.lineno)
        known: dict[str, int] = {}
        above = line - 1
        while self._source.line(above).lstrip().startswith("#"):
            found = _PRAGMA.match(self._source.line(above))
            if found is not None:
                known[found.group("name") or ""] = above
            above -= 1
        edits, new = [], []
        for name, text in texts.items():
            comment = f"{indent}# ts-shape: {text}"
            if name not in known:
                new.append(comment + self._source.newline)
            elif self._source.line(known[name]) != comment:
                number = known[name]
                edits.append(TextEdit(Range(number, 0, number, len(self._source.line(number))), comment))
        if new:
            edits.append(TextEdit(Range(line, 0, line, 0), "".join(new)))
        return tuple(edits)

    def _indent(self, line: int) -> str:
        text = self._source.line(line)
        return text[: len(text) - len(text.lstrip())]


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _without_section(text: str, newline: str) -> str:
    """A docstring without a section that was written before: its heading and what stands further in."""
    kept: list[str] = []
    hidden: int | None = None
    for line in text.split(newline):
        indent = len(line) - len(line.lstrip())
        if line.strip() == SECTION:
            hidden = indent
        elif hidden is None or (line.strip() and indent <= hidden):
            hidden = None
            kept.append(line)
    return newline.join(kept)


def _dims(dims: Iterable[Dim]) -> str:
    texts = [str(item) for item in dims]
    return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"


def _shape(spec: ValueSpec) -> str:
    """The dims of a tensor; empty for other values."""
    return _dims(spec.dims) if spec.dims is not None and not spec.items and "Tensor" in spec.type else ""


def _described(spec: ValueSpec) -> str:
    """``(B, 3, H, W) float32``, ``list of (L, 16) int64``; empty for what words of this kind do not say."""
    if _shape(spec):
        return f"{_shape(spec)} {spec.dtype or ''}".rstrip()
    if spec.type.startswith("List[") and len(spec.items) == 1 and _shape(spec.items[0]):
        return f"list of {_described(spec.items[0])}"
    return ""


def _jaxtyped(spec: ValueSpec, spelling: TypeSpelling) -> str | None:
    kind = _JAXTYPING.get(spec.dtype or "")
    if not _shape(spec) or kind is None or spec.dims is None:
        return None
    dims = [str(item).replace(" ", "") for item in spec.dims]
    text = " ".join("_" if "," in item else item for item in dims)
    return f'{spelling.member("jaxtyping", kind)}[{spelling.of("Tensor")}, "{text}"]'


def _of_spec(spec: ValueSpec, sizes: Mapping[str, int]) -> str | None:
    """What a pragma says of an input; None where it has no words for it."""
    if _shape(spec) and spec.dims is not None:
        dtype = f" {spec.dtype}" if spec.dtype not in (None, "float32") else ""
        return _dims(sizes.get(str(dim), dim) for dim in spec.dims) + dtype
    inside = [_of_spec(item, sizes) for item in spec.items]
    texts = [item for item in inside if item is not None]
    if not texts or len(texts) != len(inside):
        return None
    if spec.keys:
        return "{" + ", ".join(f"{key}: {text}" for key, text in zip(spec.keys, texts, strict=True)) + "}"
    if spec.type.startswith("List["):
        return f"[{texts[0]}, ...]" if len(texts) == 1 else f"[{', '.join(texts)}]"
    return _dims(texts) if spec.type.startswith("Tuple[") else None


def _of_example(value: Any) -> str | None:
    """A value of the contract as a pragma writes it."""
    if not isinstance(value, Mapping):
        return None
    if "tensor" in value:
        dtype = value.get("dtype", "float32")
        return _dims(value["tensor"]) + ("" if dtype == "float32" else f" {dtype}")
    if "expr" in value:
        text = str(value["expr"])
        return text if re.fullmatch(r"[-+\w.'\" ]+", text) else None
    if "dict" in value:
        pairs = {key: _of_example(item) for key, item in value["dict"].items()}
        given = {key: text for key, text in pairs.items() if text is not None}
        return (
            None if len(given) < len(pairs) else "{" + ", ".join(f"{key}: {text}" for key, text in given.items()) + "}"
        )
    for kind, opening, closing in (("list", "[", "]"), ("tuple", "(", ")")):
        if kind in value:
            inside = [_of_example(item) for item in value[kind]]
            texts = [item for item in inside if item is not None]
            return opening + ", ".join(texts) + closing if len(texts) == len(inside) else None
    return None
