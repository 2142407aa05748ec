"""The types that TorchScript's compiler prints in its messages, in the spelling of the contract.

The compiler writes ``int[]`` and ``Tensor?`` in signatures of operators, ``List[int]`` elsewhere, ``(int, Tensor)`` and
``Tuple[int, Tensor]`` alike, ``(inferred)`` behind what it took for a Tensor, and at times a full stop. Knows no
values.
"""

from __future__ import annotations

import re

from ts_shape_server.contract import types
from ts_shape_server.contract.types import TypeTree

_LIST = re.compile(r"([\w.]+(?:\[[^\[\]]+\])?)\[\d*\]")
_OPTIONAL = re.compile(r"([\w.]+(?:\[[^?]*\])?)\?")
_BARE_TUPLE = re.compile(r"(?<![\w.])\(")
_LOWER = re.compile(r"\b(list|dict|tuple)\[")


def type_tree(text: str) -> TypeTree | None:
    """The type that a text of the compiler's means; None for a text that is none."""
    text = text.replace("(inferred)", "").replace("NoneType", "None").strip().rstrip(".:").strip()
    text = _BARE_TUPLE.sub("Tuple[", text).replace("(", "[").replace(")", "]")
    text = _LOWER.sub(lambda match: match.group(1).capitalize() + "[", text).replace("Tuple[]", "Tuple[()]")
    before = ""
    while before != text:
        before, text = text, _OPTIONAL.sub(r"Optional[\1]", _LIST.sub(r"List[\1]", text))
    return types.parse(text)
