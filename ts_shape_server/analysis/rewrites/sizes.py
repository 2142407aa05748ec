"""Sizes that are unpacked with a star, and powers of whole numbers.

Why: TorchScript unpacks a list into so many names and knows no star among them: each name is an item, the rest a slice.
And a power of two ints is a float to it, which no size may be; the second and third are products.

Refused: list-length-unknown
Input: x=[2, 3, 4, 4]

Before:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            b, c, *spatial = x.shape
            x = x.flatten(2).relu()
            return x.reshape([b, c] + spatial)

After:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            b, c, spatial = x.shape[0], x.shape[1], list(x.shape[2:])
            x = x.flatten(2).relu()
            return x.reshape([b, c] + spatial)

Before:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            b, *_, w = x.size()
            return x.reshape(b, -1, w)

After:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            b, w = x.size(0), x.size(-1)
            return x.reshape(b, -1, w)

Left alone:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            first, *rest = self.parts(x)
            return first, rest

Refused: no-matching-overload

Before:
    from torch import nn


    class Net(nn.Module):
        def __init__(self, factor=2):
            super().__init__()
            self.factor = factor

        def forward(self, x):
            b, c, h, w = x.size()
            c = c * self.factor**2
            return x.view(b, c, h // 2, -1)

After:
    from torch import nn


    class Net(nn.Module):
        def __init__(self, factor=2):
            super().__init__()
            self.factor = factor

        def forward(self, x):
            b, c, h, w = x.size()
            c = c * (self.factor * self.factor)
            return x.view(b, c, h // 2, -1)

Input: x=[2, 3]

Before:
    from torch import nn


    class Net(nn.Module):
        def __init__(self, factor=2):
            super().__init__()
            self.factor = factor

        def forward(self, x):
            low = -self.factor**2
            return x.view(2, low + 7)

After:
    from torch import nn


    class Net(nn.Module):
        def __init__(self, factor=2):
            super().__init__()
            self.factor = factor

        def forward(self, x):
            low = -(self.factor * self.factor)
            return x.view(2, low + 7)
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation

_PRODUCTS = (2, 3)


def starred_targets(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``b, c, *spatial = x.shape`` as ``b, c, spatial = x.shape[0], x.shape[1], list(x.shape[2:])``."""
    statement = place.statement
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1 or not situation.alone(statement):
        return
    target = statement.targets[0]
    tensor = _sized(statement.value)
    if not isinstance(target, (ast.Tuple, ast.List)) or tensor is None or "\n" in situation.text(statement):
        return
    stars = [number for number, item in enumerate(target.elts) if isinstance(item, ast.Starred)]
    if len(stars) != 1:
        return
    called = isinstance(statement.value, ast.Call)
    text, count = situation.text(tensor), len(target.elts)
    names: list[str] = []
    values: list[str] = []
    for number, item in enumerate(target.elts):
        if isinstance(item, ast.Starred):
            if not isinstance(item.value, ast.Name):
                return
            if _is_read(place, item.value.id):
                after = count - number - 1
                names.append(item.value.id)
                values.append(f"list({text}.shape[{number or ''}:{-after if after else ''}])")
            continue
        if not isinstance(item, ast.Name):
            return
        index = number if number < stars[0] else number - count
        names.append(item.id)
        values.append(f"{text}.size({index})" if called else f"{text}.shape[{index}]")
    if names:
        line = f"{', '.join(names)} = {', '.join(values)}"
        yield Rewrite("star-as-slice", "Take the sizes one by one", (situation.replace(statement, line),))


def _sized(value: ast.expr) -> ast.expr | None:
    """The tensor in ``x.shape`` and ``x.size()``, where reading it again is the same."""
    if isinstance(value, ast.Call):
        plain = isinstance(value.func, ast.Attribute) and value.func.attr == "size" and not value.args
        tensor = value.func.value if isinstance(value.func, ast.Attribute) and plain and not value.keywords else None
    else:
        tensor = value.value if isinstance(value, ast.Attribute) and value.attr == "shape" else None
    return tensor if isinstance(tensor, (ast.Name, ast.Attribute)) else None


def _is_read(place: Place, name: str) -> bool:
    nodes = (node for node in ast.walk(place.function) if isinstance(node, ast.Name) and node.id == name)
    return any(isinstance(node.ctx, ast.Load) for node in nodes)


def products(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``factor**2`` of an int as ``factor * factor``, all of a function together."""
    edits = []
    for node in ast.walk(place.function):
        if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Pow):
            continue
        power = node.right.value if isinstance(node.right, ast.Constant) else None
        base = node.left
        if not isinstance(power, int) or power not in _PRODUCTS or not isinstance(base, (ast.Name, ast.Attribute)):
            continue
        if not situation.had(base, "int") or not situation.had(node, "int"):
            continue
        above = situation.parents.get(node)
        text = " * ".join([situation.text(base)] * power)
        edits.append(situation.replace(node, f"({text})" if isinstance(above, (ast.BinOp, ast.UnaryOp)) else text))
    if edits:
        yield Rewrite("power-as-product", "Write powers of whole numbers as products", tuple(edits))
