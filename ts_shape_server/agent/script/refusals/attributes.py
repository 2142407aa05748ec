"""Attributes: what they hold, who sets them, and what TorchScript has instead."""

from __future__ import annotations

import ast

from ts_shape_server.agent.script.problem import CompilerProblem, RefusalSearch
from ts_shape_server.agent.script.refusals.python_values import super_call
from ts_shape_server.agent.script.refusals.refusal import RefusalKind, Told, article, short
from ts_shape_server.agent.script.sources import ParsedFunction
from ts_shape_server.agent.torch_says.rows import Complaint


def failed_attribute(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    attribute, kind = complaint.name("attribute"), complaint.name("type")
    cause = ("attribute", complaint.name("owner"), attribute)
    hints = {
        "list": "make it an `nn.ModuleList` if it holds modules, else annotate the attribute in the class",
        "dict": "make it an `nn.ModuleDict` if it holds modules, else annotate the attribute in the class",
        "numpy.ndarray": "register it as a buffer, as a Tensor",
        "numpy.float64": "make it a `float`",
        "numpy.int64": "make it an `int`",
        "NoneType": "annotate the attribute in the class",
        "method": "call it by the name of its class, or move its use to a `@torch.jit.ignore` method",
    }
    hint = hints.get(kind, "keep a value that TorchScript has, or move its use to a `@torch.jit.ignore` method")
    empty = " (empty, so the type of its items is unknown)" if complaint.facts.get("empty") else ""
    words = f"`self.{attribute}` is a Python `{kind}`{empty}, which TorchScript cannot hold: {hint}"
    return Told(words, cause, facts={"empty": int(bool(empty))})


def function_attribute(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    attribute = complaint.name("attribute")
    cause = ("attribute", complaint.name("owner"), attribute)
    if complaint.facts.get("is_lambda"):
        return Told(
            f"`self.{attribute}` is a lambda, which cannot be compiled: make it a named function or an `nn.Module`",
            cause,
            kind="attribute-lambda",
        )
    return Told(f"`self.{attribute}` is a function that cannot be compiled: {complaint.name('inner')}", cause)


def no_attribute(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    kind, attribute = complaint.name("type"), complaint.name("attribute")
    if "super(" in problem.code:
        return super_call(problem)
    hint = _WITHOUT.get(attribute, "")
    seen = None
    called = problem.whole.func if isinstance(problem.whole, ast.Call) else None
    owner = called.value if isinstance(called, ast.Attribute) else None
    if problem.function is not None and owner is not None:
        seen = search.type_of(problem.function, owner)
    if owner is not None and seen is not None and seen.representable and str(seen) != kind and kind == "Tensor":
        code = short(ast.unparse(owner))
        return Told(
            f"the compiler takes `{code}` for a Tensor; it is {article(seen)} here: annotate it",
            kind="value-taken-for-tensor",
            facts={"code": code, "seen": str(seen)},
        )
    if kind == "None":
        hint = "it is None when the class is compiled, check that it `is not None` before"
    elif kind.startswith("Optional["):
        hint = "check that it `is not None` before, on a local name"
    return Told(f"{article(kind)} has no `{attribute}` in TorchScript" + (f": {hint}" if hint else ""))


_WITHOUT = {
    "numpy": "it leaves the graph; use the torch equivalent or a `@torch.jit.ignore` method",
    "new": "use `new_zeros`, `new_empty` or `torch.tensor`",
    "new_tensor": "use `torch.tensor(…, device=…)`",
    "data": "use `detach()`",
    "is_leaf": "move it to a `@torch.jit.ignore` method",
    "volatile": "it has been without effect since torch 0.4: take it out",
    "items": "annotate it as a Dict",
    "append": "annotate it as a List",
    "keys": "annotate it as a Dict",
    "register_hook": "move it to a `@torch.jit.ignore` method",
    "masked_scatter": "",
}


def missing_attribute(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    owner, attribute = complaint.name("owner"), complaint.name("attribute")
    module = problem.module
    if (
        module is not None
        and type(module).__name__ == owner
        and isinstance(getattr(type(module), attribute, None), _PLAIN)
    ):
        kind = type(getattr(type(module), attribute)).__name__
        return Told(
            f"`{attribute}` is an attribute of the class `{owner}`, and TorchScript sees only attributes of instances: "
            f"set it in `__init__`, or annotate it in the class as `{attribute}: Final[{kind}]`",
            ("attribute", owner, attribute),
            kind="class-attribute",
            facts={"type": kind},
        )
    if attribute in _OF_MODULES:
        return Told(
            f"TorchScript does not see `{attribute}`, which `nn.Module` keeps for itself: {_OF_MODULES[attribute]}",
            ("attribute", owner, attribute),
            kind="module-internals",
        )
    setters = [
        item for item in search.sources.functions.values() if _sets(item, attribute) and item.tree.name[:2] != "__"
    ]
    if setters:
        return _first_set(attribute, setters[0].tree.name)
    return Told(
        f"`{attribute}` does not exist on this `{owner}`: set it in `__init__` on every path, TorchScript compiles "
        "branches that never run",
        ("attribute", owner, attribute),
    )


_OF_MODULES = {
    "_modules": "keep what is looked up in an `nn.ModuleDict` or `nn.ModuleList`, or loop over `self.named_children()`",
    "_parameters": "name the parameters, or loop over `self.named_parameters()`",
    "_buffers": "name the buffers, or loop over `self.named_buffers()`",
}
"""What a module holds its parts in, and how TorchScript gets at them."""


_PLAIN = (bool, int, float, str)


def _sets(function: ParsedFunction, attribute: str) -> bool:
    """Whether a function assigns ``self.<attribute>``."""
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and node.attr == attribute
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
        for node in ast.walk(function.tree)
    )


def first_set(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    return _first_set(
        complaint.name("attribute"), problem.function.tree.name if problem.function is not None else "forward"
    )


def _first_set(attribute: str, function: str) -> Told:
    return Told(
        f"`self.{attribute}` is first set in `{function}`: TorchScript has only the attributes that `__init__` sets, "
        "so set it there too or use a local name",
        ("first set", attribute),
        kind="attribute-first-set",
        facts={"attribute": attribute, "function": function},
    )


def attribute_set(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    name, kind = complaint.name("attribute"), complaint.name("type")
    instead = {"requires_grad": "`requires_grad_()`", "data": "`copy_`"}.get(
        name, "an in-place operation such as `copy_`"
    )
    return Told(f"`{name}` of {article(kind)} cannot be set in TorchScript: use {instead}")


REFUSALS = (
    RefusalKind("attribute-unsupported", failed_attribute, independent=True),
    RefusalKind("attribute-function", function_attribute, independent=True),
    RefusalKind("attribute-missing", missing_attribute, independent=True),
    RefusalKind("attribute-first-set", first_set, independent=True),
    RefusalKind(
        "attribute-cast",
        "`self.{attribute}` is a Python `{type}`, which TorchScript cannot take over: keep values that it has, or name "
        "the attribute in `__jit_ignored_attributes__` where no method that is compiled reads it",
        independent=True,
    ),
    RefusalKind("attribute-assignment", attribute_set, independent=True),
    RefusalKind("attribute-unknown", "`{code}`: TorchScript knows no `{attribute}` there", independent=True),
    RefusalKind(
        "attribute-lookup",
        "`{code}`: TorchScript cannot look into a Python `{type}`: take what is needed in `__init__`",
        independent=True,
    ),
    RefusalKind("method-unknown", no_attribute),
    RefusalKind(
        "getattr-name",
        "`getattr` needs a literal name in TorchScript: loop over an `nn.ModuleList` instead",
        independent=True,
    ),
    RefusalKind(
        "hasattr-target",
        "`hasattr` works only on objects in TorchScript, and `{code}` is `{type}`: use `isinstance`",
        independent=True,
    ),
)
