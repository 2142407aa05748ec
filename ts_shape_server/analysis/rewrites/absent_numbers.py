"""A share that a constructor leaves at None is 0.0.

Why: ``DropPath(None)`` drops nothing, and passes its None on to a function that takes a float. Python gets by with it
where the function asks for the mode first; TorchScript compiles the call. A trial shows that None and 0.0 are the same
where None arrived in a run. Nothing is done where none did, nor where the function is of another file or asks for None.

Refused: argument-type expected=float got=None
Input: x=[2, 3]

Before:
    import torch
    from torch import nn


    def drop_path(x, share: float = 0.0, training: bool = False):
        if share == 0.0 or not training:
            return x
        return x / (1 - share) * (torch.rand(x.shape[0], 1) > share)


    class Net(nn.Module):
        def __init__(self, drop_prob=None):
            super().__init__()
            self.drop_prob = drop_prob

        def forward(self, x):
            return drop_path(x, self.drop_prob, self.training)

After:
    import torch
    from torch import nn


    def drop_path(x, share: float = 0.0, training: bool = False):
        if share == 0.0 or not training:
            return x
        return x / (1 - share) * (torch.rand(x.shape[0], 1) > share)


    class Net(nn.Module):
        def __init__(self, drop_prob=None):
            super().__init__()
            self.drop_prob = 0.0 if drop_prob is None else drop_prob

        def forward(self, x):
            return drop_path(x, self.drop_prob, self.training)

Left alone:
    from torch import nn


    def scaled(x, by: float = 0.0):
        return x * by


    class Net(nn.Module):
        def __init__(self, by=2.0):
            super().__init__()
            self.by = by

        def forward(self, x):
            return scaled(x, self.by)

Left alone:
    from torch import nn


    def scaled(x, by: float = 0.0, training: bool = False):
        if not training:
            return x
        return x if by is None else x * by


    class Net(nn.Module):
        def __init__(self, by=None):
            super().__init__()
            self.by = by

        def forward(self, x):
            return scaled(x, self.by, self.training)

Left alone:
    from torch import nn


    def scaled(x, by: float = 0.0):
        return x if by is None else x * by


    class Net(nn.Module):
        def __init__(self, by=None):
            super().__init__()
            self.by = by

        def forward(self, x):
            if self.by is None:
                return x
            return scaled(x, self.by)
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation
from ts_shape_server.analysis.scopes import FUNCTIONS
from ts_shape_server.contract.report import Annotation


def as_zero(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``self.drop_prob = drop_prob`` of a parameter that is None by default, where the class never asks for None."""
    said = place.says("argument-type")
    if said is None or (said.fact("expected"), said.fact("got")) != ("float", "None") or place.owner is None:
        return
    for node in ast.walk(place.statement):
        call = situation.parents.get(node)
        own = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
        if not own or not isinstance(node, ast.Attribute) or not isinstance(call, (ast.Call, ast.keyword)):
            continue
        made = _set_to_parameter(situation, place.owner, node.attr)
        if made is None or not situation.had(node, "None") or _is_asked_for_none(place.owner, node.attr):
            continue
        if not _takes_a_number(situation, node):
            continue
        edit = situation.replace(made, f"0.0 if {made.id} is None else {made.id}")
        yield Rewrite("none-as-zero", f"Take a `{node.attr}` of None in `__init__` as 0.0", (edit,))


def _takes_a_number(situation: Situation, passed: ast.expr) -> bool:
    """Whether the function of this file that something is passed to never tells None from a number."""
    keyword = situation.parents[passed]
    call = situation.parents.get(keyword) if isinstance(keyword, ast.keyword) else keyword
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        return False
    found = [item for item in situation.tree.body if isinstance(item, ast.FunctionDef) and item.name == call.func.id]
    if len(found) != 1:
        return False
    arguments = found[0].args
    plain = [item.arg for item in (*arguments.posonlyargs, *arguments.args)]
    if isinstance(keyword, ast.keyword):
        name = keyword.arg or ""
    else:
        place = call.args.index(passed) if passed in call.args else len(plain)
        name = plain[place] if place < len(plain) else ""
    return bool(name) and not any(_asks_for_none(node, name) for node in ast.walk(found[0]))


def _asks_for_none(node: ast.AST, name: str) -> bool:
    """``share is None``, ``if share``, ``not share``, ``share or 0.0``."""
    asked: list[ast.expr] = []
    if isinstance(node, ast.Compare) and any(isinstance(item, (ast.Is, ast.IsNot)) for item in node.ops):
        asked = [node.left, *node.comparators]
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
        asked = [node.test]
    elif isinstance(node, ast.BoolOp):
        asked = node.values
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        asked = [node.operand]
    return any(isinstance(item, ast.Name) and item.id == name for item in asked)


def settles(situation: Situation, item: Annotation) -> bool:
    """Whether a parameter that None arrived in is a number to its author, and gets one once None is taken as 0.0."""
    if item.type != "Optional[float]":
        return False
    for failure in situation.state.script.failures:
        place = situation.place(failure)
        said = place.says("argument-type") if place is not None else None
        about = said is not None and said.fact("argument") == item.name
        if place is not None and about and next(as_zero(situation, place), None) is not None:
            return True
    return False


def _set_to_parameter(situation: Situation, owner: ast.ClassDef, attribute: str) -> ast.Name | None:
    """The parameter, None by default, that the constructor sets an attribute to, once and as it came."""
    initialiser = situation.method(owner, "__init__")
    stores = [
        node
        for node in ast.walk(owner)
        if isinstance(node, ast.Attribute) and node.attr == attribute and not isinstance(node.ctx, ast.Load)
    ]
    statement = situation.parents.get(stores[0]) if len(stores) == 1 else None
    if not isinstance(initialiser, FUNCTIONS) or not isinstance(statement, ast.Assign):
        return None
    value = statement.value
    arguments = initialiser.args
    plain = arguments.args[len(arguments.args) - len(arguments.defaults) :]
    defaults = {item.arg: default for item, default in zip(plain, arguments.defaults, strict=True)}
    default = defaults.get(value.id) if isinstance(value, ast.Name) else None
    absent = isinstance(default, ast.Constant) and default.value is None
    return value if isinstance(value, ast.Name) and absent and statement in initialiser.body else None


def _is_asked_for_none(owner: ast.ClassDef, attribute: str) -> bool:
    """Whether the class itself tells None from a number."""
    return any(
        isinstance(node, ast.Compare) and isinstance(node.left, ast.Attribute) and node.left.attr == attribute
        for node in ast.walk(owner)
    )
