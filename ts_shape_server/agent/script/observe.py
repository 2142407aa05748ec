"""Watches an eager run: what arrives in each parameter of the user's functions, and what they return.

`watch` runs something under `sys.setprofile` and joins the types it sees over all calls. Which files are the user's is
decided here. It knows nothing of TorchScript's compiler.
"""

from __future__ import annotations

import inspect
import os
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, TypeVar

import torch
from torch import nn

from ts_shape_server.agent.script import types
from ts_shape_server.agent.script.types import Type

_TORCH = os.path.dirname(os.path.abspath(torch.__file__)) + os.sep
_STANDARD = os.path.normpath(sysconfig.get_path("stdlib")) + os.sep
_AGENT = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
T = TypeVar("T")
_SKIPPED_FLAGS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


@dataclass
class Seen:
    """One function over all its calls: `owner` is the class that defines it, None for a plain function. `left` are the
    types that its parameters have when it returns.
    """

    code: CodeType
    owner: type | None
    parameters: dict[str, Type] = field(default_factory=dict)
    result: Type = types.UNKNOWN
    calls: int = 0
    left: dict[str, Type] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return self.code.co_filename

    @property
    def name(self) -> str:
        return self.code.co_name


def is_users(path: str, root: str, own: str) -> bool:
    """Whether a file is the user's to change: `own`, and what lies in the workspace but is not installed there."""
    if path == own:
        return True
    return path.startswith(os.path.join(root, "")) and not _is_installed(path[len(root) :])


def _is_installed(path: str) -> bool:
    return "site-packages" in path or "dist-packages" in path


def is_foreign(path: str) -> bool:
    """Whether a code file belongs to Python, torch or the agent: nothing in it is recorded."""
    if not path or path.startswith(("<", _AGENT, _TORCH)):
        return True
    return path.startswith(_STANDARD) and "site-packages" not in path


def is_agents(path: str) -> bool:
    """Whether a code file is one of the agent's own, such as a stand-in that a call of the user's goes through."""
    return path.startswith(_AGENT)


def innermost(items: Iterable[T], path_of: Callable[[T], str]) -> T | None:
    """Of things from the inside out, such as frames, the first in code of the user's; else the first in an installed
    package. None where all are Python's, torch's or the agent's.
    """
    known = [item for item in items if not is_foreign(path_of(item))]
    return next((item for item in known if not _is_installed(path_of(item))), known[0] if known else None)


def watch(call: Callable[[], Any], before: dict[CodeType, Seen] | None = None) -> tuple[Any, dict[CodeType, Seen]]:
    """The result of `call`, and what every function did that is not torch's or Python's own. Raises what it raises.

    `before` is what earlier calls showed: it is added to.
    """
    seen: dict[CodeType, Seen] = {} if before is None else before
    foreign: dict[CodeType, bool] = {}

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        if event not in ("call", "return"):
            return
        code = frame.f_code
        skip = foreign.get(code)
        if skip is None:
            skip = foreign[code] = is_foreign(code.co_filename) or bool(code.co_flags & _SKIPPED_FLAGS)
        if skip:
            return
        if event == "return":
            if code in seen:
                _record_return(seen[code], frame, argument)
            return
        _record_call(seen, frame)

    previous = sys.getprofile()
    sys.setprofile(profile)
    try:
        result = call()
    finally:
        sys.setprofile(previous)
    for entry in seen.values():
        entry.parameters.update(_made_inside(entry))
    return result, seen


def _made_inside(entry: Seen) -> dict[str, Type]:
    """Parameters that only None arrived in and that the function gives a value: TorchScript needs the type of both."""
    given = {name: entry.left.get(name, types.NONE) for name, kind in entry.parameters.items() if kind == types.NONE}
    return {name: types.join(types.NONE, kind) for name, kind in given.items() if kind.representable}


def _record_return(entry: Seen, frame: FrameType, value: Any) -> None:
    entry.result = types.join(entry.result, types.of(value))
    for name, kind in entry.parameters.items():
        if kind == types.NONE and name in frame.f_locals:
            entry.left[name] = types.join(entry.left.get(name, types.UNKNOWN), types.of(frame.f_locals[name]))


def _record_call(seen: dict[CodeType, Seen], frame: FrameType) -> None:
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + _variadic(code)]
    values = frame.f_locals
    entry = seen.get(code)
    if entry is None:
        entry = seen[code] = Seen(code, _owner(code, values))
    entry.calls += 1
    for name in names:
        if name in values and not (entry.owner is not None and name == names[0]):
            found = types.of(values[name])
            entry.parameters[name] = types.join(entry.parameters.get(name, types.UNKNOWN), found)


def _variadic(code: CodeType) -> int:
    return bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)


def _owner(code: CodeType, values: Any) -> type | None:
    """The class whose body defines `code`, found from the first argument."""
    if not code.co_argcount or code.co_varnames[0] not in values:
        return None
    first = values[code.co_varnames[0]]
    if isinstance(first, torch.Tensor):
        return None
    for kind in (first if isinstance(first, type) else type(first)).__mro__:
        member = vars(kind).get(code.co_name)
        if member is not None and _code_of(member) is code:
            return kind
    return None


def _code_of(member: Any) -> CodeType | None:
    if isinstance(member, property):
        member = member.fget
    function = inspect.unwrap(getattr(member, "__func__", member))
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None


def function_of(entry: Seen, namespace: Mapping[str, Any]) -> Any:
    """The function that ran; None where neither the class that defines it nor `namespace` has it."""
    if entry.owner is None:
        found = inspect.unwrap(namespace[entry.name]) if callable(namespace.get(entry.name)) else None
        return found if getattr(found, "__code__", None) is entry.code else None
    member = vars(entry.owner).get(entry.name)
    member = member.fget if isinstance(member, property) else member
    return inspect.unwrap(getattr(member, "__func__", member)) if member is not None else None


def trains_otherwise(module: nn.Module, seen: Iterable[CodeType]) -> bool:
    """Whether a run in training mode may take another way through the functions that ran: one of them asks for the
    mode, or a module does something of its own where it is set.
    """
    if any("training" in code.co_names for code in _with_inner(seen)):
        return True
    return any(type(part).train is not nn.Module.train for part in module.modules())


def _with_inner(codes: Iterable[CodeType]) -> Iterator[CodeType]:
    for code in codes:
        yield code
        yield from _with_inner(item for item in code.co_consts if isinstance(item, CodeType))
