"""Modules that hold modules, their hooks, and the constants of torch's own."""

from __future__ import annotations

import os

from torch import nn

from ts_shape_server.agent.script.locate import MarkedPlace
from ts_shape_server.agent.script.problem import CompilerProblem, RefusalSearch
from ts_shape_server.agent.script.refusals.refusal import RefusalKind, Told
from ts_shape_server.agent.torch_says.rows import Complaint


def hook(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    kind, name, module = complaint.name("which").lower(), complaint.name("name"), complaint.name("module")
    made = next((item for item in search.sources.functions.values() if item.tree.name == name), None)
    result = ", output: Tensor" if kind == "hook" else ""
    return Told(
        f"the {kind} `{name}` of a `{module}` needs annotations to be compiled: "
        f"`def {name}(module, inputs: Tuple[Tensor]{result})`, and that of its result",
        ("hook", name),
        made.name_place() if made is not None and search.users(made.path) else None,
    )


def lambda_hook(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    path, line = complaint.name("path"), complaint.number("line") or 1
    place = MarkedPlace(path, line, None, line, None) if search.users(path) else None
    return Told(
        "a hook that is a lambda cannot be compiled: make it a named function with annotations",
        ("hook", path, line),
        place,
        facts={"path": os.path.basename(path)},
    )


def without_hook(problem: CompilerProblem, module: nn.Module, search: RefusalSearch) -> bool:
    """Take the hooks of the refused class off every module."""
    name = problem.complaint.name("name") if problem.complaint is not None else ""
    found = [
        (hooks, key)
        for part in module.modules()
        for hooks in (part._forward_hooks, part._forward_pre_hooks)
        for key, hook in hooks.items()
        if type(hook).__name__ == name
    ]
    for hooks, key in found:
        del hooks[key]
    return bool(found)


def with_plain_constant(problem: CompilerProblem, module: nn.Module, search: RefusalSearch) -> bool:
    """Python's own numbers in the place of numpy's in an attribute."""
    complaint = problem.complaint
    mended = False
    for part in module.modules():
        if complaint is None or type(part).__name__ != complaint.name("owner"):
            continue
        held = getattr(part, complaint.name("attribute"), None)
        items = getattr(held, "tolist", None)
        plain = items() if callable(items) else _plain_items(held)
        if plain is not None:
            setattr(part, complaint.name("attribute"), plain)
            mended = True
    return mended


def _plain_items(held: object) -> tuple[object, ...] | None:
    """A tuple with numpy numbers in it as one of Python's."""
    if not isinstance(held, (tuple, list)):
        return None
    return tuple(item.tolist() if hasattr(item, "tolist") else item for item in held)


REFUSALS = (
    RefusalKind(
        "module-list-index",
        "`{code}`: a ModuleList can only be indexed by a literal in TorchScript: loop over it, with `enumerate` or "
        "`zip`",
        independent=True,
    ),
    RefusalKind(
        "module-dict-index",
        "`{code}`: a ModuleDict can only be indexed by a literal in TorchScript: loop over its `items()`",
        independent=True,
    ),
    RefusalKind(
        "module-zip",
        "`{code}` pairs modules with values whose number TorchScript does not know: loop with `enumerate` and index "
        "the values",
        independent=True,
    ),
    RefusalKind(
        "module-annotation",
        "the class annotates `{name}` with a type that TorchScript does not take for a module: take the annotation out",
    ),
    RefusalKind(
        "constant-unsupported",
        "`{attribute}` of this `{owner}` is a `{type}`: make it a plain Python number",
        mended=with_plain_constant,
    ),
    RefusalKind(
        "hook-class",
        "a `{name}` hook cannot be compiled: take it out before, with `remove_weight_norm` or `remove_spectral_norm`",
        mended=without_hook,
    ),
    RefusalKind("hook-unannotated", hook),
    RefusalKind("hook-lambda", lambda_hook),
)
