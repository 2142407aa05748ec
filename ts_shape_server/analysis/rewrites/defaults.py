"""Defaults that the compiler does not take: ``requires_grad=False`` in a call, an int for a tuple in a signature.

Why: TorchScript's functions that make tensors have no `requires_grad`, and none is what they do. A parameter whose body
indexes it never ran with the int that is its default: the default is the int for each of its places.

Refused: no-matching-overload
Input: x=[2, 3]

Before:
    import torch
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            mask = x.new_ones(1, x.size(1), requires_grad=False)
            return x * mask + torch.zeros(3, requires_grad=False, device=x.device)

After:
    import torch
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            mask = x.new_ones(1, x.size(1))
            return x * mask + torch.zeros(3, device=x.device)

Left alone:
    import torch
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            return x + torch.zeros(3, requires_grad=True)

Refused: default-without-type name=size type=Tuple[int,int]

Before:
    from typing import Tuple

    from torch import nn


    def cut(x, size: Tuple[int, int] = 1):
        return x[: size[0], : size[1]]


    class Net(nn.Module):
        def forward(self, x):
            return cut(x, (2, 2))

After:
    from typing import Tuple

    from torch import nn


    def cut(x, size: Tuple[int, int] = (1, 1)):
        return x[: size[0], : size[1]]


    class Net(nn.Module):
        def forward(self, x):
            return cut(x, (2, 2))

Left alone:
    from typing import Tuple

    from torch import nn


    def cut(x, size: Tuple[int, int] = 1):
        if isinstance(size, int):
            size = (size, size)
        return x[: size[0], : size[1]]


    class Net(nn.Module):
        def forward(self, x):
            return cut(x, (2, 2))
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation
from ts_shape_server.analysis.rewrites.variadic import with_comma
from ts_shape_server.contract.places import TextEdit

_MAKERS = re.compile(
    r"torch\.(zeros|ones|empty|full|rand|randn|arange|linspace|eye|tensor|(zeros|ones|empty|full|rand|randn)_like)"
)
_NEW = re.compile(r"new_(zeros|ones|empty|full|tensor)")


def without_gradient(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``torch.zeros(3, requires_grad=False)`` as ``torch.zeros(3)``."""
    edits: list[TextEdit] = []
    for node in ast.walk(place.function):
        if not isinstance(node, ast.Call) or not _makes_tensor(situation, node.func):
            continue
        for keyword in node.keywords:
            off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            if keyword.arg == "requires_grad" and off:
                edits.append(TextEdit(with_comma(situation, situation.range_of(keyword)), ""))
    if edits:
        yield Rewrite("requires-grad-default", "Leave out `requires_grad=False`, which is the default", tuple(edits))


def _makes_tensor(situation: Situation, function: ast.expr) -> bool:
    if _MAKERS.fullmatch(situation.path_of(function)):
        return True
    return isinstance(function, ast.Attribute) and _NEW.fullmatch(function.attr) is not None


def for_each_place(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``size: Tuple[int, int] = 1`` of a function that only indexes it as ``size: Tuple[int, int] = (1, 1)``."""
    arguments = place.function.args
    edits: list[TextEdit] = []
    pairs = zip(arguments.args[::-1], arguments.defaults[::-1], strict=False)
    for parameter, default in pairs:
        annotation = ast.unparse(parameter.annotation) if parameter.annotation is not None else ""
        kind = re.fullmatch(r"(?:typing\.)?[Tt]uple\[((?:int|float)(?:, (?:int|float))*)\]", annotation)
        number = isinstance(default, ast.Constant) and type(default.value) in (int, float)
        if kind is None or not number or not _is_indexed(situation, place.function, parameter.arg):
            continue
        places = kind.group(1).count(",") + 1
        text = ", ".join([situation.text(default)] * places)
        edits.append(situation.replace(default, f"({text}{',' * (places == 1)})"))
    if edits:
        yield Rewrite("tuple-default", "Give the tuple a default with all its places", tuple(edits))


def _is_indexed(situation: Situation, function: ast.AST, name: str) -> bool:
    """Whether the first thing that a function does with a parameter is to index it."""
    uses = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == name]
    if not uses or any(not isinstance(node.ctx, ast.Load) for node in uses):
        return False
    above = situation.parents.get(min(uses, key=lambda node: (node.lineno, node.col_offset)))
    return isinstance(above, ast.Subscript)
