"""Shapes that the author wrote down for the parameters of `forward`: in annotations, docstrings and comments.

Each comes with its place, so that one that is not true can be told there. Annotations are formal; words are read with
care, and a reading is only a proposal that runs confirm. Runs nothing.
"""

from __future__ import annotations

import ast
import inspect
import io
import os
import re
import textwrap
import tokenize
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ts_shape_server.agent.infer.facts import annotated
from ts_shape_server.agent.infer.facts.source import class_lines, function_tree
from ts_shape_server.agent.infer.guesses import shape_text
from ts_shape_server.agent.infer.guesses.shape_text import WrittenShape

_RESULT = re.compile(r"^\s*[-*:@]*\s*(?:returns?|outputs?|yields?|raises|return value)\b", re.IGNORECASE)
_SECTION = re.compile(
    r"^\s*[-*#]*\s*(?:args?|arguments?|parameters?|params?|inputs?|input shapes?|shapes?|forward)\b[^:]{0,20}:?\s*$",
    re.IGNORECASE,
)
_SHAPES = re.compile(r"^\s*[-*#]*\s*(?:shapes?|inputs?|input shapes?|forward)\b[^:]{0,20}:?\s*$", re.IGNORECASE)
_INPUT = re.compile(r"^\s*[-*#]*\s*inputs?\s*(\d?)\s*(?:shape|size|tensor|dims?|dimensions?)?\s*[:=]", re.IGNORECASE)
_DTYPES = (
    (re.compile(r"\b(?:LongTensor|int64|torch\.long|torch\.int|IntTensor|integers?|indices|token ids?)\b"), "int64"),
    (re.compile(r"\b(?:BoolTensor|torch\.bool|bool(?:ean)?)\b"), "bool"),
)
_LIST = re.compile(r"\b(?:list|sequence|iterable)\b(?:\s+of|\[|\()|\b(?:List|Sequence)\[|\blist\b\W*$", re.IGNORECASE)


@dataclass(frozen=True)
class Written:
    """The shape of one parameter as written. `source` is annotation, docstring or comment; the line is in `path`.

    `listed`: the shape is that of each item of a list. `dtype` None: not written.
    """

    name: str
    shape: WrittenShape
    dtype: str | None
    source: str
    path: str
    line: int
    listed: bool = False

    @property
    def formal(self) -> bool:
        return self.source == "annotation"


def of(cls: type) -> dict[str, Written]:
    """What is written of each parameter of `forward`: annotations first, then docstrings, then comments."""
    forward = inspect.unwrap(cls.forward)  # type: ignore[attr-defined]  # only modules come here
    tree = function_tree(forward)
    code = getattr(forward, "__code__", None)
    if tree is None or code is None:
        return {}
    names = [item.arg for item in [*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs]][1:]
    path = code.co_filename
    found: dict[str, Written] = {}
    try:
        for item in (
            *_annotated(forward, tree, path),
            *_in_docstring(tree, names, path),
            *_in_class(cls, names, path),
            *_in_comments(forward, tree, names, path),
        ):
            found.setdefault(item.name, item)
    except (RecursionError, ValueError):
        return found
    return {name: found[name] for name in names if name in found}


def _annotated(forward: Any, tree: ast.FunctionDef, path: str) -> Iterator[Written]:
    types = annotated.of(forward)
    for item in [*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs]:
        annotation = types.get(item.arg)
        if typing.get_origin(annotation) is typing.Union:
            annotation = next((each for each in typing.get_args(annotation) if each is not type(None)), None)
        shaped = annotated.shaped(annotation)
        line = item.annotation.lineno if item.annotation is not None else item.lineno
        if shaped is None and isinstance(item.annotation, ast.Constant) and isinstance(item.annotation.value, str):
            shape = shape_text.first(item.annotation.value)
            shaped = None if shape is None else (shape, None)
        if shaped is not None:
            yield Written(item.arg, shaped[0], shaped[1], "annotation", path, line)


def _docstring(node: ast.AST) -> tuple[list[str], int] | None:
    """The lines of a docstring as they stand, and the line number of the first."""
    body = getattr(node, "body", [])
    first = body[0].value if body and isinstance(body[0], ast.Expr) else None
    if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
        return None
    return first.value.split("\n"), first.lineno


def _in_docstring(tree: ast.FunctionDef, names: Sequence[str], path: str) -> Iterator[Written]:
    written = _docstring(tree)
    if written is not None:
        yield from _in_lines(*written, names, path)


def _in_class(cls: type, names: Sequence[str], path: str) -> Iterator[Written]:
    """The class's own docstring: names that the constructor takes as well are the constructor's there."""
    try:
        lines, start = class_lines(cls)
        node = ast.parse(textwrap.dedent("".join(lines))).body[0]
        taken = set(inspect.signature(cls.__init__).parameters)  # type: ignore[misc]  # read, not called
        path = inspect.getsourcefile(cls) or path
    except (OSError, TypeError, SyntaxError, ValueError, IndexError):
        return
    written = _docstring(node)
    if written is None:
        return
    text, line = written[0], written[1] + start - 1
    for found in _in_lines(text, line, names, path):
        if found.name not in taken or _below_shapes(text, found.line - line):
            yield found


def _below_shapes(lines: Sequence[str], number: int) -> bool:
    """Whether the nearest heading above a line is one of shapes or inputs."""
    for line in reversed(lines[:number]):
        if _SECTION.match(line) or _RESULT.match(line):
            return bool(_SHAPES.match(line))
    return False


