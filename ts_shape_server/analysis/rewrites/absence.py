"""Whether something is None, asked so that TorchScript can leave out the branch that is not taken: with ``is``, and not
by a helper that it only calls.

Refused: equality-operator
Input: x=[2, 3]

Before:
    from typing import Optional

    from torch import Tensor, nn


    class Net(nn.Module):
        def forward(self, x, scale: Optional[Tensor] = None):
            if scale != None:
                x = x * scale
            return x

After:
    from typing import Optional

    from torch import Tensor, nn


    class Net(nn.Module):
        def forward(self, x, scale: Optional[Tensor] = None):
            if scale is not None:
                x = x * scale
            return x

Left alone:
    from typing import Optional

    from torch import Tensor, nn


    class Net(nn.Module):
        def forward(self, x, scale: Optional[Tensor] = None):
            if scale is not None:
                x = x * scale
            return x
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation
from ts_shape_server.contract.places import TextEdit


def asked_with_is(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``x != None`` and ``exists(x)`` as ``x is not None``."""
    helpers = {name: wanted for name, wanted in map(_helper, situation.tree.body) if name}
    edits: list[TextEdit] = []
    for node in ast.walk(place.function):
        found = _compared(node) or _asked(node, helpers)
        if found is not None:
            edits.append(_spelled(situation, node, *found))
    if edits:
        yield Rewrite("none-with-is", "Ask for None with `is`", tuple(edits))


def _helper(statement: ast.stmt) -> tuple[str, bool]:
    """The name of a function that does nothing but ask whether its argument is None, and whether it is false then."""
    if not isinstance(statement, ast.FunctionDef) or statement.decorator_list or len(statement.args.args) != 1:
        return "", False
    body = [item for item in statement.body if not _is_text(item)]
    test = body[0].value if len(body) == 1 and isinstance(body[0], ast.Return) else None
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not _is_none(test.comparators[0]):
        return "", False
    if not isinstance(test.left, ast.Name) or test.left.id != statement.args.args[0].arg:
        return "", False
    if not isinstance(test.ops[0], (ast.Is, ast.IsNot)):
        return "", False
    return statement.name, isinstance(test.ops[0], ast.IsNot)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _compared(node: ast.AST) -> tuple[ast.expr, bool] | None:
    """What is compared with None by value, and whether it is to be something."""
    if not isinstance(node, ast.Compare) or len(node.ops) != 1 or not _is_none(node.comparators[0]):
        return None
    if not isinstance(node.ops[0], (ast.Eq, ast.NotEq)) or not isinstance(node.left, (ast.Name, ast.Attribute)):
        return None
    return node.left, isinstance(node.ops[0], ast.NotEq)


def _asked(node: ast.AST, helpers: dict[str, bool]) -> tuple[ast.expr, bool] | None:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in helpers:
        return None
    if len(node.args) != 1 or node.keywords or not isinstance(node.args[0], (ast.Name, ast.Attribute)):
        return None
    return node.args[0], helpers[node.func.id]


def _spelled(situation: Situation, node: ast.AST, asked: ast.expr, something: bool) -> TextEdit:
    above = situation.parents.get(node)
    if isinstance(above, ast.UnaryOp) and isinstance(above.op, ast.Not):
        node, something = above, not something
        above = situation.parents.get(node)
    text = f"{situation.text(asked)} is {'not ' if something else ''}None"
    tight = isinstance(above, (ast.Compare, ast.BinOp, ast.Attribute, ast.Subscript, ast.UnaryOp))
    return situation.replace(node, f"({text})" if tight else text)
