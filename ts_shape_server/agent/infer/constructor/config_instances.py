"""A config object as its author makes one: an instance of a class that builds without arguments, what a method of the
class under test gives for its defaults, or an instance for whose fields without default the caller has values.

Which class it is, the annotation says, then a comparison in the constructor (``isinstance(config, NetConfig)``), then
what is read of the parameter: all of it must be there. Every proposal has been made once. Knows no inputs.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent import runs
from ts_shape_server.agent.infer.facts.source import function_tree
from ts_shape_server.agent.infer.guesses import portable

_CONFIG = re.compile(r"conf(ig)?s?$|cfgs?$|^args$|^opts?$|options$|hparams$|params$|settings$|hps$", re.IGNORECASE)
_CONFIG_CLASS = re.compile(r"(conf(ig)?|cfg|args|arguments|opts?|options|h?params|settings)$", re.IGNORECASE)
_GIVES_DEFAULT = re.compile(r"default.*(conf|cfg|args|params|options|settings)|^default$", re.IGNORECASE)
_FIELDS = ("__dataclass_fields__", "__attrs_attrs__", "model_fields", "__fields__", "_fields")
"""By which classes of records are known: dataclasses, those of attrs and pydantic, named tuples."""
_NOT_CONFIGS = ("builtins", "typing", "inspect", "torch", "numpy", "collections", "abc", "enum", "pathlib", "types")


def made(parameter: inspect.Parameter, cls: type, attributes: set[str], namespace: Mapping[str, Any]) -> str | None:
    """An expression for a constructor argument that is a config; None where no class of it builds alone."""
    for expression in _proposals(parameter, cls, attributes, namespace):
        try:
            value = runs.evaluate(expression, namespace)
        except Exception:
            continue
        if value is not None and _has_all(value, attributes):
            return expression
    return None


def with_fields(
    parameter: inspect.Parameter,
    cls: type,
    attributes: set[str],
    namespace: Mapping[str, Any],
    guess: Callable[[inspect.Parameter, frozenset[type]], str],
    within: frozenset[type] = frozenset(),
) -> str | None:
    """An expression for an instance of a class of records (a dataclass, of attrs, of pydantic) that needs values for
    some of its fields; None where there is no such class, or it refuses what `guess` has for them. `within` are the
    classes whose fields are being guessed: a field that holds one of them again, as those of trees do, is None.
    """
    for kind in _kinds(parameter, cls, attributes, namespace):
        name = portable.by_name(kind, namespace) if _is_record(kind) else None
        if name is None:
            continue
        around = within | {kind}

        def filled(item: inspect.Parameter, around: frozenset[type] = around) -> str:
            again = any(other in around for other in _kinds(item, cls, set(), namespace))
            return "None" if again else guess(item, around)

        try:
            needed = [item for item in inspect.signature(kind).parameters.values() if not _may_be_left_out(item)]
            expression = f"{name}({', '.join(f'{item.name}={filled(item)}' for item in needed)})"
            value = runs.evaluate(expression, namespace)
        except Exception:
            continue
        if _has_all(value, attributes):
            return expression
    return None


def _is_record(kind: type) -> bool:
    return _may_be_config(kind) and any(hasattr(kind, name) for name in _FIELDS)


def _has_all(value: Any, attributes: set[str]) -> bool:
    """Whether all of these can be read. A property of an abstract base may refuse that in any way."""
    try:
        return all(hasattr(value, name) for name in attributes)
    except Exception:
        return False


def _proposals(
    parameter: inspect.Parameter, cls: type, attributes: set[str], namespace: Mapping[str, Any]
) -> Iterator[str]:
    if not _named_classes(parameter, cls, namespace) and _CONFIG.search(parameter.name):
        yield from _defaults_of(cls, namespace)
    for kind in _kinds(parameter, cls, attributes, namespace):
        name = portable.by_name(kind, namespace) if _may_be_config(kind) else None
        if name is None:
            continue
        if _takes_nothing(kind):
            yield f"{name}()"
        yield from _defaults_of(kind, namespace)


def _kinds(parameter: inspect.Parameter, cls: type, attributes: set[str], namespace: Mapping[str, Any]) -> list[type]:
    """The classes that a parameter may be an instance of."""
    named = _named_classes(parameter, cls, namespace)
    by_use = not named and attributes and _CONFIG.search(parameter.name)
    return _config_classes(cls, namespace) if by_use else named


def _named_classes(parameter: inspect.Parameter, cls: type, namespace: Mapping[str, Any]) -> list[type]:
    """The class that the annotation names, else those that the constructor compares the parameter with."""
    annotated = _annotated(parameter.annotation, namespace)
    return [annotated] if annotated is not None else _compared(parameter.name, cls, namespace)


def _annotated(annotation: Any, namespace: Mapping[str, Any]) -> type | None:
    if isinstance(annotation, str):
        try:
            annotation = runs.evaluate(annotation, namespace)
        except Exception:
            return None
    return annotation if isinstance(annotation, type) and _may_be_config(annotation) else None


def _may_be_config(kind: Any) -> bool:
    if not isinstance(kind, type) or issubclass(kind, (nn.Module, torch.Tensor, BaseException)):
        return False
    return kind.__module__.split(".")[0] not in _NOT_CONFIGS


def _compared(name: str, cls: type, namespace: Mapping[str, Any]) -> list[type]:
    """The classes that the constructor compares a parameter with."""
    tree = function_tree(cls.__init__)  # type: ignore[misc]  # read, not called
    found: list[type] = []
    for node in ast.walk(tree) if tree is not None else ():
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance"):
            continue
        if len(node.args) == 2 and isinstance(node.args[0], ast.Name) and node.args[0].id == name:
            kind = _annotated(ast.unparse(node.args[1]), namespace)
            found += [kind] if kind is not None else []
    return found


def _config_classes(cls: type, namespace: Mapping[str, Any]) -> list[type]:
    """Classes at hand that are named like configs, those of the class's own module first."""
    every = [value for name, value in namespace.items() if _may_be_config(value) and _CONFIG_CLASS.search(name)]
    return sorted(every, key=lambda kind: kind.__module__ != cls.__module__)


def _takes_nothing(kind: Any) -> bool:
    try:
        parameters = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):
        return False
    return all(map(_may_be_left_out, parameters))


def _may_be_left_out(item: inspect.Parameter) -> bool:
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return item.default is not item.empty or item.kind in variadic


def _defaults_of(cls: type, namespace: Mapping[str, Any]) -> Iterator[str]:
    """Calls of class methods and static methods that give a config."""
    owner = portable.by_name(cls, namespace)
    members = {name: member for kind in reversed(cls.__mro__) for name, member in vars(kind).items()}
    for name, member in members.items():
        gives = isinstance(member, (classmethod, staticmethod)) and _GIVES_DEFAULT.search(name)
        if owner is not None and gives and _takes_nothing(getattr(cls, name)):
            yield f"{owner}.{name}()"
