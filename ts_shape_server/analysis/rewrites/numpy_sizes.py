"""Sizes that numpy computes as Python numbers.

Why: ``np.prod(shape)`` is a `numpy.int64`. Layers take it and keep it, and TorchScript refuses it as a constant of the
layer: ``int(…)`` around the call is the same number.

Refused: constant-unsupported type=numpy.int64
Input: x=[2, 3]

Before:
    import numpy as np
    from torch import nn


    class Net(nn.Module):
        def __init__(self, shape=(3, 1)):
            super().__init__()
            size = np.prod(shape)
            self.fc = nn.Linear(size, int(np.prod(shape)) + 1)
            self.last = nn.Linear(np.prod(shape) + 1, 2)

        def forward(self, x):
            return self.last(self.fc(x))

After:
    import numpy as np
    from torch import nn


    class Net(nn.Module):
        def __init__(self, shape=(3, 1)):
            super().__init__()
            size = int(np.prod(shape))
            self.fc = nn.Linear(size, int(np.prod(shape)) + 1)
            self.last = nn.Linear(int(np.prod(shape)) + 1, 2)

        def forward(self, x):
            return self.last(self.fc(x))

Left alone:
    import numpy as np
    from torch import nn


    class Net(nn.Module):
        def __init__(self, shape=(3, 1)):
            super().__init__()
            self.fc = nn.Linear(int(np.prod(shape)), 2)
            self.table = np.cumsum(shape)

        def forward(self, x):
            return self.fc(x)
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ts_shape_server.analysis.rewrites.situation import Place, Rewrite, Situation

_NUMBERS = ("prod", "product", "sum", "max", "min", "amax", "amin")
"""The functions of numpy that make one number of several."""


def as_numbers(situation: Situation, place: Place) -> Iterator[Rewrite]:
    """Every such call in a constructor of the file: the layer that keeps the number may be of another class."""
    said = place.says("constant-unsupported")
    kind = said.fact("type") if said is not None else ""
    word = "int" if kind.startswith("numpy.int") else "float" if kind.startswith("numpy.float") else ""
    constructors = [item for item in situation.functions if item.name == "__init__"]
    calls = [node for item in constructors for node in ast.walk(item) if _is_number(situation, node)]
    edits = [situation.replace(node, f"{word}({situation.text(node)})") for node in calls]
    if word and edits:
        yield Rewrite("numpy-number", f"Take what numpy computes in `__init__` as Python's `{word}`", tuple(edits))


def _is_number(situation: Situation, node: ast.AST) -> bool:
    """Whether a node is a call that makes a number of numpy's, of which no other function makes one of Python's."""
    if not isinstance(node, ast.Call) or any(item.arg in ("axis", "keepdims") for item in node.keywords):
        return False
    above = situation.parents.get(node)
    if isinstance(above, ast.Starred) or len(node.args) != 1:
        return False
    taken = isinstance(above, ast.Call) and not situation.path_of(above.func).startswith("torch.nn.")
    return not taken and situation.path_of(node.func) in {f"numpy.{name}" for name in _NUMBERS}
