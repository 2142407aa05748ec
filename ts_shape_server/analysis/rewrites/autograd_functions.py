"""The formula of a `torch.autograd.Function` in the place of its call.

Why: a call of such a function stays a call of Python's in a script, which no archive holds. Where its `forward` is a
formula that only keeps tensors for `backward`, torch can derive the same gradient; a trial compares the gradients too,
so a function whose gradient is another one (a straight-through estimator) keeps it. The class is left as it is: others
may use it, since it takes less memory in training.

Refused: cannot-be-saved function=Swish
Input: x=[2, 3]

Before:
    import torch
    from torch import nn


    class Swish(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * torch.sigmoid(x)

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            s = torch.sigmoid(x)
            return grad * (s * (1 + x * (1 - s)))


    class Net(nn.Module):
        def forward(self, x):
            return Swish.apply(x)

After:
    import torch
    from torch import nn


    class Swish(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * torch.sigmoid(x)

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            s = torch.sigmoid(x)
            return grad * (s * (1 + x * (1 - s)))


    class Net(nn.Module):
        def forward(self, x):
            return x * torch.sigmoid(x)

Refused: cannot-be-saved function=SoftSign
Input: x=[2, 3]

Before:
    import torch
    from torch import nn


    class SoftSign(torch.autograd.Function):
        @staticmethod
        def forward(ctx, given, scale):
            size = given.abs() + scale
            ctx.save_for_backward(size)
            ctx.scale = scale
            out = given / size
            return out

        @staticmethod
        def backward(ctx, grad):
            (size,) = ctx.saved_tensors
            return grad * ctx.scale / size**2, None


    class Net(nn.Module):
        def forward(self, x):
            return SoftSign.apply(x + 1.0, 2.0)

After:
    import torch
    from torch import nn


    class SoftSign(torch.autograd.Function):
        @staticmethod
        def forward(ctx, given, scale):
            size = given.abs() + scale
            ctx.save_for_backward(size)
            ctx.scale = scale
            out = given / size
            return out

        @staticmethod
        def backward(ctx, grad):
            (size,) = ctx.saved_tensors
            return grad * ctx.scale / size**2, None


    def soft_sign(given, scale: float):
        size = given.abs() + scale
        out = given / size
        return out


    class Net(nn.Module):
        def forward(self, x):
            return soft_sign(x + 1.0, 2.0)

Before:
    import torch
    from torch import nn


    class Halved(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x / 2.0

        @staticmethod
        def backward(ctx, grad):
            return grad / 2.0


    halved = Halved.apply


    class Net(nn.Module):
        def forward(self, x):
            return halved(x).relu()

After:
    import torch
    from torch import nn


    class Halved(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x / 2.0

        @staticmethod
        def backward(ctx, grad):
            return grad / 2.0


    halved = Halved.apply


    class Net(nn.Module):
        def forward(self, x):
            return (x / 2.0).relu()

Left alone:
    import torch
    from torch import nn


    class Reversed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            if ctx.needs_input_grad[0]:
                return x * 2.0
            return x

        @staticmethod
        def backward(ctx, grad):
            return -grad


    class Net(nn.Module):
        def forward(self, x):
            return Reversed.apply(x)
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation, holdable
from ts_shape_server.analysis.scopes import FUNCTIONS

_KEEPING = ("save_for_backward", "mark_non_differentiable", "set_materialize_grads", "save_for_forward")
"""Methods of the context that only prepare `backward`."""


def formula(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``Swish.apply(x)`` as the formula of its `forward`, or as a call of a function with it."""
    call = next((node for node in ast.walk(place.statement) if _function_of(situation, node) is not None), None)
    made = _function_of(situation, call) if call is not None else None
    if not isinstance(call, ast.Call) or made is None or call.keywords:
        return
    name, function = made
    arguments = function.args
    plain = arguments.args[1:]
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.posonlyargs or arguments.defaults:
        return
    if len(plain) != len(call.args) or any(isinstance(item, ast.Starred) for item in call.args):
        return
    body = _without_context(function)
    if not body:
        return
    title = f"Write the formula of `{name}`, whose gradient torch derives"
    only = body[0]
    passed = {item.arg: situation.text(value) for item, value in zip(plain, call.args, strict=True)}
    if len(body) == 1 and isinstance(only, ast.Return) and only.value is not None:
        inlined = _inlined(situation, only.value, passed, call)
        if inlined:
            yield Rewrite("autograd-formula", title, (situation.replace(call, inlined),))
            return
    yield from _as_function(situation, place, call, name, function, body, title)


