"""The formula of a `torch.autograd.Function` in the place of its call.

Why: a call of such a function stays a call of Python's in a script, which no archive holds. Where its `forward` is a
formula that only keeps tensors for `backward`, torch can derive the same gradient; a trial compares the gradients too,
so a function whose gradient is another one (a straight-through estimator) keeps it. A trial sees the gradient of one
run: nothing is done where `backward` chooses by values or reads what the formula does not, nor for a call that did not
run. The class is left as it is: others may use it, since it takes less memory in training.

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

Before:
    import torch
    from torch import nn


    def swish_forward(x):
        return x * torch.sigmoid(x)


    def swish_backward(x, grad):
        s = torch.sigmoid(x)
        return grad * (s * (1 + x * (1 - s)))


    class Swish(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return swish_forward(x)

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return swish_backward(x, grad)


    class Net(nn.Module):
        def forward(self, x):
            y = Swish.apply(x)
            return Swish.apply(y + 1.0)

After:
    import torch
    from torch import nn


    def swish_forward(x):
        return x * torch.sigmoid(x)


    def swish_backward(x, grad):
        s = torch.sigmoid(x)
        return grad * (s * (1 + x * (1 - s)))


    class Swish(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return swish_forward(x)

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return swish_backward(x, grad)


    def swish(x):
        return swish_forward(x)


    class Net(nn.Module):
        def forward(self, x):
            y = swish(x)
            return swish(y + 1.0)

Left alone:
    import torch
    from torch import nn


    class Clipped(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1.0

        @staticmethod
        def backward(ctx, grad):
            return grad.clamp(-5.0, 5.0)


    class Net(nn.Module):
        def forward(self, x):
            return Clipped.apply(x)

Left alone:
    import torch
    from torch import nn


    class Bounded(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x.abs() < 10000.0)
            return x * 1.0

        @staticmethod
        def backward(ctx, grad):
            (small,) = ctx.saved_tensors
            return grad * small


    class Net(nn.Module):
        def forward(self, x):
            return Bounded.apply(x)

Left alone:
    import torch
    from torch import nn


    class Bounded(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            large = x.abs() > 10000.0
            ctx.kept = 1.0 - large.to(x.dtype)
            return x * 1.0

        @staticmethod
        def backward(ctx, grad):
            return grad * ctx.kept


    class Net(nn.Module):
        def forward(self, x):
            return Bounded.apply(x)

Left alone:
    import torch
    from torch import nn


    class Root(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            out = torch.sqrt(x)
            ctx.save_for_backward(out)
            return out

        @staticmethod
        def backward(ctx, grad):
            (out,) = ctx.saved_tensors
            finite = (out > 0).to(grad)
            return finite * grad / (2 * out)


    class Net(nn.Module):
        def forward(self, x):
            return Root.apply(x)

Left alone:
    import torch
    from torch import nn


    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, scale):
            ctx.scale = scale
            return x.view_as(x)

        @staticmethod
        def backward(ctx, grad):
            return grad * ctx.scale, None


    class Net(nn.Module):
        def __init__(self, scale: float = 1.0):
            super().__init__()
            self.scale = scale

        def forward(self, x):
            return Scaled.apply(x, self.scale)

Left alone:
    import torch
    from torch import nn


    class Passed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, scale):
            return x * scale

        @staticmethod
        def backward(ctx, grad):
            return grad, None


    class Net(nn.Module):
        def __init__(self, scale: float = 1.0):
            super().__init__()
            self.scale = scale

        def forward(self, x):
            return Passed.apply(x, self.scale)

Left alone:
    import torch
    from torch import nn

    SCALE = 1.0


    class Fixed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.view_as(x)

        @staticmethod
        def backward(ctx, grad):
            return grad * SCALE


    class Net(nn.Module):
        def forward(self, x):
            return Fixed.apply(x)

Left alone:
    import torch
    from torch import nn


    class Add(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, bias):
            out = x * 2.0
            if bias is not None:
                out = out + bias
            return out

        @staticmethod
        def backward(ctx, grad):
            return grad * 2.0, grad.sum(0)


    class Net(nn.Module):
        def forward(self, x):
            return Add.apply(x, None)

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
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation, holdable
from ts_shape_server.analysis.scopes import FUNCTIONS, bound_by

_KEEPING = ("save_for_backward", "mark_non_differentiable", "set_materialize_grads", "save_for_forward")
"""Methods of the context that only prepare `backward`."""


_SELECTIONS = re.compile(
    r"where|clamp(_min|_max)?_?|clip_?|masked_\w+|nan_to_num_?|max(imum)?|min(imum)?|fmax|fmin|relu6?_?|threshold_?|hardtanh_?"
    r"|isnan|isfinite|isinf|gt_?|ge_?|lt_?|le_?|eq_?|ne_?|sign_?|nonzero|heaviside|index_\w+|scatter\w*"
)
"""Functions and methods that choose by values: one run shows the gradient of one choice."""


@dataclass(frozen=True)
class _AutogradFunction:
    """A function of autograd's own of this file: the statements of its `forward` that compute are the `body`."""

    name: str
    forward: ast.FunctionDef
    backward: ast.FunctionDef
    body: list[ast.stmt]

    @property
    def context(self) -> str:
        return self.forward.args.args[0].arg

    @property
    def parameters(self) -> list[ast.arg]:
        return self.forward.args.args[1:]

    @property
    def title(self) -> str:
        return f"Write the formula of `{self.name}`, whose gradient torch derives; training may take more memory"


