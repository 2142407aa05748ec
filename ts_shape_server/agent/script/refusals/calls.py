"""What is called: functions, classes and modules that the compiler cannot call."""

from __future__ import annotations

import ast

from ts_shape_server.agent.script.problem import CompilerProblem, RefusalSearch
from ts_shape_server.agent.script.refusals.refusal import RefusalKind, Told, article, code_of, short
from ts_shape_server.agent.torch_says.rows import Complaint


def not_callable(complaint: Complaint, problem: CompilerProblem, search: RefusalSearch) -> Told:
    code = code_of(problem)
    called = ast.unparse(problem.whole.func) if isinstance(problem.whole, ast.Call) else code
    arguments = problem.function.tree.args.args if problem.function is not None else []
    if called in {item.arg for item in arguments}:
        return Told(
            f"`{called}` is a parameter that gets a function or module, for which TorchScript has no type: make it an "
            "attribute",
            kind="callable-parameter",
            facts={"parameter": called},
        )
    words = f"`{short(called)}` is {article(complaint.name('type'))} to TorchScript, which it cannot call"
    return Told(words, facts={"callee": short(called)})


REFUSALS = (
    RefusalKind("not-callable", not_callable),
    RefusalKind(
        "callable-unsupported",
        "`{code}` calls a `{type}`, which TorchScript lacks: use the torch equivalent or a `@torch.jit.ignore` method",
        independent=True,
    ),
    RefusalKind(
        "callable-argument",
        "`{code}` gets a function or module as an argument, for which TorchScript has no type: make it an attribute",
    ),
    RefusalKind(
        "builtin-unsupported",
        "`{code}` calls a Python builtin that TorchScript lacks: use the torch equivalent or a "
        "`@torch.jit.ignore` method",
        independent=True,
    ),
    RefusalKind(
        "source-missing",
        "`{code}` has no source that TorchScript could read: move it to a `@torch.jit.ignore` method",
        independent=True,
    ),
    RefusalKind(
        "class-instantiated",
        "`{name}` is built in `{function}`, which TorchScript cannot do: build it in `__init__`",
        independent=True,
    ),
)
