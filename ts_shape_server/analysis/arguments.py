"""What a function's parameters stand for, as far as text tells: defaults, a call's arguments, a test's parametrization.

Knows functions and calls as `ast` has them; which calls there are is somebody else's knowledge. Pure.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from ts_shape_server.analysis.scopes import last_part, own_nodes

Function = ast.FunctionDef | ast.AsyncFunctionDef


def defaults(function: Function) -> dict[str, ast.expr]:
    """The default of each parameter that has one."""
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    found = {item.arg: value for item, value in zip(reversed(plain), reversed(arguments.defaults), strict=False)}
    found.update(
        {
            item.arg: value
            for item, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
            if value is not None
        }
    )
    return found


def passed(function: Function, call: ast.Call, method: bool) -> Mapping[str, ast.expr] | None:
    """The argument of each parameter in a call; None where the call unpacks or does not fit."""
    arguments = function.args
    names = [item.arg for item in [*arguments.posonlyargs, *arguments.args]]
    if method and not any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in function.decorator_list):
        names = names[1:]
    if any(isinstance(item, ast.Starred) for item in call.args) or any(item.arg is None for item in call.keywords):
        return None
    if len(call.args) > len(names) and arguments.vararg is None:
        return None
    found = dict(zip(names, call.args, strict=False))
    known = {*names, *(item.arg for item in arguments.kwonlyargs)}
    for keyword in call.keywords:
        if keyword.arg in found or (keyword.arg not in known and arguments.kwarg is None):
            return None
        found[str(keyword.arg)] = keyword.value
    return found


def parametrized(function: Function) -> dict[str, ast.expr]:
    """The first value that ``pytest.mark.parametrize`` gives to each parameter."""
    found: dict[str, ast.expr] = {}
    for decorator in function.decorator_list:
        if not isinstance(decorator, ast.Call) or last_part(decorator.func) != "parametrize":
            continue
        if len(decorator.args) < 2 or not isinstance(decorator.args[1], (ast.List, ast.Tuple)):
            continue
        names = _names(decorator.args[0])
        values = decorator.args[1].elts
        if not names or not values:
            continue
        first = values[0]
        if isinstance(first, ast.Call) and last_part(first.func) == "param":
            parts = first.args
        elif len(names) == 1:
            parts = [first]
        else:
            parts = first.elts if isinstance(first, (ast.Tuple, ast.List)) else []
        if len(parts) == len(names):
            found.update(zip(names, parts, strict=True))
    return found


def _names(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [part.strip() for part in node.value.split(",") if part.strip()]
    if isinstance(node, (ast.Tuple, ast.List)):
        return [str(item.value) for item in node.elts if isinstance(item, ast.Constant)]
    return []


def is_fixture(function: Function) -> bool:
    """Whether a function is a pytest fixture."""
    return any(
        last_part(item.func if isinstance(item, ast.Call) else item) == "fixture" for item in function.decorator_list
    )


def is_generator(function: Function) -> bool:
    """Whether calling a function gives an iterator."""
    return any(isinstance(node, (ast.Yield, ast.YieldFrom)) for item in function.body for node in own_nodes(item))
