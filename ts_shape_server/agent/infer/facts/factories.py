"""Functions of the file that make an instance without being told anything: their arguments are the author's own.

The constructor is watched while the function runs. What it got is spelled in the module's namespace: literals, names,
and parts of an instance that the same function makes. A function that fails, or takes too long, is no evidence.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent import shares
from ts_shape_server.agent.clock import TimeLimit, time_limit
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer.facts import constructions
from ts_shape_server.agent.infer.facts.source import file_tree
from ts_shape_server.agent.infer.running.memory import SkipInitialisation

MAXIMUM = 3


@dataclass(frozen=True)
class Made:
    """Constructor expressions by parameter, and the function that they come from."""

    init: Mapping[str, str]
    label: str


def find(cls: type[nn.Module], context: Context) -> Made | None:
    """The arguments that the first working factory of the file gives to `cls`."""
    for name in _candidates(cls.__name__, context)[:MAXIMUM]:
        try:
            with time_limit(shares.FACTORY.of(context.remaining())):
                made = _watch(cls, name, context.namespace)
        except (Exception, TimeLimit, SystemExit):
            continue
        if made is not None:
            return Made(made, f"factory {name}()")
    return None


def _candidates(class_name: str, context: Context) -> list[str]:
    """Top-level functions without required parameters that reach the class, in the order of the file."""
    try:
        tree = file_tree(context.source)
    except (SyntaxError, ValueError):
        return []
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    uses = {
        name: {item.id for item in ast.walk(node) if isinstance(item, ast.Name)} for name, node in functions.items()
    }
    reaching = {name for name, used in uses.items() if class_name in used}
    for _ in range(3):
        reaching |= {name for name, used in uses.items() if used & reaching}
    return [name for name in functions if name in reaching and _needs_nothing(context.namespace.get(name))]


def _needs_nothing(function: Any) -> bool:
    if not inspect.isfunction(function):
        return False
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return all(item.default is not item.empty or item.kind in variadic for item in parameters)


def _watch(cls: type[nn.Module], name: str, namespace: Mapping[str, Any]) -> dict[str, str] | None:
    with constructions.watched(cls) as seen, SkipInitialisation(), torch.no_grad():
        made = namespace[name]()
    if not seen or not isinstance(made, nn.Module):
        return None
    instance = seen[0].instance

    def part(value: Any) -> str | None:
        """A module that the instance keeps, as a part of what the factory makes."""
        if made is not instance or not isinstance(value, nn.Module):
            return None
        own = next((known for known, item in instance.named_children() if item is value), None)
        return None if own is None else f"{name}().{own}"

    return constructions.spelled_call(seen[0], namespace, part)
