"""A class under other settings than those of its run: each flag of the constructor flipped, each other choice of an
enum or of a text that the class compares with, each optional input left out.

A branch that the run did not take is live under one of them, and a change may have lost it. Settings with which the
class cannot be built or run are for whoever compares to leave out. It runs nothing.
"""

from __future__ import annotations

import ast
import enum
import inspect
import textwrap
import typing
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ts_shape_server.agent.runs import Run, evaluate

MOST_SETTINGS = 8
MOST_CHOICES = 3
"""Of one enum or text."""
_VALUE = "_ts_shape_setting"
"""The name under which an expression of the constructor's finds the value."""


@dataclass(frozen=True)
class OtherSetting:
    """One change of a run: an argument of the constructor, or an input (`value` None) that is not passed."""

    name: str
    value: Any
    is_input: bool = False

    @property
    def words(self) -> str:
        return f"without `{self.name}`" if self.is_input else f"with `{self.name}={self.value!r}`"

    def of(self, run: Run) -> Run:
        """The run with this setting; for an original and its changed version alike."""
        if self.is_input:
            second = None if run.second is None else _without(run.second, self.name)
            return replace(run, example=_without(run.example, self.name), second=second, others=(), sizes=())
        value = self.value
        if isinstance(value, enum.Enum):
            # The changed file has an enum of its own.
            kind = run.namespace.get(type(value).__name__, type(value))
            value = kind[value.name] if isinstance(kind, type) and issubclass(kind, enum.Enum) else value
        return replace(
            run, init={**run.init, self.name: _VALUE}, namespace={**run.namespace, _VALUE: value}, others=(), sizes=()
        )


def _without(example: typing.Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in example.items() if key != name}


def others(run: Run) -> list[OtherSetting]:
    """What may be changed of a run, the constructor's arguments first."""
    return [*_of_constructor(run), *_of_inputs(run)][:MOST_SETTINGS]


def _of_constructor(run: Run) -> Iterator[OtherSetting]:
    compared = _compared_texts(run.cls)
    for parameter in _parameters(run.cls.__init__):
        if any(name.startswith("*") for name in run.init):
            return
        try:
            text = run.init.get(parameter.name)
            value = parameter.default if text is None else evaluate(text, run.namespace)
        except Exception:
            continue
        choices: list[Any] = []
        if isinstance(value, bool):
            choices = [not value]
        elif isinstance(value, enum.Enum):
            choices = list(type(value))
        elif isinstance(value, str):
            literal = typing.get_args(parameter.annotation)
            choices = [*literal, *compared.get(parameter.name, ())]
        for choice in [item for item in dict.fromkeys(choices) if item != value][:MOST_CHOICES]:
            yield OtherSetting(parameter.name, choice)


def _of_inputs(run: Run) -> Iterator[OtherSetting]:
    for parameter in _parameters(run.cls.forward):
        if parameter.default is None and parameter.name in run.example:
            yield OtherSetting(parameter.name, None, is_input=True)


def _parameters(function: Any) -> list[inspect.Parameter]:
    try:
        found = list(inspect.signature(function).parameters.values())[1:]
    except (TypeError, ValueError):
        return []
    return [item for item in found if item.kind in (item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY)]


def _compared_texts(cls: type) -> dict[str, list[str]]:
    """The texts that the class compares with a name or an attribute of that name, in the order of the source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError, ValueError, RecursionError):
        return {}
    found: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            texts = [item.value for side in sides for item in ast.walk(side) if isinstance(item, ast.Constant)]
            for side in sides:
                name = side.attr if isinstance(side, ast.Attribute) else getattr(side, "id", "")
                found.setdefault(name, []).extend(text for text in texts if isinstance(text, str))
    return found
