"""Python objects that are no values in TorchScript: classes, functions, types, and instances of other classes."""

from __future__ import annotations

import ast

from ts_shape_server.agent.script import edits
from ts_shape_server.agent.script.problem import CompilerProblem, RefusalSearch
from ts_shape_server.agent.script.refusals.refusal import RefusalKind, Told, code_of
from ts_shape_server.agent.torch_says.rows import Complaint


def super_call(problem: CompilerProblem) -> Told:
    """A call of a method of the parent class."""
    where = getattr(problem.function.function, "__qualname__", "forward") if problem.function is not None else "forward"
    return Told(
        f"TorchScript does not support `super()`, as in `{where}`: call what the parent's method calls, or give that "
        "method a second name",
        kind="super-call",
        facts={"function": where},
    )


def class_as_value(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    call = edits.parents(problem.function.tree).get(problem.node) if problem.function and problem.node else None
    if isinstance(call, ast.Call) and edits.called_name(call) == "super":
        return super_call(problem)
    code = code_of(problem)
    words = f"`{code}` is a Python class, which cannot be a value in TorchScript: test for it with `isinstance`"
    return Told(words, facts={"code": code})


def no_value(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    kind, code = complaint.name("type"), code_of(problem)
    if complaint.name("sort") == "class":
        words = f"a type such as `{code}` cannot be a value in TorchScript: test for it with `isinstance`"
        return Told(words, kind="class-as-value", facts={"code": code})
    if complaint.name("sort") == "legacy-constructor":
        words = (
            f"`{code}` does not exist in TorchScript: use `torch.tensor`, `torch.zeros` or `torch.empty` with a dtype"
        )
        return Told(words, kind="legacy-constructor", facts={"code": code})
    if kind in _DTYPES:
        words = f"`{code}` is a Python type, which TorchScript can only call: name a dtype, as in `{_DTYPES[kind]}`"
        return Told(words, kind="type-as-value", facts={"code": code, "dtype": _DTYPES[kind]})
    if kind in ("function", "builtin", "method"):
        words = f"`{code}` is a function, which TorchScript can only call: take it out of the condition or value"
        return Told(words, kind="function-as-value", facts={"code": code})
    return Told(
        f"`{code}` is a Python {kind}, which cannot be a value in TorchScript: keep what is needed of it in an "
        "attribute",
        facts={"code": code},
    )


_DTYPES = {"__float__": "torch.float64", "__int__": "torch.int64", "__bool__": "torch.bool"}
"""The dtype that torch takes a Python type for, by the method that the compiler has in the place of the type."""


def no_type(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    name = complaint.name("name") or code_of(problem)
    return Told(f"TorchScript does not know the type `{name}`: use plain types such as `Tensor`", facts={"name": name})


REFUSALS = (
    RefusalKind(
        "python-value",
        "`{code}` is a Python `{type}`, which cannot be a value in TorchScript: make it an attribute, a `Final` "
        "constant or a parameter",
        independent=True,
    ),
    RefusalKind(
        "python-iterable",
        "TorchScript cannot loop over a Python `{type}` from outside the function: make it an attribute",
        independent=True,
    ),
    RefusalKind("value-unsupported", no_value, independent=True),
    RefusalKind("class-as-value", class_as_value, independent=True),
    RefusalKind(
        "class-opaque",
        "`{name}` is a class that TorchScript cannot look into: move its use to a `@torch.jit.ignore` method",
    ),
    RefusalKind(
        "constructor-source-missing",
        "`{name}` has a constructor that Python writes itself, as a dataclass has, and TorchScript needs its source: "
        "return a `NamedTuple`, a tuple or a dict instead, or write `__init__` out",
    ),
    RefusalKind(
        "legacy-variable",
        "`Variable` has been a Tensor since torch 0.4, and TorchScript does not know it: take it out",
        independent=True,
    ),
    RefusalKind("type-unknown", no_type, independent=True),
)
