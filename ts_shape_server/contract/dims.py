"""Dims and constraints: the grammar of their texts, the names in them, and what they come to for given sizes.

A dim is an integer, ``?`` where nothing is claimed, or an expression over names of sizes with ``+ - * / // %``,
parentheses, ``max``, ``min``, ``ceil`` and ``floor``; a constraint compares such expressions. They come from a process
that has run a stranger's code: what is not of this grammar is refused, and nothing is ever evaluated as Python.
"""

from __future__ import annotations

import ast
import functools
import keyword
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Callable, Optional, Union

from ts_shape_server.contract.schema import Codec, ContractError, text

UNKNOWN = "?"
"""The dim of which nothing is claimed."""
MAXIMUM_LENGTH = 4000
"""Characters of an expression."""
_LONGEST_COMPUTED = 500
"""Characters of an expression that is computed: each constraint may be, for thousands of sizes."""
_ALPHABET = re.compile(r"[\w+\-*/%(),.<>=! ]+")
"""No line feed, no quote, no bracket but parentheses."""
_NAME = re.compile(r"[^\W\d]\w*")

_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod)
_COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_CALLED = ("max", "min", "ceil", "floor")


def is_dim(expression: str) -> bool:
    """Whether a text is a dim."""
    plain = expression.isidentifier() and not keyword.iskeyword(expression)
    return plain or expression == UNKNOWN or _is_of_grammar(expression, False)


def is_constraint(expression: str) -> bool:
    """Whether a text is a constraint."""
    return _is_of_grammar(expression, True)


def _read(value: Any, depth: int) -> Union[int, str]:
    if type(value) is str:
        if is_dim(value):
            return value
        raise ContractError(f"is no dim: {value[:60]!r}")
    if type(value) is not int:
        raise ContractError("is no dim")
    return value


Dim = Annotated[Union[int, str], Codec(_read)]
"""A number, or a symbol or expression in symbols."""
Constraint = Annotated[str, text(MAXIMUM_LENGTH, is_constraint, "is no constraint")]


@functools.lru_cache(maxsize=4096)
def _is_of_grammar(expression: str, comparing: bool) -> bool:
    if len(expression) > MAXIMUM_LENGTH or not _ALPHABET.fullmatch(expression) or expression[0] == " ":
        return False
    try:
        tree = ast.parse(expression, mode="eval").body
        return all(_allowed(node, comparing) for node in ast.walk(tree))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _allowed(node: ast.AST, comparing: bool) -> bool:
    """Whether a node may stand in a dim, or, where `comparing`, in a constraint."""
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float)
    if isinstance(node, ast.Call):
        named = isinstance(node.func, ast.Name) and node.func.id in _CALLED
        return named and bool(node.args) and not node.keywords
    if isinstance(node, (ast.Name, ast.UnaryOp, ast.BinOp, ast.expr_context, ast.USub, *_ARITHMETIC)):
        return True
    return comparing and isinstance(node, (ast.Compare, ast.BoolOp, ast.boolop, ast.Not, *_COMPARISONS))


def names(expression: Union[int, str]) -> Iterator[str]:
    """The names in a dim or a constraint, from left to right, those of functions too."""
    if isinstance(expression, str):
        yield from _NAME.findall(expression)


def compute(expression: Union[int, str], numbers: Mapping[str, int]) -> Optional[int]:
    """The number that a dim is once its symbols are numbers; None when it cannot be computed."""
    if isinstance(expression, int):
        return expression
    try:
        return _computed(_parsed(expression), numbers)
    except (SyntaxError, ValueError, KeyError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def holds(constraint: str, numbers: Mapping[str, int]) -> Optional[bool]:
    """Whether a constraint is true of these numbers; None when it is no comparison of whole numbers."""
    try:
        tree = _parsed(constraint)
        if not isinstance(tree, ast.Compare):
            return None
        values = [_computed(item, numbers) for item in (tree.left, *tree.comparators)]
        pairs = zip(values, tree.ops, values[1:])
        return all(_COMPARE[type(operator)](left, right) for left, operator, right in pairs)
    except (SyntaxError, ValueError, KeyError, ZeroDivisionError, RecursionError, MemoryError):
        return None


@functools.lru_cache(maxsize=1024)
def _parsed(expression: str) -> ast.expr:
    """Raises what `ast.parse` does, and ValueError for an expression that is too long."""
    if len(expression) > _LONGEST_COMPUTED:
        raise ValueError("a long expression")
    return ast.parse(expression.strip(), mode="eval").body


_COMPARE: Mapping[type, Callable[[int, int], bool]] = {
    ast.Eq: lambda left, right: left == right,
    ast.NotEq: lambda left, right: left != right,
    ast.Lt: lambda left, right: left < right,
    ast.LtE: lambda left, right: left <= right,
    ast.Gt: lambda left, right: left > right,
    ast.GtE: lambda left, right: left >= right,
}
_BINARY: Mapping[type, Callable[[int, int], int]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.FloorDiv: lambda left, right: left // right,
    ast.Mod: lambda left, right: left % right,
}
_FUNCTIONS: Mapping[str, Callable[..., int]] = {"max": max, "min": min}


def _computed(tree: Any, numbers: Mapping[str, int]) -> int:
    if isinstance(tree, ast.Constant) and type(tree.value) is int:
        return tree.value
    if isinstance(tree, ast.Name):
        return numbers[tree.id]
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return -_computed(tree.operand, numbers)
    if isinstance(tree, ast.BinOp) and type(tree.op) in _BINARY:
        return _BINARY[type(tree.op)](_computed(tree.left, numbers), _computed(tree.right, numbers))
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and len(tree.args) > 1 and not tree.keywords:
        return _FUNCTIONS[tree.func.id](*(_computed(item, numbers) for item in tree.args))
    raise ValueError("not an expression of dims")
