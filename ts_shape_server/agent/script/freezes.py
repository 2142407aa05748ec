"""Where a trace holds what it should not: two traces of one module, on two sizes or in two calls, side by side.

What a faithful trace does is the same in both, node by node. The first node that is not tells what was frozen: a
number, the length of a list, a way through the code. It reads graphs and sources, and runs nothing.
"""

from __future__ import annotations

import ast
import linecache
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ts_shape_server.agent.script import edits
from ts_shape_server.agent.script.locate import MarkedPlace
from ts_shape_server.agent.script.observe import innermost

_FRAME = re.compile(r"^(?P<path>.+?)\((?P<line>\d+)\): ")
_LISTS = frozenset({"unbind", "split", "chunk", "tensor_split", "split_with_sizes", "unsafe_split", "unsafe_chunk"})


@dataclass(frozen=True)
class Freeze:
    """`message` says what one trace holds and the other does not; the place is the user's expression. `vague`: the two
    go different ways from there on, for a reason that stands before.
    """

    place: MarkedPlace
    message: str
    vague: bool = False


def first(one: Any, other: Any) -> Freeze | None:
    """The first difference between two traced modules that stands in the user's source."""
    pairs = zip(one.inlined_graph.nodes(), other.inlined_graph.nodes())
    for left, right in pairs:
        found = _difference(left, right)
        if found is not None:
            return found
        if left.kind() != right.kind() or left.outputsSize() != right.outputsSize():
            return None
    return None


def same_tensors(one: Any, other: Any) -> bool:
    """Whether two traced modules hold the same Tensors as constants."""
    left, right = (
        [node.output().toIValue() for node in item.inlined_graph.nodes() if node.kind() == "prim::Constant"]
        for item in (one, other)
    )
    tensors = [[value for value in side if isinstance(value, torch.Tensor)] for side in (left, right)]
    return len(tensors[0]) == len(tensors[1]) and all(map(_alike, *tensors))


def alike(one: Any, other: Any) -> bool:
    """Whether two traced modules do the same with the same constants."""
    left, right = list(one.inlined_graph.nodes()), list(other.inlined_graph.nodes())
    return len(left) == len(right) and all(
        first.kind() == second.kind()
        and first.outputsSize() == second.outputsSize()
        and (first.kind() != "prim::Constant" or _alike(first.output().toIValue(), second.output().toIValue()))
        for first, second in zip(left, right)
    )


def _difference(left: Any, right: Any) -> Freeze | None:
    if left.kind() != right.kind():
        place = _place(left, _name(left)) or _place(right, _name(right))
        words = "from here on the trace takes the way of the example alone"
        return None if place is None else Freeze(place, words, vague=True)
    if left.outputsSize() != right.outputsSize():
        made = left.inputsAt(0).node()
        place = _place(made, _name(made))
        parts = f"{left.outputsSize()} parts here, and a second size has {right.outputsSize()}"
        return None if place is None else Freeze(place, f"tracing unrolls to the example's length: {parts}")
    if left.kind() != "prim::Constant":
        return None
    values = left.output().toIValue(), right.output().toIValue()
    if _alike(*values):
        return None
    user = _user(left)
    place = _place(left, _name(user)) or _place(user, _name(user))
    words = "tracing freezes a value here at the example's"
    if all(isinstance(value, (bool, int, float)) for value in values):
        words += f": {values[0]:.6g}, and {values[1]:.6g} in a second run"
    return None if place is None else Freeze(place, words)


def _user(node: Any) -> Any:
    """The operator that takes what a node gives, through the list that it may be put into."""
    user = next((use.user for use in node.output().uses()), node)
    return _user(user) if user.kind() in ("prim::ListConstruct", "prim::TupleConstruct") else user


def _alike(left: Any, right: Any) -> bool:
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        return left.shape == right.shape and left.dtype == right.dtype and bool(torch.equal(left, right))
    return type(left) is type(right) and (left == right or left != left)


def _name(node: Any) -> str:
    return str(node.kind()).rpartition("::")[2]


def _place(node: Any, name: str) -> MarkedPlace | None:
    """The call of an operator of that name in the innermost line of the user's that a node comes from, else the line's
    statement.
    """
    found = innermost(_frames(node.sourceRange()), lambda item: item[0])
    return None if found is None else _expression(*found, name)


def _frames(text: str) -> Iterator[tuple[str, int]]:
    for row in text.split("\n"):
        match = _FRAME.match(row)
        if match is not None:
            yield match.group("path"), int(match.group("line"))


def _expression(path: str, line: int, name: str) -> MarkedPlace | None:
    try:
        tree = ast.parse("".join(linecache.getlines(path)))
    except (SyntaxError, ValueError, RecursionError):
        return None
    nodes = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.stmt, ast.expr)) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    names = _LISTS if name in _LISTS else {name, f"{name}_"}
    calls = [node for node in nodes if isinstance(node, ast.Call) and edits.called_name(node) in names]
    statements = [node for node in nodes if isinstance(node, ast.stmt)]
    chosen: Any = min(calls, key=_extent, default=None) or max(statements, key=lambda node: node.lineno, default=None)
    if chosen is None:
        return None
    if isinstance(chosen, (ast.For, ast.While, ast.If, ast.With)):
        chosen = next((getattr(chosen, part) for part in ("iter", "test") if hasattr(chosen, part)), chosen)
    elif isinstance(chosen, ast.stmt) and getattr(chosen, "value", None) is not None:
        chosen = getattr(chosen, "value", chosen)
    return MarkedPlace(path, chosen.lineno, chosen.col_offset, chosen.end_lineno, chosen.end_col_offset)


def _extent(node: Any) -> tuple[int, int]:
    return node.end_lineno - node.lineno, node.end_col_offset - node.col_offset
