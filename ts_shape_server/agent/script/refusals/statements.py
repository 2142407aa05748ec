"""Statements and expressions that the language does not have."""

from __future__ import annotations

from ts_shape_server.agent.script.refusals.refusal import Refusal

REFUSALS = (
    Refusal("nested-function", "a function cannot be defined inside `{function}`: move it out", independent=True),
    Refusal("try-block", "TorchScript has no `try`: move it to a `@torch.jit.ignore` method", independent=True),
    Refusal("local-import", "an import cannot stand in `{function}`: move it to the top of the file", independent=True),
    Refusal("lambda", "TorchScript has no lambda: write the expression out or name a function", independent=True),
    Refusal("global-statement", "TorchScript has no `global`: keep the value in an attribute", independent=True),
    Refusal("generator", "TorchScript has no generators: collect a list and return it", independent=True),
    Refusal("assert-message", "this `assert` cannot be compiled: simplify its message", independent=True),
    Refusal(
        "loop-else",
        "TorchScript has no `else` of a loop: set a flag in the loop and test it afterwards",
        independent=True,
    ),
    Refusal(
        "raise-value",
        "only an exception can be raised, and `NotImplemented` is not one: raise `NotImplementedError`",
        independent=True,
    ),
    Refusal(
        "with-after-return",
        "torch's compiler fails on a `with` that comes after a `return`: let `{function}` return once, at its end",
        independent=True,
    ),
    Refusal("statement-unsupported", "TorchScript has no {what}", independent=True),
    Refusal(
        "compiler-crash",
        "torch's compiler fails in itself on `{function}`: write it in simpler statements, or move a part of it to a "
        "`@torch.jit.ignore` method",
        independent=True,
    ),
    Refusal(
        "f-string",
        "in an f-string TorchScript takes only plain `{{name}}` fields: format with `.format` or leave it out",
        independent=True,
    ),
)
