"""Comments that speak to this server: ``# ts-shape: …`` on the lines before a class or its `forward`.

``init(name=value)``, ``name=(B, 3, 28, 28)``, ``ignore[code]`` and ``skip``. What cannot be read is a problem with
its place, never an error. Pure.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ts_shape_server.analysis import syntax
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range

_PRAGMA = re.compile(r"#\s*ts-shape:\s*(.*?)\s*$")
_IGNORE = re.compile(r"ignore(?:\[([\w\s,-]*)\])?$")
_INPUT = re.compile(r"(\*{0,2}\w+)\s*=\s*(.+)$")


@dataclass(frozen=True)
class Pragmas:
    """What the comments before a class say. `init` and `inputs` map names to texts; `ignore` holds codes, or ``*``."""

    init: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    ignore: frozenset[str] = frozenset()
    skip: bool = False
    problems: tuple[tuple[Range, str], ...] = ()


def read(source: SourceText, lines: Iterable[int]) -> Pragmas:
    """The pragmas in the comment lines directly above each of `lines`, and at the end of those lines themselves."""
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
            inputs[given.group(1)] = given.group(2)
        else:
            problems.append(
                (place, "This pragma is not known: use `init(...)`, `x=(B, 3, 28, 28)`, `ignore[...]` or `skip`.")
            )
    return Pragmas(init, inputs, frozenset(ignore), skip, tuple(problems))


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
