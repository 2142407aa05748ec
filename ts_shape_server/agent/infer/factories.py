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

from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer.building import SkipInitialisation
from ts_shape_server.agent.infer.limits import TimeLimit, time_limit

MAXIMUM = 3
SECONDS = 3.0


@dataclass(frozen=True)
class Made:
    """Constructor expressions by parameter, and the function that they come from."""

    init: Mapping[str, str]
    label: str


def find(cls: type[nn.Module], context: Context) -> Made | None:
    """The arguments that the first working factory of the file gives to `cls`."""
    for name in _candidates(cls.__name__, context)[:MAXIMUM]:
        try:
            with time_limit(min(SECONDS, max(0.1, context.remaining() / 6))):
                made = _watch(cls, name, context.namespace)
        except (Exception, TimeLimit, SystemExit):
            continue
        if made is not None:
            return Made(made, f"factory {name}()")
    return None


def _candidates(class_name: str, context: Context) -> list[str]:
    """Top-level functions without required parameters that reach the class, in the order of the file."""
    try:
        tree = ast.parse(context.source)
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
    seen: list[tuple[nn.Module, tuple[Any, ...], dict[str, Any]]] = []
    original = cls.__init__

    def watched(self: nn.Module, *arguments: Any, **keywords: Any) -> None:
        if type(self) is cls:
            seen.append((self, arguments, keywords))
        original(self, *arguments, **keywords)

    cls.__init__ = watched  # type: ignore[method-assign]  # put back below
    try:
        with SkipInitialisation(), torch.no_grad():
            made = namespace[name]()
    finally:
        cls.__init__ = original  # type: ignore[method-assign]  # as it was
    if not seen or not isinstance(made, nn.Module):
        return None
    instance, arguments, keywords = seen[0]
    bound = inspect.signature(original).bind(instance, *arguments, **keywords)
    result: dict[str, str] = {}
    for parameter, value in list(bound.arguments.items())[1:]:
        if bound.signature.parameters[parameter].kind in (
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.VAR_KEYWORD,
        ):
            if value:
                return None
            continue
        spelled = _spelled(value, namespace, name, made, instance)
        if spelled is None:
            return None
        result[parameter] = spelled
    return result


def _spelled(
    value: Any, namespace: Mapping[str, Any], factory: str, made: nn.Module, instance: nn.Module
) -> str | None:
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    if type(value) in (list, tuple):
        parts = [_spelled(item, namespace, factory, made, instance) for item in value]
        if any(part is None for part in parts):
            return None
        inner = ", ".join(str(part) for part in parts)
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' if len(parts) == 1 else ''})"
    name = next((known for known, item in namespace.items() if item is value and known.isidentifier()), None)
    if name is not None:
        return name
    spelled = getattr(value, "__name__", "") if inspect.isclass(value) else ""
    if spelled and vars(nn).get(spelled) is value:
        return f"nn.{spelled}"
    if made is instance and isinstance(value, nn.Module):
        own = next((known for known, item in instance.named_children() if item is value), None)
        return None if own is None else f"{factory}().{own}"
    return None
