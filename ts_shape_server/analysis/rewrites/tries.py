"""A `try` around what never fails for a Tensor.

Why: TorchScript has no `try`. What asks a Tensor for its device, its dtype or its shape, or a class for its first
parameter where the constructor shows that it has one, cannot raise: the statement alone means the same.

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
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            try:
                y = x.view(-1, 2)
            except RuntimeError:
                y = x
            return y

Left alone:
    from torch import nn


    class Net(nn.Module):
        def forward(self, x):
            try:
                device = x.device
            except AttributeError:
                device = None
            finally:
                print("asked")
            return x.to(device)
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.building import first_parameter_of, is_parameter
from ts_shape_server.analysis.rewrites.extraction import has_long_strings
from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation
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
    if not _is_tensor(situation, place, value.value):
        return
    edits = _without_try(situation, statement, inner)
    if edits is not None:
        title = f"Take away the `try` around `{situation.text(inner)}`, which cannot fail"
        yield Rewrite("needless-try", title, edits)


def _is_tensor(situation: Situation, place: Place, node: ast.expr) -> bool:
    """Whether an expression is a Tensor: in the run, or as the constructor shows."""
    if isinstance(node, ast.Call):
        return first_parameter_of(situation, place.owner, node) is not None
    if isinstance(node, ast.Name):
        return situation.type_of(node) == "Tensor"
    return is_parameter(situation, place.owner, node)


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
