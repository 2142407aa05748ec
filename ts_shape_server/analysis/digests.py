"""Hashes of code that change with what a class is and reaches in its file, and not with other classes or with comments
that say no shape.

Works on the text rather than the tree: a regular expression over the lines takes a tenth of the time of a walk. A name
that a string mentions may count as reached; that costs a probe and hides nothing. Pure.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from ts_shape_server.analysis.scopes import bound_by
from ts_shape_server.analysis.syntax import first_line

_LONG = r"""\"\"\"[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*\"\"\"|\'\'\'[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*\'\'\'"""
_SHORT = r""""[^"\\\n]*(?:\\.[^"\\\n]*)*"|'[^'\\\n]*(?:\\.[^'\\\n]*)*'"""
_STRINGS_AND_COMMENTS = re.compile(rf"{_LONG}|{_SHORT}|#[^\n]*", re.DOTALL)
_SHAPE_COMMENT = re.compile(r"type:|[(\[][^()\[\]]+,[^()\[\]]*[)\]]|\w [x×] \w")
_LONG_STRINGS = re.compile(_LONG, re.DOTALL)


class Digests:
    """The digests of one file's classes. `lines` are those that the tree was made of."""

    def __init__(self, lines: Sequence[str], tree: ast.Module) -> None:
        self._lines = lines
        self._body = tree.body
        self._providers: dict[str, list[int]] = {}
        self._known: dict[int, tuple[bytes, set[str]]] = {}
        for number, statement in enumerate(tree.body):
            for name in bound_by(statement):
                self._providers.setdefault(name, []).append(number)

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
                    waiting |= self._read(self._body[number])[1] - seen
        for number in sorted(reached):
            hasher.update(self._read(self._body[number])[0])
        return hasher.hexdigest()

    def around(self, name: str, line: int) -> str:
        """The digest of the code that uses what a top-level statement at this line binds to a name: of each statement
        that has the name, or one that such a statement binds, and of what those reach. Of classes, only the statements
        that have the name itself count, so that one class may change without the others.
        """
        own = {number for number, item in enumerate(self._body) if first_line(item) <= line <= (item.end_lineno or 0)}
        users = self._using(name, own)
        parts = [self._read(self._body[number]) for number in users]
        for number in self._users.get(name, ()):
            if number not in own and isinstance(self._body[number], ast.ClassDef):
                parts += [read for inner in _simple(self._body[number]) if name in (read := self._read(inner))[1]]
        code = {part for part, _ in parts}
        taken, seen = own | users, {each for _, names in parts for each in names}
        waiting = list(seen)
        while waiting:
            for number in self._providers[waiting.pop()]:
                if number not in taken and not isinstance(self._body[number], ast.ClassDef):
                    taken.add(number)
                    part, names = self._read(self._body[number])
                    code.add(part)
                    waiting += names - seen
                    seen |= names
        return hashlib.sha256(b"\0".join(sorted(code))).hexdigest()

    def _using(self, name: str, own: set[int]) -> set[int]:
        """The statements, but for `own` and for classes, that have a name or one that another of them binds."""
        found: set[int] = set()
        waiting, seen = [name], {name}
        while waiting:
            for number in self._users.get(waiting.pop(), ()):
                if number not in found and number not in own and not isinstance(self._body[number], ast.ClassDef):
                    found.add(number)
                    bound = set(bound_by(self._body[number])) - seen
                    seen |= bound
                    waiting += bound
        return found

    @cached_property
    def _users(self) -> dict[str, list[int]]:
        """By name of the module, the numbers of the statements that have it."""
        found: dict[str, list[int]] = {}
        for number, statement in enumerate(self._body):
            for name in self._read(statement)[1]:
                found.setdefault(name, []).append(number)
        return found

    def _read(self, node: ast.stmt) -> tuple[bytes, set[str]]:
        """The code of a statement without comments and blank lines, and the module's names in it."""
        if id(node) not in self._known:
            text = "\n".join(self._lines[first_line(node) - 1 : node.end_lineno])
            if "#" in text:
                text = _STRINGS_AND_COMMENTS.sub(lambda found: "" if _says_nothing(found[0]) else found[0], text)
            code = "\n".join([line.rstrip() for line in text.split("\n") if line and not line.isspace()])
            words = _LONG_STRINGS.sub(_only_formatted, code)
            names = {name for name in self._providers if name in words and _stands_alone(name, words)}
            self._known[id(node)] = code.encode("utf-8", "surrogatepass"), names
        return self._known[id(node)]


def _simple(node: ast.stmt) -> Iterator[ast.stmt]:
    """The statements in a definition that hold no others."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.stmt) and not hasattr(inner, "body"):
            yield inner


def _says_nothing(text: str) -> bool:
    """Whether a text is a comment, and one that gives neither a type nor a shape."""
    return text[0] == "#" and _SHAPE_COMMENT.search(text) is None


def _only_formatted(found: re.Match[str]) -> str:
    """A long string is documentation, unless it is formatted and so has names in it."""
    start = found.start()
    return found[0] if start and found.string[start - 1] in "fFrR" else ""


def _stands_alone(name: str, text: str) -> bool:
    """Whether the text has the name as a whole word that is no attribute."""
    start = text.find(name)
    while start >= 0:
        before, after = text[start - 1 : start], text[start + len(name) : start + len(name) + 1]
        if not (before.isalnum() or before in ("_", ".")) and not (after.isalnum() or after == "_"):
            return True
        start = text.find(name, start + 1)
    return False
