"""Which parameters of `forward` are passed on as they are, to a part of the module or to a function, and as what.

A part that a library documents takes what it documents: the second argument of `self.bert(ids, mask)` is an attention
mask. Reads source and signatures, runs nothing.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent.ecosystem import SPREAD, Passed
from ts_shape_server.agent.infer.facts.source import function_tree

MAXIMUM = 200
"""Calls of one `forward` that are looked at."""


def of(forward: Any, module: Any, namespace: Mapping[str, Any]) -> dict[str, tuple[Passed, ...]]:
    """For each parameter of `forward` what it is passed to. `module` is an instance, or None if there is none yet."""
    tree = function_tree(forward)
    if tree is None:
        return {}
    spread = [tree.args.kwarg] if tree.args.kwarg is not None else []
    names = {argument.arg for argument in (*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs, *spread)}
    found: dict[str, tuple[Passed, ...]] = {}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in calls[:MAXIMUM]:
        target = _target(call.func, module, namespace)
        if target is None:
            continue
        for name, parameter in _arguments(call, target):
            if name in names and not _assigned_before(tree, name, call):
                found[name] = (*found.get(name, ()), Passed(target, parameter, f"{call.lineno}:{call.col_offset}"))
    return found


def _target(node: ast.expr, module: Any, namespace: Mapping[str, Any]) -> Any:
    """The module or function that is called, or the `autograd.Function` that is applied; None where that is not plain
    from the text.
    """
    path: list[str] = []
    while isinstance(node, ast.Attribute):
        path.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    current: Any = module if node.id == "self" else namespace.get(node.id)
    if path == ["apply"] and inspect.isclass(current) and issubclass(current, torch.autograd.Function):
        return current
    for name in reversed(path):
        if current is None or not (isinstance(current, nn.Module) or inspect.ismodule(current)):
            return None
        current = getattr(current, name, None)
    return current if isinstance(current, nn.Module) or inspect.isroutine(current) else None


def _arguments(call: ast.Call, target: Any) -> list[tuple[str, str]]:
    """Pairs of the name that is passed and the parameter that it is passed as."""
    try:
        signature = inspect.signature(getattr(target, "forward", target))
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    positions = [item.name for item in signature.parameters.values() if item.kind in kinds]
    if isinstance(target, type) and "setup_context" not in vars(target):
        # What is passed to `apply` comes after the context.
        positions = positions[1:]
    pairs: list[tuple[str, str]] = []
    for position, argument in enumerate(call.args):
        if isinstance(argument, ast.Starred):
            break
        if isinstance(argument, ast.Name) and position < len(positions):
            pairs.append((argument.id, positions[position]))
    named = [(item.value.id, item.arg or SPREAD) for item in call.keywords if isinstance(item.value, ast.Name)]
    return [*pairs, *named]


def _assigned_before(tree: ast.AST, name: str, call: ast.Call) -> bool:
    """Whether the name may hold something else at the call."""
    return any(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store) and node.lineno < call.lineno
        for node in ast.walk(tree)
    )
