"""What the author's own check asks for, where it refused a run: ``assert t.dim() == 1``, ``if x.dtype != torch.uint8:
raise ...``. Reads the source of the function that raised; runs nothing.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType

import torch


@dataclass(frozen=True)
class Wanted:
    """What a name has to be. `what` is ``rank``, ``dtype``, ``kind`` or ``given``; of several `values` each will do.

    The values of a kind are ``list``, ``tuple`` and ``dict``; something that has to be given has none.
    """

    name: str
    what: str
    values: tuple[int | str, ...] = ()


def of_error(error: BaseException) -> tuple[Wanted, ...]:
    """What the check asks for that raised `error`; nothing where no check did."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return ()
    return _of_line(place.tb_frame.f_code, place.tb_lineno)


def of_text(text: str) -> tuple[Wanted, ...]:
    """What a statement asks for that is a check."""
    return tuple(_of_statement(ast.parse(text).body[0]))


def _of_line(code: CodeType, line: int) -> tuple[Wanted, ...]:
    try:
        lines, start = inspect.getsourcelines(code)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return ()
    within = line - max(start, 1) + 1
    return tuple(
        wanted
        for node in ast.walk(tree)
        if isinstance(node, (ast.Assert, ast.If)) and _raises_at(node, within)
        for wanted in _of_statement(node)
    )


def _raises_at(node: ast.Assert | ast.If, line: int) -> bool:
    if isinstance(node, ast.Assert):
        return node.lineno <= line <= (node.end_lineno or node.lineno)
    return any(
        isinstance(item, ast.Raise) and item.lineno <= line <= (item.end_lineno or item.lineno) for item in node.body
    )


def _of_statement(node: ast.stmt) -> Iterator[Wanted]:
    if isinstance(node, ast.Assert):
        yield from _wanted(node.test, True)
    elif isinstance(node, ast.If):
        yield from _wanted(node.test, False)


def _wanted(test: ast.expr, holds: bool) -> Iterator[Wanted]:
    """What a condition asks for that has to hold, or that must not."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        yield from _wanted(test.operand, not holds)
    elif isinstance(test, ast.BoolOp):
        if isinstance(test.op, ast.And if holds else ast.Or):
            for part in test.values:
                yield from _wanted(part, holds)
    elif isinstance(test, ast.Compare) and len(test.ops) == 1:
        yield from _compared(test.left, test.ops[0], test.comparators[0], holds)
    elif isinstance(test, ast.Call):
        yield from _called(test, holds)


def _compared(left: ast.expr, operator: ast.cmpop, right: ast.expr, holds: bool) -> Iterator[Wanted]:
    if isinstance(right, ast.Constant) and right.value is None and isinstance(left, ast.Name):
        if isinstance(operator, ast.IsNot if holds else ast.Is):
            yield Wanted(left.id, "given")
        return
    if not isinstance(operator, (ast.Eq, ast.Is, ast.In) if holds else (ast.NotEq, ast.IsNot, ast.NotIn)):
        return
    choices = right.elts if isinstance(right, (ast.Tuple, ast.List, ast.Set)) else [right]
    name = _rank_of(left)
    if name is not None:
        ranks = tuple(item.value for item in choices if isinstance(item, ast.Constant) and type(item.value) is int)
        if ranks:
            yield Wanted(name, "rank", ranks)
    elif isinstance(left, ast.Attribute) and left.attr == "dtype" and isinstance(left.value, ast.Name):
        dtypes = tuple(dtype for dtype in map(_dtype, choices) if dtype is not None)
        if dtypes:
            yield Wanted(left.value.id, "dtype", dtypes)


def _called(call: ast.Call, holds: bool) -> Iterator[Wanted]:
    function = call.func
    if not holds:
        return
    if isinstance(function, ast.Name) and function.id == "isinstance" and len(call.args) == 2:
        name, kinds = call.args
        choices = kinds.elts if isinstance(kinds, ast.Tuple) else [kinds]
        found = tuple(
            item.id for item in choices if isinstance(item, ast.Name) and item.id in ("list", "tuple", "dict")
        )
        if isinstance(name, ast.Name) and found:
            yield Wanted(name.id, "kind", found)
    elif isinstance(function, ast.Attribute) and function.attr in ("is_complex", "is_floating_point"):
        owner = call.args[0] if call.args else function.value
        if isinstance(owner, ast.Name):
            yield Wanted(owner.id, "dtype", ("complex64" if function.attr == "is_complex" else "float32",))


def _rank_of(node: ast.expr) -> str | None:
    """The ``x`` of ``x.dim()``, ``x.ndim``, ``len(x.shape)`` and ``len(x.size())``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len" and len(node.args) == 1:
        node = node.args[0]
        node = node.func if isinstance(node, ast.Call) else node
        wanted: tuple[str, ...] = ("shape", "size")
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args:
        node, wanted = node.func, ("dim", "ndimension")
    else:
        wanted = ("ndim",)
    if isinstance(node, ast.Attribute) and node.attr in wanted and isinstance(node.value, ast.Name):
        return node.value.id
    return None


def _dtype(node: ast.expr) -> str | None:
    """The dtype that ``torch.uint8`` is."""
    found = getattr(torch, node.attr, None) if isinstance(node, ast.Attribute) else None
    return str(found).replace("torch.", "") if isinstance(found, torch.dtype) else None
