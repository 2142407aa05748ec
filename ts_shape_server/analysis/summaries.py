"""Calls that are given a module and the sizes of its inputs: summaries and counters of operations.

Some take sizes with a batch and some without; data may stand in their place. Pure.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_WITH_BATCH = frozenset({"torchinfo", "pytorch_model_summary", "torch_summary"})
_FUNCTIONS = {
    "summary": ("input_size", "input_data"),
    "summary_string": ("input_size",),
    "stat": ("input_size",),
    "get_model_complexity_info": ("input_res",),
    "print_model_summary": ("input_size",),
}
_DATA = frozenset({"input_data"})
_BATCH = 2
Literal = Callable[[ast.expr], "ast.expr | None"]
"""The expression that a name was last bound to."""


@dataclass(frozen=True)
class Summary:
    """The module's expression, and the inputs that the call makes for it."""

    target: ast.expr
    args: tuple[ast.expr, ...]


def read(call: ast.Call, resolved: str, literal: Literal) -> Summary | None:
    """What a call of a summary is given; None for another call, or where it says no sizes. `resolved` is its name."""
    function = resolved.rsplit(".", 1)[-1]
    names = _FUNCTIONS.get(function)
    keywords = {item.arg: item.value for item in call.keywords}
    target = call.args[0] if call.args else keywords.get("model")
    if names is None or target is None or "." not in resolved:
        return None
    key = next((name for name in names if name in keywords), names[0])
    given = keywords.get(key) or (call.args[1] if len(call.args) > 1 else None)
    if given is None or isinstance(given, ast.Starred):
        return None
    written = literal(given) or given
    package = resolved.split(".", 1)[0]
    if key in _DATA or _is_data(written):
        data = written.elts if isinstance(written, (ast.Tuple, ast.List)) else [given]
        return Summary(target, tuple(data))
    dtypes = keywords.get("dtypes")
    kinds = dtypes.elts if isinstance(dtypes, (ast.List, ast.Tuple)) else []
    several = isinstance(written, (ast.List, ast.Tuple)) and all(
        isinstance(item, (ast.Tuple, ast.List)) for item in written.elts
    )
    sizes: Sequence[ast.expr] = written.elts if several and isinstance(written, (ast.List, ast.Tuple)) else [given]
    batched = package in _WITH_BATCH and "batch_dim" not in keywords
    made = [_random(size, kinds[place] if place < len(kinds) else None, batched) for place, size in enumerate(sizes)]
    return Summary(target, tuple(made)) if made else None


def _is_data(node: ast.expr) -> bool:
    """Whether an expression is a tensor, or several, rather than sizes: something that is made by a call."""
    if isinstance(node, (ast.Tuple, ast.List)):
        return bool(node.elts) and all(_is_data(item) for item in node.elts)
    name = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
    return name in ("rand", "randn", "zeros", "ones", "randint", "empty", "to", "cuda", "unsqueeze", "tensor", "float")


def _random(size: ast.expr, dtype: ast.expr | None, batched: bool) -> ast.expr:
    """A tensor of that size, whole numbers where the dtype asks for them."""
    torch = ast.Call(ast.Name("__import__", ast.Load()), [ast.Constant("torch")], [])
    dims: list[ast.expr] = [ast.Starred(size, ast.Load())]
    if not batched:
        dims.insert(0, ast.Constant(_BATCH))
    made = ast.Call(ast.Attribute(torch, "zeros", ast.Load()), [ast.Tuple(dims, ast.Load())], [])
    return made if dtype is None else ast.Call(ast.Attribute(made, "to", ast.Load()), [dtype], [])
