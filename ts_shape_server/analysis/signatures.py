"""The signatures of functions with the places where annotations go. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range

_PLAIN_END = re.compile(r"\s*\([^()'\"#\[\]{}]*\)")
_MARKS = re.compile(
    r"#[^\r\n]*|\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}"
    r"|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|[()\[\]{}]",
    re.DOTALL,
)


@dataclass(frozen=True)
class Parameter:
    """`kind` is ``positional``, ``keyword``, ``var_positional`` or ``var_keyword``. `range` is the name's; `end` is the
    empty range right after the name and its annotation.
    """

    name: str
    annotation: str | None
    default: str | None
    kind: str
    range: Range
    end: Range


@dataclass(frozen=True)
class Signature:
    """A function: `range` is its name's, `returns_insert` the empty range before the colon, `body` the whole
    definition.
    """

    name: str
    line: int
    range: Range
    parameters: tuple[Parameter, ...]
    returns: str | None
    returns_insert: Range
    body: Range


def signature(source: SourceText, node: ast.FunctionDef | ast.AsyncFunctionDef, bound: bool = True) -> Signature:
    """The signature of a function; of a method (`bound`) without its first parameter."""
    parameters = tuple(_parameters(source, node.args))
    static = any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in node.decorator_list)
    if bound and not static and parameters and parameters[0].kind == "positional":
        parameters = parameters[1:]
    keyword = "def" if isinstance(node, ast.FunctionDef) else "async def"
    name = name_range(source, node, keyword, node.name)
    return Signature(
        name=node.name,
        line=node.lineno,
        range=name,
        parameters=parameters,
        returns=None if node.returns is None else source.slice(source.range_of(node.returns)),
        returns_insert=_before_colon(source, node, name),
        body=source.range_of(node),
    )


def name_range(source: SourceText, node: ast.stmt, keyword: str, name: str) -> Range:
    """The range of the name that a ``def`` or ``class`` statement defines."""
    text = source.line(node.lineno)
    start = max(text.find(name, source.from_ast(node.lineno, node.col_offset) + len(keyword)), 0)
    return Range(node.lineno, start, node.lineno, start + len(name))


def _parameters(source: SourceText, arguments: ast.arguments) -> Iterator[Parameter]:
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [*[None] * (len(plain) - len(arguments.defaults)), *arguments.defaults]
    for item, default in zip(plain, defaults, strict=True):
        yield _parameter(source, item, default, "positional")
    if arguments.vararg is not None:
        yield _parameter(source, arguments.vararg, None, "var_positional")
    for item, given in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _parameter(source, item, given, "keyword")
    if arguments.kwarg is not None:
        yield _parameter(source, arguments.kwarg, None, "var_keyword")


def _parameter(source: SourceText, node: ast.arg, default: ast.expr | None, kind: str) -> Parameter:
    whole = source.range_of(node)
    return Parameter(
        name=node.arg,
        annotation=None if node.annotation is None else source.slice(source.range_of(node.annotation)),
        default=None if default is None else source.slice(source.range_of(default)),
        kind=kind,
        range=Range(whole.line, whole.column, whole.line, whole.column + len(node.arg)),
        end=Range(whole.end_line, whole.end_column, whole.end_line, whole.end_column),
    )


def _before_colon(source: SourceText, node: ast.FunctionDef | ast.AsyncFunctionDef, name: Range) -> Range:
    """The place right after the closing parenthesis, or after the return annotation."""
    if node.returns is not None:
        end = source.range_of(node.returns)
        return Range(end.end_line, end.end_column, end.end_line, end.end_column)
    plain = _PLAIN_END.match(source.line(name.line), name.end_column)
    if plain is not None:
        return Range(name.line, plain.end(), name.line, plain.end())
    depth = 0
    for mark in _MARKS.finditer(source.text, source.offset(name.end_line, name.end_column)):
        if mark.group() in ("(", "[", "{"):
            depth += 1
        elif mark.group() in (")", "]", "}"):
            depth -= 1
            if depth == 0 and mark.group() == ")":
                line, column = source.position(mark.end())
                return Range(line, column, line, column)
    return Range(name.end_line, name.end_column, name.end_line, name.end_column)