def _in_lines(lines: Sequence[str], start: int, names: Sequence[str], path: str) -> Iterator[Written]:
    spoken = list(_of_inputs(lines))
    for name in names:
        for number in spoken:
            rest = _entry(lines[number], name)
            if rest is None:
                continue
            made = _read(name, [rest, *_below(lines, number)], "docstring", path, start + number)
            if made is not None:
                yield made
                break
    yield from _by_place(lines, spoken, start, names, path)


def _of_inputs(lines: Sequence[str]) -> Iterator[int]:
    """The numbers of the lines that do not speak of results."""
    hidden: int | None = None
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if _RESULT.match(line):
            hidden = indent
            continue
        entry = re.match(r"\s*(?:[-*](?!-)|:param|@param|[Ii]nput)", line)
        if hidden is not None and (_SECTION.match(line) or (indent <= hidden and entry)):
            hidden = None
        if hidden is None:
            yield number


def _entry(line: str, name: str) -> str | None:
    """What a line says of a parameter that it introduces; None if it introduces another, or none."""
    match = re.match(
        rf"^\W*(?:(?:param|parameter|arg|type)\s+(?:[\w.\[\]]+\s+)?)?{re.escape(name)}\b"
        r"(?P<rest>[`'\"*)]{0,3}\s*(?:[:(\[=,–—-]|\.shape|\.size\(\)|is\b|has\b|of\s+(?:shape|size)|shape\b).*)$",
        line,
    )
    if match is not None:
        return match.group("rest")
    spoken = re.search(rf"\b{re.escape(name)}[`'\"]{{0,2}}\s+(?:\w+\s+){{0,4}}(?:shape|size|dimensions?)\b.*", line)
    return spoken.group() if spoken is not None else None


def _below(lines: Sequence[str], number: int) -> list[str]:
    """The lines that belong to the entry in a line: those after it that stand further in."""
    indent = len(lines[number]) - len(lines[number].lstrip())
    found: list[str] = []
    for line in lines[number + 1 : number + 6]:
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        found.append(line)
    return found


def _read(name: str, parts: Sequence[str], source: str, path: str, line: int, strong: bool = False) -> Written | None:
    """The shape in the text of an entry; its first line with a shape counts."""
    for offset, part in enumerate(parts):
        shape = shape_text.first(part, strong)
        if shape is None and offset + 1 < len(parts):
            # A sentence may break between the word "shape" and the shape.
            shape = shape_text.first(f"{part.rstrip()} {parts[offset + 1].strip()}", strong)
        if shape is not None and shape.closed() is not None:
            text = "\n".join(parts[: offset + 2])
            dtype = next((dtype for pattern, dtype in _DTYPES if pattern.search(text)), None)
            return Written(name, shape, dtype, source, path, line, bool(_LIST.search(text)))
    return None


def _by_place(
    lines: Sequence[str], spoken: Sequence[int], start: int, names: Sequence[str], path: str
) -> Iterator[Written]:
    """``Input: (N, C)``, ``- Input2: …`` and ``input of shape (…)``: parameters by their place."""
    for number in spoken:
        match = _INPUT.match(lines[number])
        if match is not None:
            place = int(match.group(1)) - 1 if match.group(1) and match.group(1) != "0" else 0
            rest, strong = lines[number][match.end() :], True
        else:
            tail = re.search(r"\binputs?\b[^.:()\[]{0,30}\b(?:shape|size)\b.*", lines[number], re.IGNORECASE)
            if tail is None or re.search(r"\boutput", lines[number][: tail.start()], re.IGNORECASE):
                continue
            place, rest, strong = 0, tail.group(), False
        if place < len(names) and not re.match(r"\s*\w+\s*,\s*[(\w]", rest):
            made = _read(names[place], [rest, *_below(lines, number)[:1]], "docstring", path, start + number, strong)
            if made is not None:
                yield made


def _in_comments(forward: Any, tree: ast.FunctionDef, names: Sequence[str], path: str) -> Iterator[Written]:
    """Comments behind the parameters, and those between the head and the first statement or behind that."""
    try:
        lines, start = inspect.getsourcelines(forward)
    except (OSError, TypeError):
        return
    body = tree.body[1:] if _docstring(tree) is not None and len(tree.body) > 1 else tree.body
    last = min((body[0].lineno if body else tree.lineno) - start + 1, len(lines), 400)
    arguments = [*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs][1:]
    by_line: dict[int, list[str]] = {}
    for item in arguments:
        by_line.setdefault(item.lineno, []).append(item.arg)
    for number, text in _comments(lines, last):
        line = start + number
        for name in names:
            rest = _entry(text, name)
            made = None if rest is None else _read(name, [rest], "comment", path, line)
            if made is not None:
                yield made
        alone = by_line.get(line, [])
        if len(alone) == 1:
            made = _read(alone[0], [text], "comment", path, line)
            if made is not None:
                yield made


def _comments(lines: Sequence[str], last: int) -> Iterator[tuple[int, str]]:
    """The comments in the first lines of a function, each with the number of its line."""
    text = textwrap.dedent("".join(lines))
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.start[0] > last:
                return
            if token.type == tokenize.COMMENT and "ts-shape:" not in token.string:
                yield token.start[0] - 1, token.string.lstrip("# ")
    except (tokenize.TokenError, SyntaxError, IndentationError):
        return


def label(written: Written) -> str:
    """How a piece is called in a report."""
    if written.formal:
        return written.source
    return f"{written.source} {os.path.basename(written.path)}:{written.line}"
