"""Hashes of code that change with what a class is and reaches in its file, and not with comments or other classes.

Works on the text rather than the tree: a regular expression over the lines takes a tenth of the time of a walk. A name
that a string mentions may count as reached; that costs a probe and hides nothing. Pure.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Sequence

from ts_shape_server.analysis.scopes import bound_by

_STRINGS_AND_COMMENTS = re.compile(
    r"""\"\"\"(?:\\.|[^\\])*?\"\"\"|\'\'\'(?:\\.|[^\\])*?\'\'\'|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|#[^\n]*""",
    re.DOTALL,
)
_DOCUMENTATION = re.compile(r"""(?<![fF])\"\"\"(?:\\.|[^\\])*?\"\"\"|(?<![fF])\'\'\'(?:\\.|[^\\])*?\'\'\'""", re.DOTALL)
_NAME = re.compile(r"(?<![\w.])[^\W\d]\w*")


class Digests:
    """The digests of one file's classes. `lines` are those that the tree was made of."""

    def __init__(self, lines: Sequence[str], tree: ast.Module) -> None:
        self._lines = lines
        self._body = tree.body
        self._providers: dict[str, list[int]] = {}
        self._known: dict[int, tuple[bytes, frozenset[str]]] = {}
        for number, statement in enumerate(tree.body):
            for name in bound_by(statement):
                self._providers.setdefault(name, []).append(number)
        self._names = frozenset(self._providers)

    def of(self, node: ast.stmt) -> str:
        """The digest of a definition: of its own code, then of every top-level statement that it reaches."""
        own, names = self._read(node)
        hasher = hashlib.sha256(own)
        reached: set[int] = set()
        waiting = set(names)
        seen: set[str] = set()
        while waiting:
            name = waiting.pop()
            seen.add(name)
            for number in self._providers[name]:
                if number not in reached and self._body[number] is not node:
                    reached.add(number)
                    waiting |= self._of_statement(number)[1] - seen
        for number in sorted(reached):
            hasher.update(self._of_statement(number)[0])
        return hasher.hexdigest()

    def _of_statement(self, number: int) -> tuple[bytes, frozenset[str]]:
        if number not in self._known:
            self._known[number] = self._read(self._body[number])
        return self._known[number]

    def _read(self, node: ast.stmt) -> tuple[bytes, frozenset[str]]:
        """The code of a statement without comments and blank lines, and the module's names in it."""
        first = min([node.lineno, *(item.lineno for item in getattr(node, "decorator_list", ()))])
        text = "\n".join(self._lines[first - 1 : node.end_lineno])
        if "#" in text:
            text = _STRINGS_AND_COMMENTS.sub(lambda found: "" if found[0][0] == "#" else found[0], text)
        code = "\n".join([line.rstrip() for line in text.split("\n") if line and not line.isspace()])
        names = frozenset(_NAME.findall(_DOCUMENTATION.sub("", code)))
        return code.encode("utf-8", "surrogatepass"), names & self._names
