"""From the error of a constructor, or from sizes that disagree later, to other arguments for it. Builds nothing."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.infer import argument_modules, configs
from ts_shape_server.agent.infer.arguments import (
    Plan,
    Profile,
    Sizes,
    by_name,
    call_arguments,
    callable_by_name,
    int_arguments,
    list_of,
    namespace_expression,
    optional,
)
from ts_shape_server.agent.infer.source import words_of
from ts_shape_server.agent.infer.uses import required
from ts_shape_server.agent.torch_says import Complaints

PLAIN_OWNERS = frozenset({"int", "float", "str", "list", "NoneType", "Identity", "bool"})
"""Kinds of values that stand for what a constructor takes, where nothing is known of it."""


def _classes(namespace: Mapping[str, Any]) -> Iterator[str]:
    """The file's own module classes that take sizes, the first few."""
    own = namespace.get("__name__")
    found = [
        name
        for name, value in namespace.items()
        if isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == own and required(value)
    ]
    yield from found[:3]


def with_missing_attribute(
    current: Plan, given: Mapping[str, str], error: BaseException, line: str, profile: Profile
) -> Iterator[Plan]:
    """Plans in which a config stand-in has the attribute that an error misses; none if it misses none."""
    attribute = configs.missing_attribute(error)
    if attribute is None:
        return

    def value_of(name: str) -> str:
        return by_name(name, Sizes(profile))

    for name, expression in current.items():
        if name not in given and configs.is_config(expression):
            for grown in configs.grown(expression, attribute, line, value_of):
                yield {**current, name: grown}


def repaired(
    cls: type,
    current: Plan,
    given: Mapping[str, str],
    error: BaseException,
    line: str,
    profile: Profile,
    namespace: Mapping[str, Any],
) -> Iterator[Plan]:
    """Other plans that may avoid `error`. `line` is the text of the failing line, of the constructor or later."""
    blamed = words_of(line)
    said = torch_says.read(error)
    open_names = [name for name in current if name not in given]
    ordered = sorted(open_names, key=lambda name: name not in blamed)
    grown = list(with_missing_attribute(current, given, error, line, profile))
    if grown:
        yield from grown
        return
    yield from _with_passed_on(cls, current, said, profile)
    yield from _with_modules(cls, current, open_names, said, profile, namespace)
    yield from _with_optional(cls, current, said, blamed, profile)
    key = said.get("missing-key")
    if isinstance(error, KeyError) and key is not None:
        for name in ordered:
            if current[name].startswith("{"):
                added = f"{key.name('name')!r}: {by_name(key.name('name'), Sizes(profile))}"
                yield {**current, name: "{" + added + ", " + current[name][1:]}
    for name in ordered:
        for expression in _alternatives(name, current[name], said, profile, namespace):
            if expression != current[name]:
                yield {**current, name: expression}


def _alternatives(
    name: str, expression: str, said: Complaints, profile: Profile, namespace: Mapping[str, Any]
) -> Iterator[str]:
    size = profile.sizes[0]
    missed = said.get("missing-attribute")
    if "sequence-needed" in said:
        if expression == "nn.Identity()":
            yield "nn.Sequential(nn.Identity(), nn.Identity())"
        yield list_of(name.lower(), Sizes(profile))
        yield f"({size}, {size})"
        yield f"({size}, {size}, {size})"
    if ("item-missing" in said or "too-few-values" in said) and expression[:1] in "[(":
        yield f"[{', '.join([str(size)] * 8)}]"
        yield f"[{', '.join([str(size)] * 3)}]"
    if "too-many-values" in said:
        yield f"({size}, {size})"
        yield f"({size}, {size}, {size})"
    if "scalar-indexed" in said and re.fullmatch(r"[\d.]+", expression):
        yield f"[{expression}, {expression}, {expression}]"
    if missed is not None and missed.name("name") in ("items", "keys", "values", "get"):
        yield "{'a': 1, 'b': 2}"
    if "mapping-spread" in said:
        yield "{}"
    yield from _allowed(said)
    if "axis-out-of-range" in said and expression.isdigit():
        yield from ("0", "1", "-1")
    if "not-callable" in said:
        yield from _classes(namespace)
        yield "nn.Identity"
        yield "nn.ReLU"
        yield "(lambda *args, **kwargs: nn.Identity())"
    if missed is not None and missed.name("owner") in PLAIN_OWNERS:
        if hasattr(torch.Tensor, missed.name("name")):
            yield f"torch.ones({size})"
            yield f"torch.ones({size}, {size})"
        else:
            yield namespace_expression([missed.name("name")], profile)
    if "tensor-argument-needed" in said:
        yield f"torch.ones({size}, {size})"
        yield f"torch.ones({size})"
    if "module-needed" in said:
        yield "nn.Identity()"
        yield "[nn.Identity()]"
    if "plain-number-needed" in said:
        yield str(size)
        yield "0.1"
    if "text-needed" in said:
        yield "'relu'"


