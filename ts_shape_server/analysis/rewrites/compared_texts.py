"""Parameters that a function holds against texts are texts.

Why: TorchScript takes a parameter without an annotation for a Tensor, and a method that no run calls (one under
`@torch.jit.export`) shows no type. What is compared with texts, and with nothing else, is a `str`.

Refused: no-matching-overload
Input: x=[2, 3]

Before:
    import torch
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            return x.relu()

        @torch.jit.export
        def pooled(self, x, how):
            if how == "max":
                return x.max()
            assert how in ("mean", "sum")
            return x.mean() if how == "mean" else x.sum()

After:
    import torch
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            return x.relu()

        @torch.jit.export
        def pooled(self, x, how: str):
            if how == "max":
                return x.max()
            assert how in ("mean", "sum")
            return x.mean() if how == "mean" else x.sum()

Left alone:
    import torch
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            return x.relu()

        @torch.jit.export
        def pooled(self, x, how):
            if how == "max":
                return x.max()
            return x.sum(how)
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation
from ts_shape_server.contract.report import Annotation


def annotated(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``how == "max"`` of a parameter that has neither an annotation nor a default: ``how: str``."""
    function = place.function
    plain = function.args.args[: len(function.args.args) - len(function.args.defaults)]
    found = [
        Annotation(
            situation.qualified(place.owner) if place.owner is not None else "", function.name, item.arg, "str", True
        )
        for item in plain
        if item.annotation is None
        and (situation.arrived(function, item.arg) or "str") == "str"
        and _is_text(situation, function, item.arg)
    ]
    edits = situation.annotated(found) if found else ()
    if edits:
        names = " and ".join(f"`{item.name}`" for item in found)
        yield Rewrite("text-parameter", f"Annotate {names} of `{function.name}` as str", edits)


def _is_text(situation: Situation, function: ast.AST, name: str) -> bool:
    """Whether all that a function does with a name is to compare it with texts."""
    uses = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == name]
    return bool(uses) and all(_compares(situation.parents.get(node), node) for node in uses)


def _compares(above: ast.AST | None, node: ast.Name) -> bool:
    if not isinstance(above, ast.Compare) or above.left is not node or len(above.ops) != 1:
        return False
    (other,) = above.comparators
    if isinstance(above.ops[0], (ast.Eq, ast.NotEq)):
        return _is_string(other)
    listed = isinstance(other, (ast.Tuple, ast.List)) and bool(other.elts) and all(map(_is_string, other.elts))
    return isinstance(above.ops[0], (ast.In, ast.NotIn)) and listed


def _is_string(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