def formula(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``Swish.apply(x)`` as the formula of its `forward`, or as a call of a function with it."""
    name = next((name for node in ast.walk(place.statement) if (name := _name_of(situation, node))), "")
    made = _function(situation, name) if name else None
    if made is None or not _is_like_its_formula(situation, made):
        return
    calls = [node for node in ast.walk(place.function) if _name_of(situation, node) == name]
    if not all(isinstance(call, ast.Call) and _is_sure(situation, made, call) for call in calls):
        return
    applied = [call for call in calls if isinstance(call, ast.Call)]
    inlined = _inlined(situation, made, applied[0]) if len(applied) == 1 else ""
    if inlined:
        yield Rewrite("autograd-formula", made.title, (situation.replace(applied[0], inlined),))
    else:
        yield from _as_function(situation, place, made, applied)


def _name_of(situation: Situation, node: ast.AST) -> str:
    """The name of the class whose `apply` a call calls; empty for anything else."""
    applied = _alias(situation, node.func) if isinstance(node, ast.Call) else None
    if not isinstance(applied, ast.Attribute) or applied.attr != "apply" or not isinstance(applied.value, ast.Name):
        return ""
    return applied.value.id


def _function(situation: Situation, name: str) -> _AutogradFunction | None:
    """The function of autograd's own of that name in this file, if it has a plain `forward` that is a formula."""
    found = [item for item in situation.tree.body if isinstance(item, ast.ClassDef) and item.name == name]
    if len(found) != 1 or not any(
        situation.means(base, "torch.autograd.Function", "torch.autograd.function.Function") for base in found[0].bases
    ):
        return None
    forward, backward = situation.method(found[0], "forward"), situation.method(found[0], "backward")
    if not isinstance(forward, ast.FunctionDef) or not isinstance(backward, ast.FunctionDef):
        return None
    arguments = forward.args
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.posonlyargs or arguments.defaults:
        return None
    if [ast.unparse(item) for item in forward.decorator_list] != ["staticmethod"] or not arguments.args:
        return None
    body = _without_context(forward)
    return _AutogradFunction(name, forward, backward, body) if body else None


def _is_like_its_formula(situation: Situation, made: _AutogradFunction) -> bool:
    """Whether `backward` reads nothing that the formula does not read, and nothing in it, or kept for it, is chosen by
    values: then one run shows whether both have the same gradient.
    """
    read = {node.id for statement in made.body for node in ast.walk(statement) if isinstance(node, ast.Name)}
    if any(item.arg not in read for item in made.parameters):
        return False
    if any(map(_chooses, _kept_only(made))):
        return False
    return _chooses_nothing(situation, made.backward, read, set())


def _kept_only(made: _AutogradFunction) -> Iterator[ast.stmt]:
    """The statements of `forward` on which its result does not depend."""
    needed: set[str] = set()
    for statement in reversed(made.forward.body):
        made_here = bound_by(statement)
        if _only_keeps(statement, made.context) or (made_here and made_here.isdisjoint(needed)):
            yield statement
        else:
            needed |= {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def _chooses(statement: ast.stmt) -> bool:
    """``ctx.save_for_backward(x > 0)``."""
    return any(
        isinstance(node, ast.Compare)
        or (isinstance(node, ast.Attribute) and _SELECTIONS.fullmatch(node.attr) is not None)
        for node in ast.walk(statement)
    )


def _chooses_nothing(situation: Situation, function: ast.FunctionDef, read: set[str], seen: set[str]) -> bool:
    """Whether a function, with the functions of this file that it calls, is the same formula for all values."""
    given = {item.name: item for item in situation.tree.body if isinstance(item, ast.FunctionDef)}
    local = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
    local |= {name for statement in function.body for name in bound_by(statement)}
    for node in (inner for statement in function.body for inner in ast.walk(statement)):
        if isinstance(node, (ast.Compare, ast.IfExp, ast.If, ast.While, ast.BoolOp, ast.Try)):
            if not _asks_for_need(node):
                return False
        elif isinstance(node, ast.Attribute) and _SELECTIONS.fullmatch(node.attr):
            return False
        elif isinstance(node, ast.Name) and node.id in given and node.id not in local:
            inner = given[node.id]
            if node.id not in seen and not _chooses_nothing(situation, inner, read, seen | {node.id}):
                return False
        elif isinstance(node, ast.Name) and node.id not in local | read:
            path = situation.path_of(node)
            if not hasattr(builtins, node.id) and path.split(".")[0] not in ("torch", "math"):
                return False
    return True


def _asks_for_need(node: ast.AST) -> bool:
    """``if ctx.needs_input_grad[0]:``, which saves work and decides no value."""
    return isinstance(node, (ast.If, ast.IfExp)) and ".needs_input_grad[" in ast.unparse(node.test)


def _is_sure(situation: Situation, made: _AutogradFunction, call: ast.Call) -> bool:
    """Whether a call ran, with arguments that the formula takes as they are. A number that may be another one in
    another instance has to reach `backward`.
    """
    if call.keywords or len(made.parameters) != len(call.args) or not situation.reached(call):
        return False
    for item, value in zip(made.parameters, call.args, strict=True):
        kind = situation.type_of(value)
        if isinstance(value, ast.Starred) or kind == "None":
            return False
        number = isinstance(value, ast.Attribute) if kind is None else kind != "Tensor"
        if number and not isinstance(value, ast.Constant) and not _reaches_backward(made, item.arg):
            return False
    return True


def _reaches_backward(made: _AutogradFunction, parameter: str) -> bool:
    """Whether what is kept for `backward` is a parameter, or computed with it."""
    known = {parameter}
    for statement in made.forward.body:
        read = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
        if read.isdisjoint(known):
            continue
        if _only_keeps(statement, made.context):
            return True
        known |= bound_by(statement)
    return False


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


def _inlined(situation: Situation, made: _AutogradFunction, call: ast.Call) -> str:
    """A formula of one expression with what is passed in the place of its parameters; empty where that would evaluate
    something twice or read a name of the method's.
    """
    value = made.body[0].value if len(made.body) == 1 and isinstance(made.body[0], ast.Return) else None
    if value is None or value.lineno != value.end_lineno:
        return ""
    if not all(isinstance(item, (ast.Name, ast.Constant)) for item in call.args):
        return ""
    passed = {item.arg: situation.text(given) for item, given in zip(made.parameters, call.args, strict=True)}
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
    situation: Situation, place: Place, made: _AutogradFunction, calls: list[ast.Call]
) -> Iterator[Rewrite]:
    """The formula as a function of the file, above the class that calls it, or the function that has it already."""
    speller = situation.spelling()
    parameters = []
    for number, item in enumerate(made.parameters):
        kinds = {situation.type_of(call.args[number]) or "Tensor" for call in calls}
        kind = kinds.pop()
        if kinds or not holdable(kind):
            return
        written = f": {situation.text(item.annotation)}" if item.annotation is not None else ""
        parameters.append(item.arg + (written or ("" if kind == "Tensor" else f": {speller.of(kind)}")))
    wanted = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", made.name).lower()
    lines = _lines(situation, made)
    if lines is None:
        return
    # The function is known by all that is in it.
    name = _defined(situation, wanted, parameters, lines)
    new = not name
    name = name or situation.free_name(wanted)
    edits = [situation.replace(call.func, name) for call in calls]
    if new:
        top: ast.AST | None = place.owner if place.owner is not None else place.function
        if top not in situation.tree.body or not isinstance(top, (ast.ClassDef, ast.FunctionDef)):
            return
        definition = [f"def {name}({', '.join(parameters)}):", *lines]
        edits = [situation.above(top, definition), *edits, *speller.imports()]
    yield Rewrite("autograd-formula", made.title, tuple(edits))


def _lines(situation: Situation, made: _AutogradFunction) -> list[str] | None:
    """The lines of a formula as the body of a function at the top of a file."""
    outer, inner = situation.indent(made.forward), situation.indent(made.forward.body[0])
    step = inner[len(outer) :]
    lines = []
    for statement in made.body:
        if not situation.alone(statement):
            return None
        span = situation.range_of(statement)
        for number in range(span.line, span.end_line + 1):
            line = situation.source.line(number)
            lines.append(step + line[len(inner) :] if line.strip() else "")
    return lines


def _defined(situation: Situation, wanted: str, parameters: list[str], lines: list[str]) -> str:
    """The name of the function of the file that is this formula; empty if there is none."""
    for item in situation.tree.body:
        if isinstance(item, ast.FunctionDef) and not item.decorator_list and item.name.startswith(wanted):
            text = "\n".join([f"def {item.name}({', '.join(parameters)}):", *lines])
            if ast.dump(ast.parse(text).body[0]) == ast.dump(item):
                return item.name
    return ""
