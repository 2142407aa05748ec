"""Enums as TorchScript has them: methods are left out of the script, members are compared with ``==``, and a text is
its value.

Why: TorchScript knows an enum by the names and values of its members. It compiles the methods of the class with it, and
has no way to call one: a method that it cannot compile is refused for nothing. `@torch.jit.unused` leaves it out, and
the script can be saved. ``is`` is false for each member there. A member that is a `str` in Python is none there.

Refused: attribute-lookup
Input: x=[2, 3]

Before:
    from enum import Enum
    from typing import Dict

    import torch
    from torch import nn


    class Field(str, Enum):
        SCORE = "score"

        def __str__(self) -> str:
            return str.__str__(self)


    class Net(nn.Module):
        def forward(self, x) -> Dict[str, torch.Tensor]:
            return {Field.SCORE.value: x * 2.0}

After:
    from enum import Enum
    from typing import Dict

    import torch
    from torch import nn


    class Field(str, Enum):
        SCORE = "score"

        @torch.jit.unused
        def __str__(self) -> str:
            return str.__str__(self)


    class Net(nn.Module):
        def forward(self, x) -> Dict[str, torch.Tensor]:
            return {Field.SCORE.value: x * 2.0}

Refused: raises
Input: x=[2, 3]

Before:
    from enum import Enum

    from torch import nn


    class Mode(Enum):
        FAST = "fast"
        SLOW = "slow"


    class Net(nn.Module):
        def __init__(self, mode=Mode.FAST):
            super().__init__()
            self.mode = mode

        def forward(self, x):
            if self.mode is Mode.FAST:
                return x * 2.0
            assert self.mode is not Mode.FAST
            raise ValueError("slow")

After:
    from enum import Enum

    from torch import nn


    class Mode(Enum):
        FAST = "fast"
        SLOW = "slow"


    class Net(nn.Module):
        def __init__(self, mode=Mode.FAST):
            super().__init__()
            self.mode = mode

        def forward(self, x):
            if self.mode == Mode.FAST:
                return x * 2.0
            assert self.mode != Mode.FAST
            raise ValueError("slow")

Refused: no-matching-overload
Input: x=[2, 3]

Before:
    from enum import Enum

    from torch import nn


    class Field(str, Enum):
        SCORE = "score"


    class Net(nn.Module):
        def forward(self, x):
            out = {}
            out[Field.SCORE] = x * 2.0
            return out

After:
    from enum import Enum

    from torch import nn


    class Field(str, Enum):
        SCORE = "score"


    class Net(nn.Module):
        def forward(self, x):
            out = {}
            out[Field.SCORE.value] = x * 2.0
            return out

Left alone:
    from enum import Enum

    from torch import nn


    class Field(Enum):
        SCORE = "score"


    class Net(nn.Module):
        def forward(self, x):
            out = {}
            out[Field.SCORE] = x * 2.0
            return out

Left alone:
    from torch import nn


    class Field:
        def __str__(self) -> str:
            return str.__str__(self)


    class Net(nn.Module):
        def forward(self, x):
            return x if str(Field()) else -x
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation
from ts_shape_server.contract.places import TextEdit

_ENUMS = tuple(f"enum.{name}" for name in ("Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"))


def unused_methods(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """The method that the refusal stands in, where it is one of an enum."""
    owner, function = place.owner, place.function
    if owner is None or function not in owner.body or not _is_enum(situation, owner):
        return
    if any(ast.unparse(item) != "property" for item in function.decorator_list):
        return
    edits = (situation.before(function, f"@{situation.torch_name()}.jit.unused"), *situation.torch_import())
    title = f"Leave `{owner.name}.{function.name}` out of the script, which cannot call it"
    yield Rewrite("enum-method-unused", title, edits)


def compared_by_value(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``self.mode is Mode.FAST`` as ``self.mode == Mode.FAST``, and of an enum of numbers or texts ``Mode.FAST.value``:
    to TorchScript an attribute with such a member is the number or the text.
    """
    edits: list[TextEdit] = []
    for node in ast.walk(place.function):
        if not isinstance(node, ast.Compare) or len(node.ops) != 1 or node.lineno != node.end_lineno:
            continue
        sign = _EQUALITIES.get(type(node.ops[0]))
        sides = [node.left, node.comparators[0]]
        owners = [_member(situation, side) for side in sides]
        if sign is None or not any(owners):
            continue
        texts = [situation.text(side) for side in sides]
        texts = [
            f"{text}.value" if owner is not None and _is_plain(situation, owner) else text
            for text, owner in zip(texts, owners, strict=True)
        ]
        text = f"{texts[0]} {sign} {texts[1]}"
        edits += [situation.replace(node, text)] if text != situation.text(node) else []
    if edits:
        yield Rewrite("enum-equality", "Compare members of an enum by `==`", tuple(edits))


_EQUALITIES = {ast.Is: "==", ast.IsNot: "!=", ast.Eq: "==", ast.NotEq: "!="}


def _is_plain(situation: Situation, owner: ast.ClassDef) -> bool:
    """Whether the members of an enum are numbers or texts."""
    bases = [base for item in situation.bases(owner) for base in item.bases]
    named = any(situation.means(base, "enum.IntEnum", "enum.StrEnum", "enum.IntFlag") for base in bases)
    return named or not {"str", "int", "float"}.isdisjoint(map(ast.unparse, bases))


def texts_as_values(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``out[Field.SCORE]`` as ``out[Field.SCORE.value]``, of an enum of texts."""
    found: list[ast.expr] = []
    for node in ast.walk(place.function):
        keys = [node.slice] if isinstance(node, ast.Subscript) else node.keys if isinstance(node, ast.Dict) else []
        found += [key for key in keys if isinstance(key, ast.expr)]
    owners = [(key, _member(situation, key)) for key in found]
    texts = [key for key, owner in owners if owner is not None and _is_plain(situation, owner)]
    if texts:
        edits = tuple(situation.replace(key, f"{situation.text(key)}.value") for key in texts)
        yield Rewrite("enum-value", f"Take the value of `{situation.text(texts[0])}` as the key", edits)


def _member(situation: Situation, node: ast.expr) -> ast.ClassDef | None:
    """The enum of this file that an expression names a member of."""
    if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
        return None
    name = node.value.id
    made = [item for item in situation.tree.body if isinstance(item, ast.ClassDef) and item.name == name]
    members = [item for each in made for item in each.body if isinstance(item, ast.Assign)]
    named = any(ast.unparse(item.targets[0]) == node.attr for item in members)
    return made[0] if len(made) == 1 and named and _is_enum(situation, made[0]) else None


def _is_enum(situation: Situation, owner: ast.ClassDef) -> bool:
    return any(situation.means(base, *_ENUMS) for item in situation.bases(owner) for base in item.bases)
