"""Torch's complaints in words a person can act on: those of its kind, or those of where it stands.

A refusal inside of a library, of a parameter without annotation or of a static ``forward`` is told as that, whatever
its kind. Nothing here edits source or compiles.
"""

from __future__ import annotations

import ast
import inspect
import string
from dataclasses import replace

from ts_shape_server.agent.script import refusals
from ts_shape_server.agent.script.problem import CompilerProblem, RefusalSearch
from ts_shape_server.agent.script.refusals.refusal import Told, article, code_of
from ts_shape_server.agent.script.sources import ParsedFunction
from ts_shape_server.agent.script.types import Type
from ts_shape_server.agent.torch_says import compiler


def tell(
    problem: CompilerProblem, search: RefusalSearch, repaired: tuple[str, ...] = (), owner: ParsedFunction | None = None
) -> Told:
    """The words for a problem. `repaired` are parameters of `owner` whose annotation alone takes it away."""
    if repaired and owner is not None:
        return _untyped(repaired, owner, problem, search)
    library = _in_library(problem, search)
    if library is not None:
        return _of_library(library, _of_kind(library, search))
    return _static_forward(problem, search) or _under_decorator(problem, search) or _of_kind(problem, search)


def _of_kind(problem: CompilerProblem, search: RefusalSearch) -> Told:
    complaint, refusal = problem.complaint, refusals.of(problem)
    if complaint is None or refusal is None:
        return _plain(problem)
    texts = {name: value for name, value in complaint.facts.items() if isinstance(value, str)}
    if not isinstance(refusal.sentence, str):
        told = refusal.sentence(complaint, problem, search)
        return replace(told, kind=told.kind or complaint.kind, facts={**texts, **told.facts})
    function = problem.function.tree.name if problem.function is not None else "forward"
    words = {"code": code_of(problem), "function": function, **texts}
    message = refusal.sentence.format(**words)
    message = message.replace("``", "a call here" if function == "forward" else f"a call in `{function}`")
    used = {name: words[name] for _, name, _, _ in string.Formatter().parse(refusal.sentence) if name}
    return Told(message, kind=complaint.kind, facts={**texts, **used})


def _plain(problem: CompilerProblem) -> Told:
    """Torch's own first line, for messages that have no row."""
    first = compiler.first_line(problem.message) or "torch.jit.script refuses this"
    words = f"TorchScript refuses `{code_of(problem)}`: {first}" if problem.code else f"TorchScript refuses it: {first}"
    return Told(words, kind="unrecognised", facts={"said": first, "code": code_of(problem)})


def _untyped(names: tuple[str, ...], owner: ParsedFunction, problem: CompilerProblem, search: RefusalSearch) -> Told:
    wanted = search.wanted(owner)
    seen = search.seen_of(owner)
    kinds: dict[str, Type] = {
        name: wanted.get(name) or (seen.parameters[name] if seen else Type("Tensor")) for name in names
    }
    parts = [
        f"`{name}` is taken for a Tensor because it has no annotation; it is {article(kind)} here: "
        f"annotate `{name}: {kind}`"
        for name, kind in kinds.items()
    ]
    arguments = [*owner.tree.args.args, *owner.tree.args.kwonlyargs]
    places = [owner.place_of(item, "the parameter") for item in arguments if item.arg in names]
    default = problem.says("default-value") is not None or not problem.located.places
    return Told(
        "; ".join(parts),
        ("parameter", owner.key, names),
        places[0] if default and places else None,
        () if default else tuple(places),
        "untyped-parameter",
        {"function": owner.tree.name, "parameters": list(names), "types": [str(kind) for kind in kinds.values()]},
    )


def _static_forward(problem: CompilerProblem, search: RefusalSearch) -> Told | None:
    """A ``forward`` without `self` is taken for one whose first parameter is the module: what follows is one reason."""
    for function in search.sources.functions.values():
        names = [getattr(item, "id", "") for item in function.tree.decorator_list]
        if function.tree.name != "forward" or "staticmethod" not in names or not search.users(function.path):
            continue
        owner = getattr(function.function, "__qualname__", "").split(".")[-2:][0]
        called = compiler.called_forward(problem.message) == owner
        if problem.function is function or called:
            return Told(
                f"`forward` of `{owner}` is a static method, whose first parameter TorchScript takes for the module: "
                "give it `self`",
                ("static forward", function.key),
                function.name_place(),
                kind="static-forward",
                facts={"class": owner},
            )
    return None


def _under_decorator(problem: CompilerProblem, search: RefusalSearch) -> Told | None:
    """A name that the author's file has, and that TorchScript looks up in the file of the function that a decorator
    put around the one it compiles: it is not there, or is something else. All such names are one reason.
    """
    function = problem.function
    wrapped = inspect.unwrap(function.function) if function is not None else None
    if function is None or problem.node is None or wrapped is function.function or not search.users(function.path):
        return None
    own, looked_up = getattr(wrapped, "__globals__", {}), getattr(function.function, "__globals__", {})
    local = set(wrapped.__code__.co_varnames) if inspect.isfunction(wrapped) else set()
    names = [item.id for item in ast.walk(problem.node) if isinstance(item, ast.Name) and item.id not in local]
    hidden = next((name for name in names if name in own and looked_up.get(name) is not own[name]), "")
    if not hidden or not function.tree.decorator_list:
        return None
    decorator = function.tree.decorator_list[0]
    text = ast.unparse(decorator)
    return Told(
        f"`@{text}` puts another function around `{function.tree.name}`, and TorchScript looks its names up in the "
        f"file of that one, where `{hidden}` is not: do inside of the function what the decorator does",
        ("decorator", function.key),
        function.place_of(decorator),
        kind="decorator-hides-names",
        facts={"function": function.tree.name, "decorator": f"@{text}"},
    )


def _in_library(problem: CompilerProblem, search: RefusalSearch) -> CompilerProblem | None:
    """The problem at the place in somebody else's code where it arises; None if that is the user's."""
    if problem.library is None:
        return None
    place = problem.located.places[0]
    function = search.sources.function_at(place.path, place.line)
    return replace(problem, function=function, node=function.node_at(place) if function is not None else None)


def _of_library(problem: CompilerProblem, told: Told) -> Told:
    """What cannot be compiled of somebody else's; `told` is about the place inside of it."""
    assert problem.library is not None
    function = problem.library.function
    name = getattr(function, "__qualname__", problem.library.tree.name)
    if "parametriz" in getattr(function, "__module__", ""):
        words = (
            "a parametrization cannot be compiled: take it out before, with "
            "`torch.nn.utils.parametrize.remove_parametrizations`"
        )
        return Told(words, ("library", "parametrization"), kind="parametrization")
    if name.split(".")[0] == "DataParallel":
        words = "`nn.DataParallel` cannot be compiled: script the module inside of it, its `.module`"
        return Told(words, ("library", name), kind="data-parallel")
    facts = {"function": name, "inner": told.kind}
    if "." in name:
        return Told(f"inside `{name}`: {told.message}", ("library", name), kind="library-method", facts=facts)
    return Told(
        f"TorchScript cannot compile `{name}`, which is called here: move the call to `__init__`, or to a "
        "`@torch.jit.ignore` method",
        ("library", name),
        kind="library-function",
        facts=facts,
    )