def _allowed(said: Complaints) -> Iterator[str]:
    """The texts that an author's own check lists as those it takes; a name for a module that was looked up by name."""
    choices = said.get("choices")
    if choices is not None:
        yield from map(repr, choices.names("choices"))
    if "unknown-choice" in said:
        yield "'relu'"


def _with_modules(
    cls: type, current: Plan, open_names: list[str], said: Complaints, profile: Profile, namespace: Mapping[str, Any]
) -> Iterator[Plan]:
    """Plans in which what is called as a module is one: a class of the file, or a module that takes anything."""
    if "no-module" not in said:
        return
    guessed = [
        name
        for name in open_names
        if current[name] in ("nn.Identity()", argument_modules.PASSING)
        or (not re.match(r"[\w.]*[A-Z]\w*\(", current[name]) and "identity-met" not in said)
    ]
    for name in guessed:
        for expression in argument_modules.candidates(
            name, cls, namespace, lambda found: call_arguments(found, profile, namespace)
        ):
            yield {**current, name: expression}
    if "nn.Identity()" in current.values():
        yield {
            name: argument_modules.PASSING if expression == "nn.Identity()" else expression
            for name, expression in current.items()
        }


def _with_passed_on(cls: type, current: Plan, said: Complaints, profile: Profile) -> Iterator[Plan]:
    """The plan with the arguments that a constructor passes on to another by ``**kwargs`` or ``*args``."""
    missing = said.get("missing-arguments")
    if missing is None:
        return
    sizes = Sizes(profile)
    names = [name for name in missing.names("names") if name not in current]
    try:
        kinds = {item.kind for item in inspect.signature(cls.__init__).parameters.values()}  # type: ignore[misc]  # read only
    except (TypeError, ValueError):
        return
    if names and inspect.Parameter.VAR_KEYWORD in kinds:
        yield {**current, **{name: by_name(name, sizes) for name in names}}
    if names and inspect.Parameter.VAR_POSITIONAL in kinds and "*args" not in current:
        yield {**current, "*args": f"[{', '.join(by_name(name, sizes) for name in names)}]"}


def _with_optional(
    cls: type, current: Plan, said: Complaints, blamed: frozenset[str] | set[str], profile: Profile
) -> Iterator[Plan]:
    """Plans that pass an optional argument after all: one that the error or the failing line names."""
    for name in optional(cls):
        if name not in current and (name in said.words or ("none-met" in said and name in blamed)):
            called = "not-callable" in said
            yield {**current, name: callable_by_name(name) if called else by_name(name, Sizes(profile))}


def agreeing(current: Plan, given: Mapping[str, str], pair: tuple[int, int]) -> list[Plan]:
    """Plans in which a guessed size is changed so that two sizes that disagree may be one: larger values first."""
    first, second = max(pair), min(pair)
    plans: list[Plan] = []
    for wrong, right in ((second, first), (first, second)):
        for name, value in int_arguments(current).items():
            if name in given:
                continue
            if value == wrong:
                plans.append({**current, name: str(right)})
            elif value > 1 and wrong and wrong % value == 0 and right % (wrong // value) == 0:
                plans.append({**current, name: str(right // (wrong // value))})
    return plans[:6]
