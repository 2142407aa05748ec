"""Refusals for which torch names no place: finds the place by trying, or by the module at fault.

First the repair that such refusals most often want (a parameter that is None by default and has no annotation), one
parameter at a time and then all of a function; then the module that was being compiled, at the place where the user's
source makes it.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from ts_shape_server.agent.script import edits, types
from ts_shape_server.agent.script.locate import MarkedPlace
from ts_shape_server.agent.script.neutralisation import Neutralisation
from ts_shape_server.agent.script.problem import CompilerProblem, RefusalSearch, default_of
from ts_shape_server.agent.script.sources import ParsedFunction
from ts_shape_server.agent.script.types import Type


def repairs(search: RefusalSearch) -> Iterator[Neutralisation]:
    """Annotations of parameters that are None by default: each alone, then all of a function together."""
    single = [list(_of_function(search, function)) for function in list(search.sources.functions.values())]
    for candidates in single:
        yield from candidates
    for candidates in single:
        if len(candidates) > 1:
            every = tuple(edit for item in candidates for edit in item.edits)
            names = tuple(name for item in candidates for name in item.repairs)
            fewer = tuple(_without(candidates, left) for left in candidates) if len(candidates) > 2 else ()
            yield Neutralisation(candidates[0].function, every, repairs=names, narrower=fewer)


def _of_function(search: RefusalSearch, function: ParsedFunction) -> Iterator[Neutralisation]:
    if not search.users(function.path):
        return
    seen = search.seen_of(function)
    for argument in [*function.tree.args.args, *function.tree.args.kwonlyargs]:
        default = default_of(function.tree, argument.arg)
        if argument.annotation is not None or not isinstance(default, ast.Constant) or default.value is not None:
            continue
        kind = seen.parameters.get(argument.arg, types.NONE) if seen is not None else types.NONE
        wanted = types.join(types.NONE, kind) if kind.representable else types.NONE
        wanted = Type("Optional", (types.TENSOR,)) if wanted == types.NONE else wanted
        yield Neutralisation(
            function, (edits.annotated(search.sources, argument.arg, wanted),), repairs=(argument.arg,)
        )


def _without(candidates: list[Neutralisation], left: Neutralisation) -> Neutralisation:
    kept = [item for item in candidates if item is not left]
    every = tuple(edit for item in kept for edit in item.edits)
    return Neutralisation(left.function, every, repairs=tuple(name for item in kept for name in item.repairs))


def place(problem: CompilerProblem, module: nn.Module, search: RefusalSearch) -> CompilerProblem:
    """The problem at what it is about: a module of torch's where the user's source makes it, else a `forward`."""
    if problem.module is None:
        return problem
    owner, name = _owner(problem.module, module, search)
    if name and not _users_forward(problem.module, search):
        made = _assignment(owner, name.split(".")[0], search)
        if made is not None:
            return replace(problem, function=problem.function or _forward(problem.module, search), place=made)
    for candidate in (problem.module, owner, module):
        function = _forward(candidate, search)
        if function is not None and search.users(function.path):
            inner = problem.function or _forward(problem.module, search) or function
            return replace(problem, function=inner, place=function.name_place())
    return problem


def _owner(part: nn.Module, module: nn.Module, search: RefusalSearch) -> tuple[nn.Module, str]:
    """The nearest module of the user's above a part, and the part's name from there."""
    path = next((name for name, item in module.named_modules() if item is part), "")
    parts = path.split(".") if path else []
    for length in range(len(parts) - 1, -1, -1):
        owner = module.get_submodule(".".join(parts[:length]))
        if _users_forward(owner, search):
            return owner, ".".join(parts[length:])
    return module, path


def _forward(module: nn.Module, search: RefusalSearch) -> ParsedFunction | None:
    code = getattr(inspect.unwrap(type(module).forward), "__code__", None)
    return search.sources.function_at(code.co_filename, code.co_firstlineno) if code is not None else None


def _users_forward(module: nn.Module, search: RefusalSearch) -> bool:
    code = getattr(inspect.unwrap(type(module).forward), "__code__", None)
    return code is not None and search.users(code.co_filename)


def _assignment(owner: nn.Module, name: str, search: RefusalSearch) -> MarkedPlace | None:
    """Where a class of the user's sets ``self.name``."""
    for kind in type(owner).__mro__:
        initialise = inspect.unwrap(vars(kind).get("__init__", None))
        code = getattr(initialise, "__code__", None)
        if code is None or not search.users(code.co_filename):
            continue
        try:
            lines, first = inspect.getsourcelines(code)
            tree = ast.parse(textwrap.dedent("".join(lines)))
        except (OSError, SyntaxError, TypeError):
            continue
        indent = len(lines[0]) - len(textwrap.dedent("".join(lines)).split("\n", 1)[0]) - 1
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr == name:
                line = max(first, 1) + node.lineno - 1
                end = (node.end_col_offset or 0) + indent
                return MarkedPlace(code.co_filename, line, node.col_offset + indent, line, end)
    return None
