"""None in a list of modules, as an `nn.Identity`.

Why: a list of modules may hold None in Python, and TorchScript leaves it out: the list is shorter then, and every
module behind it stands at another index. An `nn.Identity` has no weights and keeps the place. Where the class asks
whether an item is None, or whether it is true, nothing is changed.

Refused: differs-from-eager
Input: x=[2, 3]

Before:
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            parts = []
            for i in range(3):
                if i == 1:
                    parts.append(None)
                else:
                    parts.append(nn.Linear(3, 3))
            self.layers = nn.ModuleList(parts)

        def forward(self, x):
            for i, layer in enumerate(self.layers):
                if i != 1:
                    x = layer(x)
            return x

After:
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            parts = []
            for i in range(3):
                if i == 1:
                    parts.append(nn.Identity())
                else:
                    parts.append(nn.Linear(3, 3))
            self.layers = nn.ModuleList(parts)

        def forward(self, x):
            for i, layer in enumerate(self.layers):
                if i != 1:
                    x = layer(x)
            return x

Left alone:
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(3, 3), None])

        def forward(self, x):
            for layer in self.layers:
                if layer is not None:
                    x = layer(x)
            return x
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation
from ts_shape_server.analysis.scopes import FUNCTIONS, stored
from ts_shape_server.contract.places import TextEdit


def identities(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """Every None that the class puts into a list of modules."""
    edits = as_identities(situation, place.owner)
    if edits:
        yield Rewrite("none-as-identity", "Put `nn.Identity()` where a list of modules has None", tuple(edits))


def as_identities(situation: Situation, owner: ast.ClassDef | None) -> list[TextEdit]:
    """The edits; none where the class asks for None."""
    if owner is None or _asks(owner):
        return []
    found = [node for function in owner.body if isinstance(function, FUNCTIONS) for node in _nones(function)]
    name, imports = situation.import_of("torch.nn") if found else ("", [])
    return [*(situation.replace(node, f"{name}.Identity()") for node in found), *imports]


def _nones(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.expr]:
    """None in what a function makes a list of modules of."""
    lists: list[ast.expr] = []
    names: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and _last(node.func) == "ModuleList" and len(node.args) == 1:
            lists.append(node.args[0])
            names |= {node.args[0].id} if isinstance(node.args[0], ast.Name) else set()
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and _last(node.value.func) == "ModuleList":
            names |= {ast.unparse(item) for item in node.targets}
    for node in ast.walk(function):
        added = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append"
        if added and ast.unparse(node.func.value) in names:  # type: ignore[attr-defined]  # a method
            lists.append(ast.List(node.args, ast.Load()))  # type: ignore[attr-defined]  # a call
        if isinstance(node, ast.Assign) and not names.isdisjoint(map(ast.unparse, node.targets)):
            lists.append(node.value)
    seen: set[int] = set()
    for listed in lists:
        items = listed.elts if isinstance(listed, (ast.List, ast.Tuple)) else []
        items = [listed.elt] if isinstance(listed, (ast.ListComp, ast.GeneratorExp)) else items
        for item in items:
            for side in [item.body, item.orelse] if isinstance(item, ast.IfExp) else [item]:
                if isinstance(side, ast.Constant) and side.value is None and id(side) not in seen:
                    seen.add(id(side))
                    yield side


def _asks(owner: ast.ClassDef) -> bool:
    """Whether a class asks of an item of anything whether it is None or true."""
    items = {name for node in ast.walk(owner) if isinstance(node, ast.For) for name in stored(node.target)}
    for node in ast.walk(owner):
        asked: list[ast.expr] = [node.test] if isinstance(node, (ast.If, ast.IfExp, ast.While)) else []
        asked += node.values if isinstance(node, ast.BoolOp) else []
        asked += [node.operand] if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) else []
        none = isinstance(node, ast.Compare) and any(
            isinstance(item, ast.Constant) and item.value is None for item in node.comparators
        )
        asked += [node.left] if none and isinstance(node, ast.Compare) else []
        for item in asked:
            if isinstance(item, ast.Subscript) or (isinstance(item, ast.Name) and item.id in items):
                return True
    return False


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