def _function_of(situation: Situation, node: ast.AST) -> tuple[str, ast.FunctionDef] | None:
    """The name and the `forward` of the function of autograd's own of this file that a call applies."""
    applied = _alias(situation, node.func) if isinstance(node, ast.Call) else None
    if not isinstance(applied, ast.Attribute) or applied.attr != "apply" or not isinstance(applied.value, ast.Name):
        return None
    name = applied.value.id
    found = [item for item in situation.tree.body if isinstance(item, ast.ClassDef) and item.name == name]
    if len(found) != 1 or not any(
        situation.means(base, "torch.autograd.Function", "torch.autograd.function.Function") for base in found[0].bases
    ):
        return None
    forward = situation.method(found[0], "forward")
    static = isinstance(forward, ast.FunctionDef) and [ast.unparse(item) for item in forward.decorator_list]
    if not isinstance(forward, ast.FunctionDef) or static != ["staticmethod"] or not forward.args.args:
        return None
    return name, forward


def _alias(situation: Situation, called: ast.expr) -> ast.expr:
    """What a name stands for that the file gives once (``swish = Swish.apply``); else the expression itself."""
    if not isinstance(called, ast.Name):
        return called
    given = [
        item.value
        for item in situation.tree.body
        if isinstance(item, ast.Assign) and called.id in [ast.unparse(target) for target in item.targets]
    ]
    return given[0] if len(given) == 1 else called


def _without_context(function: ast.FunctionDef) -> list[ast.stmt] | None:
    """The statements that compute; None where one that reads the context does more than keep values for `backward`."""
    context = function.args.args[0].arg
    kept: list[ast.stmt] = []
    for number, statement in enumerate(function.body):
        documented = number == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if documented or _only_keeps(statement, context):
            continue
        if any(isinstance(node, ast.Name) and node.id == context for node in ast.walk(statement)):
            return None
        if any(isinstance(node, (*FUNCTIONS, ast.Lambda)) for node in ast.walk(statement)):
            return None
        kept.append(statement)
    return kept


def _only_keeps(statement: ast.stmt, context: str) -> bool:
    """``ctx.save_for_backward(x)``, ``ctx.scale = scale``."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        called = statement.value.func
        return (
            isinstance(called, ast.Attribute)
            and isinstance(called.value, ast.Name)
            and called.value.id == context
            and called.attr in _KEEPING
        )
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return bool(targets) and all(
        isinstance(item, ast.Attribute) and isinstance(item.value, ast.Name) and item.value.id == context
        for item in targets
    )


def _inlined(situation: Situation, value: ast.expr, passed: dict[str, str], call: ast.Call) -> str:
    """A formula with what is passed in the place of its parameters; empty where that would evaluate something twice or
    read a name of the method's.
    """
    if value.lineno != value.end_lineno or not all(isinstance(item, (ast.Name, ast.Constant)) for item in call.args):
        return ""
    function = situation.function_of(call)
    own = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)} if function is not None else set()
    read = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)} - set(passed)
    if read & own:
        return ""
    text = situation.text_with(value, passed)
    above = situation.parents.get(call)
    alone = isinstance(above, (ast.Return, ast.Assign)) or (isinstance(above, ast.Call) and call in above.args)
    simple = isinstance(value, (ast.Call, ast.Name, ast.Attribute, ast.Subscript, ast.Constant))
    return text if alone or simple else f"({text})"


def _as_function(
    situation: Situation,
    place: Place,
    call: ast.Call,
    name: str,
    function: ast.FunctionDef,
    body: list[ast.stmt],
    title: str,
) -> Iterator[Rewrite]:
    """The formula as a function of the file, above the class that calls it."""
    owner = place.owner
    above = owner if owner is not None else place.function
    if above not in situation.tree.body or not isinstance(above, (ast.ClassDef, ast.FunctionDef)):
        return
    made = situation.free_name(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())
    speller = situation.spelling()
    parameters = []
    for item, value in zip(function.args.args[1:], call.args, strict=True):
        kind = situation.type_of(value) or "Tensor"
        if not holdable(kind):
            return
        written = f": {situation.text(item.annotation)}" if item.annotation is not None else ""
        parameters.append(item.arg + (written or ("" if kind == "Tensor" else f": {speller.of(kind)}")))
    outer, inner = situation.indent(function), situation.indent(function.body[0])
    step = inner[len(outer) :]
    lines = [f"def {made}({', '.join(parameters)}):"]
    for statement in body:
        if not situation.alone(statement):
            return
        span = situation.range_of(statement)
        for number in range(span.line, span.end_line + 1):
            line = situation.source.line(number)
            lines.append(step + line[len(inner) :] if line.strip() else "")
    edits = (
        situation.above(above, lines),
        situation.replace(call, f"{made}({', '.join(situation.text(item) for item in call.args)})"),
        *speller.imports(),
    )
    yield Rewrite("autograd-formula", title, edits)
