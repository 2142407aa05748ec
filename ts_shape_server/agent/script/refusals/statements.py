"""Statements and expressions that the language does not have."""

from __future__ import annotations

from ts_shape_server.agent.script.refusals.refusal import RefusalKind

REFUSALS = (
    RefusalKind("nested-function", "a function cannot be defined inside `{function}`: move it out", independent=True),
    RefusalKind("try-block", "TorchScript has no `try`: move it to a `@torch.jit.ignore` method", independent=True),
    RefusalKind(
        "local-import", "an import cannot stand in `{function}`: move it to the top of the file", independent=True
    ),
    RefusalKind("lambda", "TorchScript has no lambda: write the expression out or name a function", independent=True),
    RefusalKind("global-statement", "TorchScript has no `global`: keep the value in an attribute", independent=True),
    RefusalKind("generator", "TorchScript has no generators: collect a list and return it", independent=True),
    RefusalKind("assert-message", "this `assert` cannot be compiled: simplify its message", independent=True),
    RefusalKind(
        "loop-else",
        "TorchScript has no `else` of a loop: set a flag in the loop and test it afterwards",
        independent=True,
    ),
    RefusalKind(
        "raise-value",
        "only an exception can be raised, and `NotImplemented` is not one: raise `NotImplementedError`",
        independent=True,
    ),
    RefusalKind(
        "with-after-return",
        "torch's compiler fails on a `with` that comes after a `return`: let `{function}` return once, at its end",
        independent=True,
    ),
    RefusalKind("statement-unsupported", "TorchScript has no {what}", independent=True),
    RefusalKind(
        "compiler-crash",
        "torch's compiler fails in itself on `{function}`: write it in simpler statements, or move a part of it to a "
        "`@torch.jit.ignore` method",
        independent=True,
    ),
    RefusalKind(
        "f-string",
        "in an f-string TorchScript takes only plain `{{name}}` fields: format with `.format` or leave it out",
        independent=True,
    ),
)
