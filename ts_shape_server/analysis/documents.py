"""Python that stands in documents: the fenced blocks of Markdown and reStructuredText, the cells of a notebook.

Each piece keeps the lines at which it stands, so that what is found in it is told there. Pieces of prose that are no
Python are left out. Pure.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator

NAMES = (".md", ".markdown", ".rst", ".ipynb")
_FENCE = re.compile(r"^(\s*)(`{3,}|~{3,})\s*\{?\.?([\w+-]*)")
_DIRECTIVE = re.compile(r"^(\s*)\.\. (?:code|code-block|sourcecode|testcode)::\s*([\w+-]*)\s*$")
_PYTHON = frozenset({"", "py", "python", "python3", "pycon", "ipython", "ipython3"})
_PROMPT = re.compile(r"^(>>> ?|\.\.\. ?)")


def pieces(name: str, text: str) -> tuple[str, ...]:
    """The programs in a document of that file name. A notebook is one program, each block of a page is its own."""
    if name.endswith(".ipynb"):
        found = _of_notebook(text)
    elif name.endswith(".rst"):
        found = _of_directives(text.splitlines())
    else:
        found = _of_fences(text.splitlines())
    return tuple(piece for piece in found if piece.strip() and _parses(piece))


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _of_fences(lines: list[str]) -> Iterator[str]:
    opened: tuple[str, str, int, bool] | None = None
    for number, line in enumerate(lines):
        fence = _FENCE.match(line)
        if opened is None:
            if fence is not None:
                python = fence.group(3).lower() in _PYTHON
                opened = fence.group(1), fence.group(2), number, python
            continue
        indent, mark, start, python = opened
        if fence is not None and fence.group(2).startswith(mark) and not fence.group(3):
            opened = None
            if python:
                yield _placed(lines[start + 1 : number], start + 1, len(indent))


def _of_directives(lines: list[str]) -> Iterator[str]:
    number = 0
    while number < len(lines):
        directive = _DIRECTIVE.match(lines[number])
        number += 1
        if directive is None or directive.group(2).lower() not in _PYTHON:
            continue
        depth, start = len(directive.group(1)), number
        while number < len(lines) and (not lines[number].strip() or _indent(lines[number]) > depth):
            number += 1
        block = ["" if re.match(r"\s*:[\w-]+:", line) else line for line in lines[start:number]]
        yield _placed(block, start, min((_indent(line) for line in block if line.strip()), default=0))


def _placed(block: list[str], start: int, indent: int) -> str:
    """The code of a block at its lines, without the indentation of the block and prompts."""
    code = [line[indent:] if line[:indent].isspace() or not indent else line for line in block]
    if any(line.startswith(">>>") for line in code):
        code = [_PROMPT.sub("", line) if _PROMPT.match(line) else "" for line in code]
    return "\n" * start + "\n".join(code) + "\n"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _of_notebook(text: str) -> Iterator[str]:
    """The cells of a notebook in their order, without the lines that only IPython takes."""
    try:
        cells = json.loads(text)["cells"]
        sources = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return
    code: list[str] = []
    for source in sources:
        cell = "".join(source) if isinstance(source, list) else str(source)
        lines = cell.splitlines()
        if lines and lines[0].startswith("%%"):
            continue
        plain = "\n".join(_without_magic(line) for line in lines) + "\n"
        code.append(plain if _parses(plain) else "\n" * len(lines))
    yield "".join(code)


def _without_magic(line: str) -> str:
    inner = line.lstrip()
    return line[: len(line) - len(inner)] + "pass" if inner[:1] in ("%", "!", "?") else line
