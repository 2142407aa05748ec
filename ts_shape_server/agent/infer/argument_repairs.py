"""From the error of a constructor, or from sizes that disagree later, to other arguments for it. Builds nothing."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

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

ALLOWED = 3


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
    text = str(error)[:1000]
    open_names = [name for name in current if name not in given]
    ordered = sorted(open_names, key=lambda name: name not in blamed)
    grown = list(with_missing_attribute(current, given, error, line, profile))
    if grown:
        yield from grown
        return
    yield from _with_passed_on(cls, current, text, profile)
    yield from _with_modules(cls, current, open_names, text, profile, namespace)
    yield from _with_optional(cls, current, text, blamed, profile)
    key = re.fullmatch(r"'(\w+)'", text)
    if isinstance(error, KeyError) and key is not None:
        for name in ordered:
            if current[name].startswith("{"):
                added = f"{key.group(1)!r}: {by_name(key.group(1), Sizes(profile))}"
                yield {**current, name: "{" + added + ", " + current[name][1:]}
    for name in ordered:
        for expression in _alternatives(name, current[name], text, profile, namespace):
            if expression != current[name]:
                yield {**current, name: expression}


def _alternatives(
    name: str, expression: str, text: str, profile: Profile, namespace: Mapping[str, Any]
) -> Iterator[str]:
    size = profile.sizes[0]
    if expression == "nn.Identity()" and re.search(r"not (?:iterable|subscriptable)|no len", text):
        yield "nn.Sequential(nn.Identity(), nn.Identity())"
    if re.search(r"not iterable|no len\(\)|not subscriptable|must be an iterable|cannot unpack", text):
        yield list_of(name.lower(), Sizes(profile))
        yield f"({size}, {size})"
        yield f"({size}, {size}, {size})"
    if (
        re.search(r"list index out of range|tuple index out of range|not enough values", text)
        and expression[:1] in "[("
    ):
        yield f"[{', '.join([str(size)] * 8)}]"
        yield f"[{', '.join([str(size)] * 3)}]"
    if "too many values to unpack" in text:
        yield f"({size}, {size})"
        yield f"({size}, {size}, {size})"
    if "tensor of dimension 0" in text and re.fullmatch(r"[\d.]+", expression):
        yield f"[{expression}, {expression}, {expression}]"
    if re.search(r"has no attribute '(?:items|keys|values|get)'", text):
        yield "{'a': 1, 'b': 2}"
    if "must be a mapping" in text:
        yield "{}"
    yield from _allowed(text)
    if "Dimension out of range" in text and expression.isdigit():
        yield from ("0", "1", "-1")
    if "not callable" in text:
        yield from _classes(namespace)
        yield "nn.Identity"
        yield "nn.ReLU"
        yield "(lambda *args, **kwargs: nn.Identity())"
    attribute = re.search(r"'(?:int|float|str|list|NoneType|Identity|bool)' object has no attribute '(\w+)'", text)
    if attribute is not None and hasattr(torch.Tensor, attribute.group(1)):
        yield f"torch.ones({size})"
        yield f"torch.ones({size}, {size})"
    elif attribute is not None:
        yield namespace_expression([attribute.group(1)], profile)
    if re.search(r"must be (?:a )?Tensor|expected Tensor|not a Tensor|is not a tensor|np\.ndarray", text):
        yield f"torch.ones({size}, {size})"
        yield f"torch.ones({size})"
    if re.search(r"is not a Module subclass|not an? (?:nn\.)?Module", text):
        yield "nn.Identity()"
        yield "[nn.Identity()]"
    if re.search(
        r"'(?:list|tuple|Identity|SimpleNamespace|type|str|NoneType|bool|float)' object cannot be interpreted|"
        r"unsupported operand|must be (?:int|float|tuple of ints)|empty\(\)|not supported between|can't multiply|"
        r"must be real number|bad operand|should be of type int",
        text,
    ):
        yield str(size)
        yield "0.1"
    if re.search(r"expected str|must be str|has no attribute '(?:lower|upper|split)'|startswith", text):
        yield "'relu'"


def _allowed(text: str) -> Iterator[str]:
    """The texts that an author's own check lists as those it takes; a name for a module that was looked up by name."""
    if re.search(r"\b(?:in|of|either|support\w*|choose\w*|expected|allowed|valid)\b", text):
        for literal in re.findall(r"'([\w-]+)'", text)[:ALLOWED]:
            yield repr(literal)
    if re.fullmatch(r"(?:ReLU\(\)|Identity\(\)|<class .*>|\d+)", text):
        yield "'relu'"


_NO_MODULE = re.compile(
    r"Identity\.forward\(\)|'Identity' object|is not a Module subclass|"
    r"'(?:\w+\.)*(?:int|list|SimpleNamespace)' object is not callable"
)


def _with_modules(
    cls: type, current: Plan, open_names: list[str], text: str, profile: Profile, namespace: Mapping[str, Any]
) -> Iterator[Plan]:
    """Plans in which what is called as a module is one: a class of the file, or a module that takes anything."""
    if _NO_MODULE.search(text) is None:
        return
    guessed = [
        name
        for name in open_names
        if current[name] in ("nn.Identity()", argument_modules.PASSING)
        or (not re.match(r"[\w.]*[A-Z]\w*\(", current[name]) and "Identity" not in text)
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


_MISSING_ARGUMENTS = re.compile(r"missing \d+ required (?:positional|keyword-only) arguments?: (.*)")


def _with_passed_on(cls: type, current: Plan, text: str, profile: Profile) -> Iterator[Plan]:
    """The plan with the arguments that a constructor passes on to another by ``**kwargs`` or ``*args``."""
    missing = _MISSING_ARGUMENTS.search(text)
    if missing is None:
        return
    sizes = Sizes(profile)
    names = [name for name in re.findall(r"'(\w+)'", missing.group(1)) if name not in current]
    try:
        kinds = {item.kind for item in inspect.signature(cls.__init__).parameters.values()}  # type: ignore[misc]  # read only
    except (TypeError, ValueError):
        return
    if names and inspect.Parameter.VAR_KEYWORD in kinds:
        yield {**current, **{name: by_name(name, sizes) for name in names}}
    if names and inspect.Parameter.VAR_POSITIONAL in kinds and "*args" not in current:
        yield {**current, "*args": f"[{', '.join(by_name(name, sizes) for name in names)}]"}


def _with_optional(
    cls: type, current: Plan, text: str, blamed: frozenset[str] | set[str], profile: Profile
) -> Iterator[Plan]:
    """Plans that pass an optional argument after all: one that the error or the failing line names."""
    said = set(re.findall(r"\w+", text))
    for name in optional(cls):
        if name not in current and (name in said or ("None" in text and name in blamed)):
            called = "not callable" in text
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
