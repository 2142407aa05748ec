"""A script that no archive holds: it compiles and runs, and cannot be saved or read back.

What: calls of functions that stay Python, such as those of a `torch.autograd.Function`; empty classes, which torch
writes so that it cannot read them. Why it is told: a script is made to be saved. Modules whose weights take more than
`LARGEST` bytes are not tried, since saving writes them all. Knows nothing of exports.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import torch
from torch import nn
from torch._jit_internal import FunctionModifiers

from ts_shape_server.agent.script import locate
from ts_shape_server.agent.script.finding import finding, first_line
from ts_shape_server.agent.script.problem import RefusalSearch
from ts_shape_server.agent.torch_says import compiler as torch_says
from ts_shape_server.agent.torch_says.rows import Complaint
from ts_shape_server.contract.places import Location
from ts_shape_server.contract.report import Failure

LARGEST = 64 << 20
_IGNORED = FunctionModifiers.IGNORE


def refusal(search: RefusalSearch, module: nn.Module, scripted: Any, name: Location) -> Failure | None:
    """Why the script of a module cannot be saved or read back, at the call if torch names one; None where it can, is
    large, or calls what its author has left to Python with `@torch.jit.ignore`.
    """
    weights = (*scripted.parameters(), *scripted.buffers())
    if sum(item.numel() * item.element_size() for item in weights) > LARGEST:
        return None
    jit: Any = torch.jit
    file = io.BytesIO()
    try:
        with warnings.catch_warnings():
            # torch 2.13 says at each call that TorchScript is deprecated.
            warnings.simplefilter("ignore")
            jit.save(scripted, file)
            file.seek(0)
            jit.load(file, map_location="cpu")
    except Exception as error:
        said = torch_says.complaint(str(error), "python-call")
        chosen = said is not None and _is_left_to_python(module, said.name("name"))
        return None if chosen else _told(error, said, search, name, _empty_object(module))
    return None


def _is_left_to_python(module: nn.Module, name: str) -> bool:
    """Whether a part of the module has a method of that name that its author marked with `@torch.jit.ignore`."""
    methods = (getattr(type(part), name, None) for part in module.modules())
    return any(getattr(method, "_torchscript_modifier", None) is _IGNORED for method in methods)


def _empty_object(module: nn.Module) -> dict[str, str]:
    """The first attribute with an object that has no attributes of its own, and the class that holds it; else none."""
    for part in module.modules():
        for attribute, value in vars(part).items():
            kind = type(value)
            own = kind.__module__.split(".")[0] not in ("builtins", "torch", "enum", "collections")
            kept = attribute not in getattr(part, "__jit_ignored_attributes__", ())
            if kept and own and getattr(value, "__dict__", None) == {} and not callable(value):
                return {"owner": type(part).__name__, "attribute": attribute, "type": kind.__name__}
    return {}


def _told(
    error: Exception, said: Complaint | None, search: RefusalSearch, name: Location, empty: dict[str, str]
) -> Failure:
    place = next((item for item in locate.read(str(error)).places if search.users(item.path)), None)
    location = locate.location(place) if place is not None else name
    if said is None and empty:
        facts = empty
        reason = (
            f"`self.{empty['attribute']}` of `{empty['owner']}` is a `{empty['type']}`, an object without attributes "
            "of its own, and torch cannot read back what it writes of one"
        )
    elif said is None:
        reason, facts = first_line(error)[:200], {}
    else:
        called = said.name("name")
        facts = {"function": called}
        reason = f"`{called}` stays a function of Python: write its formula here, or export a trace"
    return finding(
        "script-trap",
        "cannot-be-saved",
        f"it scripts, and cannot be saved: {reason}",
        location,
        str(error),
        facts=facts,
    )
