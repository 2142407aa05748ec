"""Refusals for which torch names no place: finds the place by trying.

First the repair that such refusals most often want (a parameter that is None by default and has no annotation), one
parameter at a time; then the innermost module that is refused with the same words when it is compiled alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from torch import nn

from ts_shape_server.agent.script import edits, types
from ts_shape_server.agent.script.neutralise import Candidate
from ts_shape_server.agent.script.problem import Problem, Search, default_of
from ts_shape_server.agent.script.sources import Parsed
from ts_shape_server.agent.script.types import Type


def repairs(search: Search) -> Iterator[Candidate]:
    """Annotations of single parameters, those with a None default first."""
    for function in list(search.sources.functions.values()):
        if not search.users(function.path):
            continue
        seen = search.seen_of(function)
        for argument in [*function.tree.args.args, *function.tree.args.kwonlyargs]:
            default = default_of(function.tree, argument.arg)
            if argument.annotation is not None or not isinstance(default, ast.Constant) or default.value is not None:
                continue
            kind = seen.parameters.get(argument.arg, types.NONE) if seen is not None else types.NONE
            wanted = types.join(types.NONE, kind) if kind.representable else types.NONE
            wanted = Type("Optional", (types.TENSOR,)) if wanted == types.NONE else wanted
            yield Candidate(function, (edits.annotated(search.sources, argument.arg, wanted),), repairs=(argument.arg,))


def innermost(module: nn.Module, message: str, script: Any) -> nn.Module | None:
    """The first module, children before parents, that `script` refuses with the same words."""
    tried: set[type] = set()
    for child in reversed(list(module.modules())):
        if type(child) in tried or child is module:
            continue
        tried.add(type(child))
        error = script(child)
        if error is not None and str(error).strip() == message:
            return child
    return None


def placed_at(problem: Problem, function: Parsed) -> Problem:
    """The problem, said to be at a function's name."""
    return replace(problem, function=function, node=None, place=function.name_place())
