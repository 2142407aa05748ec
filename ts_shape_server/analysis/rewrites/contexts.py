"""Decorators that TorchScript leaves out and that stand for a context: the body of the function enters it itself.

Refused: no-grad-left-out
Input: x=[2, 3]

Before:
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        @torch.no_grad()
        def forward(self, x):
            return self.layer(x)

After:
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x):
            with torch.no_grad():
                return self.layer(x)

Left alone:
    import torch
    from torch import nn


    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x):
            with torch.no_grad():
                return self.layer(x)
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.extraction import has_long_strings
from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation
from ts_shape_server.contract.places import Range, TextEdit

_CONTEXTS = ("torch.no_grad", "torch.inference_mode")


def entered(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """``@torch.no_grad()`` over a function as ``with torch.no_grad():`` in it."""
    function = place.function
    for decorator in function.decorator_list:
        if not isinstance(decorator, ast.Call) or not situation.means(decorator.func, *_CONTEXTS):
            continue
        body = list(function.body)
        if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and len(body) > 1:
            body = body[1:]
        first, last = situation.range_of(body[0]), situation.range_of(body[-1])
        if any(map(has_long_strings, body)) or not situation.alone(body[0]) or first.line <= function.lineno:
            continue
        indent = situation.indent(body[0])
        step = indent[len(situation.indent(function)) :] or "    "
        span = situation.range_of(decorator)
        edits = [TextEdit(Range(span.line, 0, span.end_line + 1, 0), "")]
        start = first.line
        while situation.source.line(start - 1).lstrip().startswith("#") and start - 1 > function.lineno:
            start -= 1
        for number in range(start, last.end_line + 1):
            head = f"{indent}with {situation.text(decorator)}:{situation.source.newline}" if number == start else ""
            if situation.source.line(number).strip():
                edits.append(TextEdit(Range(number, 0, number, 0), head + step))
        yield Rewrite(
            "entered-context", f"Enter `{situation.text(decorator)}` in `{function.name}` itself", tuple(edits)
        )
