"""Types as TorchScript spells them, as a tree: parsed and printed here, for both sides.

``Tensor``, ``Optional[List[Tensor]]``, ``Dict[str, int]``, ``Tuple[()]``, a class by its name. Beside them stand ``?``,
the type of an element that no run has shown, and ``!package.Class``, that of a value which TorchScript cannot hold
(``!`` alone where its class is not known).
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Annotated, Optional

from ts_shape_server.contract.schema import text

MAXIMUM_LENGTH = 4000
"""Characters of a type."""
MAXIMUM_DEPTH = 40
_TOKEN = re.compile(r" *(\?|\.\.\.|!?(?:[^\W\d]\w*|<\w+>)(?:\.(?:\w+|<\w+>))*|!|[\[\],]|\(\))")


@dataclass(frozen=True)
class TypeTree:
    """A name and, in brackets, its arguments."""

    name: str
    items: tuple[TypeTree, ...] = ()

    def __str__(self) -> str:
        if self.items:
            return f"{self.name}[{', '.join(map(str, self.items))}]"
        return "Tuple[()]" if self.name == "Tuple" else self.name


@functools.lru_cache(maxsize=4096)
def parse(spelled: str) -> Optional[TypeTree]:
    """The tree of a type; None for a text that is none."""
    if spelled.isidentifier():
        return TypeTree(spelled)
    if len(spelled) > MAXIMUM_LENGTH:
        return None
    tokens: list[str] = []
    position = 0
    while position < len(spelled):
        found = _TOKEN.match(spelled, position)
        if found is None:
            return None
        tokens.append(found.group(1))
        position = found.end()
    try:
        return _Tokens(tokens).whole()
    except ValueError:
        return None


def is_type(spelled: str) -> bool:
    """Whether a text is a type."""
    return parse(spelled) is not None


TypeText = Annotated[str, text(MAXIMUM_LENGTH, is_type, "is no type")]


class _Tokens:
    """What is left of a type's text. Raises ValueError where it is none."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._next = 0

    def whole(self) -> TypeTree:
        tree = self._tree(0)
        if self._next != len(self._tokens):
            raise ValueError("something follows the type")
        return tree

    def _tree(self, depth: int) -> TypeTree:
        name = self._taken()
        if depth > MAXIMUM_DEPTH or name in ("[", "]", ",", "()"):
            raise ValueError("not a type")
        if not self._is_next("["):
            return TypeTree(name)
        self._taken()
        if self._is_next("()"):
            self._taken()
            items: list[TypeTree] = []
        else:
            items = [self._tree(depth + 1)]
            while self._is_next(","):
                self._taken()
                items.append(self._tree(depth + 1))
        if self._taken() != "]":
            raise ValueError("an open bracket")
        return TypeTree(name, tuple(items))

    def _is_next(self, token: str) -> bool:
        return self._next < len(self._tokens) and self._tokens[self._next] == token

    def _taken(self) -> str:
        if self._next >= len(self._tokens):
            raise ValueError("the type ends early")
        self._next += 1
        return self._tokens[self._next - 1]
