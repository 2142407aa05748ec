"""Comments that speak to this server: ``# ts-shape: …`` on the lines before a class or its `forward`.

``init(name=value)``, ``name=(B, 3, 28, 28)``, ``ignore[code]`` and ``skip``. What cannot be read is a problem with
its place, never an error. Pure.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ts_shape_server.analysis import syntax
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range

_PRAGMA = re.compile(r"#\s*ts-shape:\s*(.*?)\s*$")
_IGNORE = re.compile(r"ignore(?:\[([\w\s,-]*)\])?$")
_INPUT = re.compile(r"(\*{0,2}\w+)\s*=\s*(.+)$")
_TYPED = re.compile(r"(?<=[)\]])\s*([A-Za-z_]\w*)")
_DTYPES = frozenset(
    (
        *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "short", "int", "long"),
        *("float16", "bfloat16", "float32", "float64", "half", "float", "double"),
        *("complex32", "complex64", "complex128", "chalf", "cfloat", "cdouble"),
    )
)
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_SHAPE = "`x=(B, 3, 28, 28)` or `x=(B, L) int64`"


@dataclass(frozen=True)
class Pragmas:
    """What the comments before a class say. `init` and `inputs` map names to texts; `ignore` holds codes, or ``*``."""

    init: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    ignore: frozenset[str] = frozenset()
    skip: bool = False
    problems: tuple[tuple[Range, str], ...] = ()


def read(source: SourceText, lines: Iterable[int], parameters: frozenset[str] | None = None) -> Pragmas:
    """The pragmas in the comment lines directly above each of `lines`, and at the end of those lines themselves.

    `parameters` are those that `forward` has; None where that is not known.
    """
    if "ts-shape" not in source.text:
        return Pragmas()
    init: dict[str, str] = {}
    inputs: dict[str, str] = {}
    ignore: set[str] = set()
    skip = False
    problems: list[tuple[Range, str]] = []
    for number in _comment_lines(source, lines):
        text = source.line(number)
        match = _PRAGMA.search(text)
        if match is None:
            continue
        body = match.group(1)
        place = Range(number, match.start(), number, len(text))
        ignored = _IGNORE.match(body)
        given = _INPUT.match(body)
        if body == "skip":
            skip = True
        elif ignored is not None:
            codes = [code.strip() for code in (ignored.group(1) or "*").split(",")]
            ignore.update(code for code in codes if code)
        elif body.startswith("init(") and body.endswith(")"):
            keywords = _keywords(body)
            if keywords is None:
                problems.append((place, "`init(...)` takes keyword arguments: `# ts-shape: init(embedding_dim=32)`."))
            else:
                init.update(keywords)
        elif given is not None:
            name, text = given.group(1), given.group(2)
            inputs[name] = text
            wrong = input_problem(name, text, parameters)
            if wrong is not None:
                problems.append((place, wrong))
        else:
            problems.append(
                (place, "This pragma is not known: use `init(...)`, `x=(B, 3, 28, 28)`, `ignore[...]` or `skip`.")
            )
    return Pragmas(init, inputs, frozenset(ignore), skip, tuple(problems))


def input_problem(name: str, text: str, parameters: frozenset[str] | None) -> str | None:
    """Why no input is told by a name and its text; None where one may be. `parameters`: as for `read`."""
    if parameters is not None and name.lstrip("*") not in parameters:
        there = ", ".join(f"`{item}`" for item in sorted(parameters)) or "none"
        return f"`forward` has no parameter `{name}`; it has {there}."
    return _unreadable(text)


def misplaced(source: SourceText, lines: Iterable[int], within: Range) -> list[tuple[Range, str]]:
    """The pragmas `within` a class that stand neither over it nor over its `forward`, where `lines` begin."""
    if "ts-shape" not in source.text:
        return []
    known = set(_comment_lines(source, lines))
    text = "\n".join(source.line(number) for number in range(within.line, within.end_line + 1))
    found: list[tuple[Range, str]] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            number = within.line + token.start[0] - 1
            if token.type == tokenize.COMMENT and number not in known and _PRAGMA.search(token.string):
                place = Range(number, token.start[1], number, token.end[1])
                found.append(
                    (place, "Nothing reads this comment here: put it on the line before the class or `forward`.")
                )
    except (tokenize.TokenError, SyntaxError):
        pass
    return found


def _unreadable(text: str) -> str | None:
    """Why the text of an input is neither a shape nor a literal; None where it may be one."""
    if isinstance(syntax.expression(text), ast.Constant):
        return None
    unknown = next(
        (word for word in _TYPED.findall(text) if word not in _DTYPES and not word.startswith("float8")), None
    )
    if unknown is not None:
        return f"`{unknown}` is no dtype of torch: write {_SHAPE}."
    plain = _TYPED.sub("", text).strip()
    if plain[:1] in _BRACKETS:
        readable = _balanced(plain)
    else:
        readable = isinstance(syntax.expression(plain), (ast.Constant, ast.UnaryOp))
    return None if readable else f"`{text}` is neither a shape nor a value: write {_SHAPE}."


def _balanced(text: str) -> bool:
    """Whether the bracket that a text begins with ends it, and those in between are paired."""
    awaited: list[str] = []
    for position, sign in enumerate(text):
        if sign in _BRACKETS:
            awaited.append(_BRACKETS[sign])
        elif sign in _BRACKETS.values() and (not awaited or awaited.pop() != sign):
            return False
        if not awaited:
            return position == len(text) - 1
    return False


def _comment_lines(source: SourceText, lines: Iterable[int]) -> list[int]:
    found: set[int] = set()
    for line in lines:
        found.add(line)
        above = line - 1
        while above >= 1 and source.line(above).lstrip().startswith("#"):
            found.add(above)
            above -= 1
    return sorted(found)


def _keywords(body: str) -> dict[str, str] | None:
    call = syntax.expression(body)
    if not isinstance(call, ast.Call) or call.args or any(item.arg is None for item in call.keywords):
        return None
    return {str(item.arg): ast.unparse(item.value) for item in call.keywords}
