"""Reads the examples that a rewrite has in the docstring of its module.

``Before:`` and ``After:`` are whole files with a class `Net`, ``Left alone:`` one in which the rewrite does nothing.
Above them ``Refused: KIND FACT=VALUE …`` says what torch complains of, and ``Input: x=[2, 3]`` what goes in;
``Called: no`` says that no call of the class was seen.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ts_shape_server.analysis import rewrites
from ts_shape_server.analysis.rewrites import RULES
from ts_shape_server.analysis.rewrites.situation import Rewriter

_SECTION = re.compile(r"^(Refused|Input|Called|Before|After|Left alone):[ ]?(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """`after` is None where the rewrite does nothing. `refused` is a kind with its facts, empty for what needs types
    that only a run shows.
    """

    module: str
    number: int
    before: str
    after: str | None
    refused: tuple[str, tuple[tuple[str, str], ...]] | None
    inputs: dict[str, Any]
    called: bool

    @property
    def rewriters(self) -> list[Rewriter]:
        """The registered rewrites of the module."""
        return [rule.rewriter for rule in RULES if rule.rewriter.__module__ == self.module]

    def __str__(self) -> str:
        return f"{self.module.rpartition('.')[2]}-{self.number}"


def examples() -> list[Example]:
    """Those of all rewrites that have some."""
    found: list[Example] = []
    for item in pkgutil.iter_modules(rewrites.__path__):
        found += _of(importlib.import_module(f"{rewrites.__name__}.{item.name}"))
    return found


def _of(module: ModuleType) -> Iterator[Example]:
    text = inspect.cleandoc(module.__doc__ or "")
    heads = list(_SECTION.finditer(text))
    ends = [*(head.start() for head in heads[1:]), len(text)][: len(heads)]
    refused: tuple[str, tuple[tuple[str, str], ...]] | None = None
    inputs: dict[str, Any] = {}
    before, number, called = "", 0, True
    for head, end in zip(heads, ends, strict=True):
        kind, rest = head.group(1), head.group(2).strip()
        body = textwrap.dedent(text[head.end() : end]).strip("\n") + "\n"
        if kind == "Refused":
            name, *facts = rest.split()
            refused = (name, tuple((key, value) for key, _, value in (fact.partition("=") for fact in facts)))
        elif kind == "Called":
            called = rest != "no"
        elif kind == "Input":
            inputs = {
                item.arg or "": {"tensor": ast.literal_eval(item.value)}
                for item in ast.parse(f"f({rest})", mode="eval").body.keywords  # type: ignore[attr-defined]
            }
        elif kind == "Before":
            before = body
        else:
            number += 1
            after = body if kind == "After" else None
            yield Example(module.__name__, number, before if after else body, after, refused, inputs, called)
