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


    class Bounded(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x.abs() < 10000.0)
            return x * 1.0

        @staticmethod
        def backward(ctx, grad):
            (small,) = ctx.saved_tensors
            return grad * small


    class Kept(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            large = x.abs() > 10000.0
            ctx.kept = 1.0 - large.to(x.dtype)
            return x * 1.0

        @staticmethod
        def backward(ctx, grad):
            return grad * ctx.kept


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
            x = Clipped.apply(x)
            x = Bounded.apply(x)
            x = Kept.apply(x)
            return Root.apply(x)

Left alone:
    import torch
    from torch import nn

    SCALE = 1.0


    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, scale):
            ctx.scale = scale
            return x.view_as(x)

        @staticmethod
        def backward(ctx, grad):
            return grad * ctx.scale, None


    class Passed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, scale):
            return x * scale

        @staticmethod
        def backward(ctx, grad):
            return grad, None


    class Fixed(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.view_as(x)

        @staticmethod
        def backward(ctx, grad):
            return grad * SCALE


    class Net(nn.Module):
        def __init__(self, scale: float = 1.0):
            super().__init__()
            self.scale = scale

        def forward(self, x):
            x = Scaled.apply(x, self.scale)
            x = Passed.apply(x, self.scale)
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
            x = Add.apply(x, None)
            return Reversed.apply(x)
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.own_gradients import (
    AutogradFunction,
    applied_name,
    autograd_function,
    is_like_its_formula,
    reaches_backward,
)
from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation, holdable


def formula(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``Swish.apply(x)`` as the formula of its `forward`, or as a call of a function with it."""
    name = next((name for node in ast.walk(place.statement) if (name := applied_name(situation, node))), "")
    made = autograd_function(situation, name) if name else None
    if made is None or not is_like_its_formula(situation, made):
        return
    calls = [node for node in ast.walk(place.function) if applied_name(situation, node) == name]
    if not all(isinstance(call, ast.Call) and _is_sure(situation, made, call) for call in calls):
        return
    applied = [call for call in calls if isinstance(call, ast.Call)]
    inlined = _inlined(situation, made, applied[0]) if len(applied) == 1 else ""
    if inlined:
        yield Rewrite("autograd-formula", _title(made), (situation.replace(applied[0], inlined),))
    else:
        yield from _as_function(situation, place, made, applied)


def _title(made: AutogradFunction) -> str:
    return f"Write the formula of `{made.name}`, whose gradient torch derives; training may take more memory"


def _is_sure(situation: Situation, made: AutogradFunction, call: ast.Call) -> bool:
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
        if number and not isinstance(value, ast.Constant) and not reaches_backward(made, item.arg):
            return False
    return True


def _inlined(situation: Situation, made: AutogradFunction, call: ast.Call) -> str:
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
    situation: Situation, place: Place, made: AutogradFunction, calls: list[ast.Call]
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
    yield Rewrite("autograd-formula", _title(made), tuple(edits))


def _lines(situation: Situation, made: AutogradFunction) -> list[str] | None:
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
