"""A `try` around what never fails for a Tensor.

Why: TorchScript has no `try`. What asks a Tensor for its device, its dtype or its shape cannot raise: the statement
alone means the same. Something is a Tensor where its annotation says so, or where the constructor always makes it and
nothing in the file sets it to anything else; what one run saw does not say what other calls pass.

Refused: try-block
Input: x=[2, 3]

Before:
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, x):
            try:
                # where the module is
                device = self.fc.weight.device
            except AttributeError:
                device = torch.device("cpu")
            return self.fc(x) + torch.arange(3, device=device)

After:
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, x):
            # where the module is
            device = self.fc.weight.device
            return self.fc(x) + torch.arange(3, device=device)

Before:
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def place(self):
            try:
                return self.fc.weight.device
            except StopIteration:
                return torch.device("cpu")

        def forward(self, x):
            return self.fc(x) + torch.arange(3, device=self.place())

After:
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def place(self):
            return self.fc.weight.device

        def forward(self, x):
            return self.fc(x) + torch.arange(3, device=self.place())

Left alone:
    import torch
    from torch import nn


    def device_of(x: torch.Tensor = None):
        try:
            return x.device
        except AttributeError:
            return torch.device("cpu")


    def dtype_of(x):
        try:
            return x.dtype
        except AttributeError:
            return torch.float32


    class Net(nn.Module):
        def __init__(self, plain=False):
            super().__init__()
            self.fc = nn.Linear(3, 3)
            self.norm = nn.LayerNorm(3, elementwise_affine=not plain)

        def fuse(self):
            self.fc = nn.Identity()

        def forward(self, x):
            try:
                device = self.fc.weight.device
            except AttributeError:
                device = torch.device("cpu")
            try:
                dtype = self.norm.weight.dtype
            except AttributeError:
                dtype = torch.float32
            return self.norm(self.fc(x)).to(device, dtype)

Left alone:
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def place(self):
            try:
                return self.fc.weight.device
            except AttributeError:
                # once quantized it has none
                return torch.device("cpu")

        def forward(self, x: torch.Tensor):
            try:
                y = x.view(-1, 2)
            except RuntimeError:
                y = x
            try:
                device = x.device
            except AttributeError:
                device = self.place()
            finally:
                print("asked")
            return y.to(device)
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.building import first_parameter_of, is_parameter
from ts_shape_server.analysis.rewrites.extraction import has_long_strings
from ts_shape_server.analysis.rewrites.situation import Definition, Place, Rewrite, Situation
from ts_shape_server.analysis.scopes import bound_by
from ts_shape_server.contract.places import Range, TextEdit

_EVERY_TENSOR_HAS = ("device", "dtype", "shape", "ndim", "is_cuda", "requires_grad", "layout")


def needless(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``try: device = x.device`` without the `try`, where `x` is a Tensor."""
    statement = place.statement
    if not isinstance(statement, ast.Try) or statement.orelse or statement.finalbody or len(statement.body) != 1:
        return
    (inner,) = statement.body
    named = isinstance(inner, ast.Assign) and len(inner.targets) == 1 and isinstance(inner.targets[0], ast.Name)
    if not isinstance(inner, (ast.Assign, ast.Return)) or not (named or isinstance(inner, ast.Return)):
        return
    value = inner.value
    if not isinstance(value, ast.Attribute) or value.attr not in _EVERY_TENSOR_HAS:
        return
    if not _is_tensor(situation, place, value.value) or _says_why(situation, statement):
        return
    edits = _without_try(situation, statement, inner)
    if edits is not None:
        title = f"Take away the `try` around `{situation.text(inner)}`, which cannot fail"
        yield Rewrite("needless-try", title, edits)


def _is_tensor(situation: Situation, place: Place, node: ast.expr) -> bool:
    """Whether an expression is always a Tensor: by its annotation, or as the constructor shows."""
    if isinstance(node, ast.Call):
        return first_parameter_of(situation, place.owner, node) is not None
    if isinstance(node, ast.Name):
        return _is_annotated(situation, place.function, node.id)
    return is_parameter(situation, place.owner, node)


def _says_why(situation: Situation, statement: ast.Try) -> bool:
    """Whether a comment stands in the handlers: somebody met what they are for."""
    first, last = statement.handlers[0].lineno, statement.end_lineno or statement.lineno
    return any("#" in situation.source.line(number) for number in range(first, last + 1))


def _is_annotated(situation: Situation, function: Definition, name: str) -> bool:
    """Whether a name is a parameter that is annotated as a Tensor, and nothing else in the function: not its default
    either, such as None.
    """
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    optional = {item.arg for item in plain[len(plain) - len(arguments.defaults) :]}
    optional |= {item.arg for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default}
    given = [item for item in (*plain, *arguments.kwonlyargs) if item.arg == name]
    annotation = given[0].annotation if given else None
    if annotation is None or name in optional or not situation.means(annotation, "torch.Tensor"):
        return False
    return all(name not in bound_by(statement) for statement in function.body)


def _without_try(situation: Situation, statement: ast.Try, inner: ast.stmt) -> tuple[TextEdit, ...] | None:
    """The lines of the body one step to the left, with the comments above it."""
    if not situation.alone(inner) or not situation.alone(statement) or inner.lineno == statement.lineno:
        return None
    if has_long_strings(inner):
        return None
    source, whole = situation.source, situation.range_of(statement)
    outer, deeper = situation.indent(statement), situation.indent(inner)
    lines = [source.line(number) for number in range(whole.line + 1, situation.range_of(inner).end_line + 1)]
    moved = [outer + line[len(deeper) :] if line.startswith(deeper) else line for line in lines]
    span = Range(whole.line, 0, whole.end_line, len(source.line(whole.end_line)))
    return (TextEdit(span, source.newline.join(moved)),)
