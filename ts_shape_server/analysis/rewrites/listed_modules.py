"""Modules that are listed where they are called: the calls are written out.

Why: TorchScript loops over modules that a `ModuleList` holds, and over no tuple or list of them. ``map`` over such a
list, or a comprehension, is a few calls.

Refused: lambda
Input: x=[2, 3]

Before:
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.q = nn.Linear(3, 3)
            self.k = nn.Linear(3, 3)

        def forward(self, x):
            q, k = map(lambda layer: layer(x).relu(), (self.q, self.k))
            both = torch.cat([layer(x) for layer in [self.q, self.k]], dim=-1)
            return q, both, tuple(layer(k).sum((1,)) for layer in (self.q, self.k))

After:
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.q = nn.Linear(3, 3)
            self.k = nn.Linear(3, 3)

        def forward(self, x):
            q, k = self.q(x).relu(), self.k(x).relu()
            both = torch.cat([self.q(x), self.k(x)], dim=-1)
            return q, both, (self.q(k).sum((1,)), self.k(k).sum((1,)))

Left alone:
    import torch
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            return torch.cat([item.relu() for item in [x, x * 2.0]], dim=-1)
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation

_MOST = 8
"""Calls that are written out."""


def called_in_turn(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``map(lambda layer: layer(x), (self.q, self.k))`` as ``self.q(x), self.k(x)``."""
    edits = []
    for node in ast.walk(place.statement):
        texts = _written_out(situation, node) if isinstance(node, ast.expr) else None
        if texts is None:
            continue
        above = situation.parents.get(node)
        taken = isinstance(above, ast.Call) and isinstance(above.func, ast.Name) and above.func.id in ("list", "tuple")
        if isinstance(above, ast.Assign) and isinstance(above.targets[0], (ast.Tuple, ast.List)):
            edits.append(situation.replace(node, ", ".join(texts)))
        elif isinstance(node, ast.ListComp):
            edits.append(situation.replace(node, f"[{', '.join(texts)}]"))
        elif taken and isinstance(above, ast.Call) and isinstance(above.func, ast.Name) and len(above.args) == 1:
            inside = ", ".join(texts)
            one = "," if len(texts) == 1 else ""
            edits.append(situation.replace(above, f"[{inside}]" if above.func.id == "list" else f"({inside}{one})"))
    if edits:
        yield Rewrite("modules-in-turn", "Write out the calls of the modules that are listed", tuple(edits))


def _written_out(situation: Situation, node: ast.expr) -> list[str] | None:
    """The calls that a `map` or a comprehension over listed modules makes."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "map":
        if len(node.args) != 2 or node.keywords or not isinstance(node.args[0], ast.Lambda):
            return None
        arguments = node.args[0].args
        if len(arguments.args) != 1 or arguments.vararg or arguments.kwarg or arguments.defaults:
            return None
        name, body, listed = arguments.args[0].arg, node.args[0].body, node.args[1]
    elif isinstance(node, (ast.ListComp, ast.GeneratorExp)) and len(node.generators) == 1:
        (generator,) = node.generators
        if generator.ifs or not isinstance(generator.target, ast.Name):
            return None
        name, body, listed = generator.target.id, node.elt, generator.iter
    else:
        return None
    if not isinstance(listed, (ast.Tuple, ast.List)) or not 0 < len(listed.elts) <= _MOST:
        return None
    if body.lineno != body.end_lineno or not all(_is_module(situation, item, body, name) for item in listed.elts):
        return None
    return [situation.text_with(body, {name: situation.text(item)}) for item in listed.elts]


def _is_module(situation: Situation, item: ast.expr, body: ast.expr, name: str) -> bool:
    """Whether an attribute is a module: the run saw one, or it is called where nothing is known of it."""
    if not isinstance(item, ast.Attribute) or ast.unparse(item.value) != "self":
        return False
    kind = situation.type_of(item)
    called = any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
        for node in ast.walk(body)
    )
    return called if kind is None else kind.startswith("!")
