"""What a function takes: stars, defaults, and parameters whose type the compiler guesses."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from torch import nn

from ts_shape_server.agent.script import edits, neutralisation
from ts_shape_server.agent.script.neutralisation import Neutralisation
from ts_shape_server.agent.script.problem import CompilerProblem, RefusalSearch
from ts_shape_server.agent.script.refusals.refusal import RefusalKind, Told, own_place
from ts_shape_server.agent.script.sources import ParsedFunction
from ts_shape_server.agent.torch_says.rows import Complaint


def variadic(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    function = problem.function
    if function is None:
        return Told("a function with `*args` or `**kwargs` cannot be compiled: name its parameters")
    arguments = function.tree.args
    seen = search.seen_of(function)
    parts = []
    place = None
    for argument, stars in ((arguments.vararg, "*"), (arguments.kwarg, "**")):
        if argument is not None:
            place = place or own_place(function, argument, search)
            kind = seen.parameters.get(argument.arg) if seen is not None else None
            count = len(kind.items) if kind is not None and kind.name == "Tuple" else None
            what = f"the {count} values that arrive" if count and count > 1 else "what arrives"
            parts.append(f"`{stars}{argument.arg}` has no type in TorchScript: name {what} as parameters")
    starred = [item.arg for item in (arguments.vararg, arguments.kwarg) if item is not None]
    facts = {"function": function.tree.name, "parameters": starred}
    if parts:
        return Told("; ".join(parts), ("signature", function.key), place, facts=facts)
    first = next((item for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults) if default), None)
    return Told(
        f"`{first.arg if first is not None else '*'}` is keyword-only and has a default, which TorchScript lacks: take "
        "the `*` out of the signature",
        ("signature", function.key),
        own_place(function, first, search) if first is not None else None,
        kind="keyword-only-default",
        facts={**facts, "parameters": [first.arg] if first is not None else []},
    )


def mutable_default(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    words = "a list or dict cannot be a default in TorchScript: take None and make it in the body"
    function = problem.function
    if function is None:
        return Told(words)
    arguments = function.tree.args
    defaults = [item for item in (*arguments.defaults, *arguments.kw_defaults) if isinstance(item, _MUTABLE)]
    place = own_place(function, defaults[0], search) if defaults else None
    return Told(words, ("mutable default", function.key), place, facts={"function": function.tree.name})


_MUTABLE = (ast.List, ast.Dict, ast.Set, ast.Call, ast.ListComp, ast.DictComp, ast.SetComp)


def without_stars(
    problem: CompilerProblem, search: RefusalSearch, function: ParsedFunction
) -> Iterator[Neutralisation]:
    """The parameters that the run saw, without stars."""
    seen = search.seen_of(function)
    kinds = seen.parameters if seen is not None else {}
    yield Neutralisation(function, (edits.plain_signature(search.sources, kinds),))


def without_the_call(
    problem: CompilerProblem, search: RefusalSearch, function: ParsedFunction
) -> Iterator[Neutralisation]:
    """Another value behind the stars of a call would be refused again, so the whole call gives way."""
    if problem.node is None:
        return
    for call in ast.walk(function.tree):
        if isinstance(call, ast.Call):
            spread = [item.value for item in call.keywords if item.arg is None]
            if problem.node is call or any(neutralisation.within(problem.node, item) for item in spread):
                kind = search.type_of(function, call)
                if kind is not None and kind.representable:
                    yield from neutralisation.values(search, function, call, kind)


def without_defaults(problem: CompilerProblem, module: nn.Module, search: RefusalSearch) -> bool:
    """Let torch see the function without its defaults."""
    if problem.function is None:
        return False
    known = problem.function.key in search.sources.bare
    search.sources.bare.add(problem.function.key)
    return not known


REFUSALS = (
    RefusalKind("variadic", variadic, independent=True, neutralised=without_stars),
    RefusalKind(
        "default-without-type",
        "`{name}` is taken for a Tensor because it has no annotation, and its default is not a Tensor: annotate it",
        names_variable=True,
    ),
    RefusalKind("mutable-default", mutable_default, independent=True, mended=without_defaults),
    RefusalKind(
        "keyword-expansion",
        "TorchScript does not support `**` in a call: name the arguments",
        independent=True,
        neutralised=without_the_call,
    ),
)
