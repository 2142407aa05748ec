"""Watches instances of a class being made by other code, and spells what their constructor got as expressions.

A value is spelled as a literal, as a name of the module's namespace, or as whoever asks knows it. Runs nothing itself.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Construction:
    """One instance of a class, and what its constructor was given."""

    instance: nn.Module
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    signature: inspect.Signature


@contextlib.contextmanager
def watched(cls: type[nn.Module]) -> Iterator[list[Construction]]:
    """The instances of exactly this class that the body makes, in order."""
    made: list[Construction] = []
    original = cls.__init__
    signature = inspect.signature(original)

    def note(self: nn.Module, *arguments: Any, **keywords: Any) -> None:
        if type(self) is cls:
            made.append(Construction(self, arguments, keywords, signature))
        original(self, *arguments, **keywords)

    cls.__init__ = note  # type: ignore[method-assign]  # put back below
    try:
        yield made
    finally:
        cls.__init__ = original  # type: ignore[method-assign]  # as it was


def spelled_call(
    made: Construction, namespace: Mapping[str, Any], known: Callable[[Any], str | None]
) -> dict[str, str] | None:
    """Expressions by parameter; None if a value has no spelling, or goes into a variadic parameter."""
    bound = made.signature.bind(made.instance, *made.arguments, **made.keywords)
    result: dict[str, str] = {}
    for name, value in list(bound.arguments.items())[1:]:
        variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        if bound.signature.parameters[name].kind in variadic:
            if value:
                return None
            continue
        expression = spelled(value, namespace, known)
        if expression is None:
            return None
        result[name] = expression
    return result


def spelled(value: Any, namespace: Mapping[str, Any], known: Callable[[Any], str | None]) -> str | None:
    """`value` as an expression in `namespace`; `known` is asked for what is no literal. None if there is none."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    found = known(value)
    if found is not None:
        return found
    if type(value) in (list, tuple):
        parts = [spelled(item, namespace, known) for item in value]
        if any(part is None for part in parts):
            return None
        inner = ", ".join(str(part) for part in parts)
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' if len(parts) == 1 else ''})"
    name = next((text for text, item in namespace.items() if item is value and text.isidentifier()), None)
    if name is not None:
        return name
    text = getattr(value, "__name__", "") if inspect.isclass(value) else ""
    return f"nn.{text}" if text and vars(nn).get(text) is value else None
