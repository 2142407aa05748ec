"""What scripts and still means something else: the compiler takes it, and the result is not the eager module's.

It compares the scripted module with eager, and reads the signatures; what is frozen or left out is read in `frozen`,
where a difference begins is found in `differing`.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator
from typing import Any

import torch

from ts_shape_server.agent.compare import compare
from ts_shape_server.agent.script import differing, frozen, locate, saving, types
from ts_shape_server.agent.script.finding import Facts, finding
from ts_shape_server.agent.script.locate import MarkedPlace
from ts_shape_server.agent.script.problem import RefusalSearch, default_of
from ts_shape_server.agent.script.session import ScriptSession
from ts_shape_server.agent.script.sources import ParsedFunction
from ts_shape_server.agent.script.types import Type
from ts_shape_server.agent.torch_says import compiler as torch_says
from ts_shape_server.contract.places import Location
from ts_shape_server.contract.report import ArchiveState, Failure


def collect(
    session: ScriptSession, search: RefusalSearch, scripted: Any, name: Location
) -> tuple[list[Failure], ArchiveState]:
    """The traps of a module that scripts, and without any what became of the script in another process. `name` is the
    location for a trap without a place.
    """
    found = [*_none_defaults(search), *frozen.collect(session, search)]
    written = saving.saved(session, scripted) if not found else saving.WrittenScript()
    # An overloaded `forward` is compiled where it is called, and the script of the class itself has none.
    runs = not session.heavy and hasattr(scripted, "forward")
    if runs and not found and session.affords(4 * len(session.sizes())):
        found.extend(_differences(session, search, scripted, name))
    found.extend(frozen.left_out(session, search))
    if found:
        # A trap that is told already may be the very cause, as a default that torch cannot write.
        return found, ""
    unsaved, state = saving.proven(session, search, written, name)
    return ([unsaved] if unsaved is not None else []), state


def _none_defaults(search: RefusalSearch) -> Iterator[Failure]:
    """``mask=None`` without a type: the compiler takes it for a Tensor that is never None (older: for None alone)."""
    for function in search.sources.functions.values():
        if not search.users(function.path) or function.tree.name == "__init__":
            continue
        arguments = function.tree.args
        for argument in [*arguments.args, *arguments.kwonlyargs]:
            default = default_of(function.tree, argument.arg)
            if not isinstance(default, ast.Constant) or default.value is not None or _takes_none(argument.annotation):
                continue
            if argument.arg in _read_names(function):
                kind = _type_beside_none(search, function, argument)
                facts = {"function": function.tree.name, "parameter": argument.arg, "type": str(kind or "")}
                place = locate.location(function.place_of(argument))
                yield _trap("none-default", facts, _none_words(argument, kind), place, "")


def _type_beside_none(search: RefusalSearch, function: ParsedFunction, argument: ast.arg) -> Type | None:
    """What a run saw in the parameter, where it is more than None."""
    seen = search.seen_of(function)
    kind = seen.parameters.get(argument.arg, types.NONE) if seen is not None else types.NONE
    return None if kind == types.NONE or not kind.representable else types.join(kind, types.NONE)


def _none_words(argument: ast.arg, kind: Type | None) -> str:
    said = f"`{argument.arg}: {kind} = None`" if kind is not None else "its type"
    example = "" if kind is not None else f", as in `{argument.arg}: Optional[Tensor] = None`"
    return (
        f"`{argument.arg}=None` scripts, but TorchScript then takes `{argument.arg}` for a Tensor that is never None "
        f"(older versions: for None only): write {said}{example}"
    )


def _takes_none(annotation: ast.expr | None) -> bool:
    if annotation is None:
        return False
    text = ast.unparse(annotation)
    return text not in ("Tensor", "torch.Tensor", "int", "float", "bool", "str")


def _read_names(function: ParsedFunction) -> set[str]:
    return {node.id for node in ast.walk(function.tree) if isinstance(node, ast.Name)}


def _differences(session: ScriptSession, search: RefusalSearch, scripted: Any, name: Location) -> Iterator[Failure]:
    """Run the scripted module beside an eager one on every size there is; what one call leaves, the next one finds."""
    jit: Any = torch.jit
    beside = session.fresh()
    for second in session.sizes():
        where = "a second size" if second else "the example"
        try:
            expected = session.call(beside, second)
        except Exception:
            continue
        try:
            with jit.optimized_execution(False):
                actual = session.call(scripted, second)
        except Exception as error:
            yield _raises(error, search, where, name)
            return
        difference = compare(expected, actual)
        if difference.agree:
            continue
        if second and not compare(session.eager(second), expected).agree:
            # The class remembers its calls: the two remember something else, and the example has not told what.
            message = f"it scripts, but differs from eager in a second call: {difference.reason}"
            yield _trap("differs-from-eager", {"where": "second call"}, message, name, "")
        elif _repeatable(session, second, session.eager(second)):
            yield _difference(session, search, scripted, second, difference.reason, name)
        return


def _difference(
    session: ScriptSession, search: RefusalSearch, scripted: Any, second: bool, reason: str, name: Location
) -> Failure:
    where = "a second size" if second else "the example"
    called = frozen.own_call(session.pristine, search)
    facts = {"where": "second size" if second else "example"}
    message = f"it scripts, but differs from eager on {where}: {reason}"
    left = frozen.decorated(search)
    if called is not None:
        said = f"TorchScript calls `forward` and leaves `__call__` of `{called.caption}` out"
        facts["class"] = called.caption
        return _trap("own-call-left-out", facts, f"{message}. {said}", locate.location(called), reason)
    if left is not None:
        said = f"TorchScript compiles what stands under `{left.caption}` and leaves the decorator out"
        facts["decorator"] = left.caption
        return _trap("decorator-left-out", facts, f"{message}. {said}", locate.location(left), reason)
    place = differing.locate(session, search, scripted, second)
    if place is None:
        return _trap("differs-from-eager", facts, message, name, reason)
    message = f"{message}. The first difference: {place.words()}"
    return _trap("differs-from-eager", facts, message, locate.location(place.place), reason)


def _repeatable(session: ScriptSession, second: bool, expected: Any) -> bool:
    """Whether eager agrees with itself: else a difference means nothing."""
    random.seed(1)
    return compare(expected, session.call(session.fresh(), second)).agree


_REASONS = (
    (
        "raises-parametrization",
        "parametrization-active",
        "TorchScript runs no parametrizations: take them out before, with "
        "`torch.nn.utils.parametrize.remove_parametrizations`",
    ),
    (
        "raises-mixed-numbers",
        "mixed-numbers",
        "a list of numbers of several types becomes no Tensor: make all floats",
    ),
)


def _untyped_input(text: str, search: RefusalSearch, where: str) -> Failure | None:
    """A parameter of `forward` without annotation that gets something else than a Tensor."""
    found = torch_says.complaint(text, "argument-type")
    functions = [item for item in search.sources.functions.values() if item.tree.name == "forward"] if found else []
    for function in functions:
        seen = search.seen_of(function)
        for argument in function.tree.args.args:
            if (
                found is None
                or argument.arg != found.name("argument")
                or seen is None
                or not search.users(function.path)
            ):
                continue
            kind = seen.parameters.get(argument.arg)
            if kind is None or not kind.representable or argument.annotation is not None:
                continue
            message = (
                f"it scripts, but raises on {where}: `{argument.arg}` is taken for a Tensor because it has no "
                f"annotation, and gets a `{kind}`: annotate `{argument.arg}: {kind}`"
            )
            facts = {"parameter": argument.arg, "type": str(kind), "where": where}
            place = locate.location(function.place_of(argument))
            return _trap("untyped-input", facts, message, place, text)
    return None


def _raises(error: Exception, search: RefusalSearch, where: str, name: Location) -> Failure:
    untyped = _untyped_input(str(error), search, where)
    if untyped is not None:
        return untyped
    located = locate.read(str(error))
    place: MarkedPlace | None = next((item for item in reversed(located.places) if search.users(item.path)), None)
    said = torch_says.last_line(str(error)) or type(error).__name__
    kind, said = next(
        ((kind, words) for kind, asked, words in _REASONS if torch_says.raised(str(error), asked)),
        ("raises", said),
    )
    location = locate.location(place) if place is not None else name
    message = f"it scripts, but raises on {where} where eager runs: {said[:200]}"
    return _trap(kind, {"where": where, "said": said[:200]}, message, location, str(error))


def _trap(kind: str, facts: Facts, message: str, location: Location, detail: str) -> Failure:
    return finding("script-trap", kind, message, location, detail, facts=facts)
