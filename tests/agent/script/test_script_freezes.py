"""What tracing freezes is told where it is frozen: comments ``#  ^^^^ words`` in the sources say where."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from expectations import expected_of

from ts_shape_server.agent import devices, script
from ts_shape_server.contract import schema


def check(load: Any, source: str, **inputs: Any) -> None:
    """The warnings of tracing are exactly those that the comments mark."""
    sizes = {"second": {"x": {"tensor": [4, 5]}}, "sizes": ({"x": {"tensor": [1, 3]}},)}
    run, context = load(source, **{**sizes, **inputs})
    found = schema.write(script.examine(run, context))["trace"]
    actual = {}
    for failure in found["warnings"]:
        assert failure["code"] == "trace-warning"
        where = failure["location"]["range"]
        actual[(where["line"], where["column"], where["end_column"])] = failure["message"]
    wanted = {item[:3]: item[3] for item in expected_of(context.source)}
    assert set(actual) == set(wanted), found["warnings"]
    assert not [(words, actual[place]) for place, words in wanted.items() if words not in actual[place]], actual
    assert found["ok"] == (not wanted)


FREEZES = {
    "a loop over the parts of a split": """
class Net(nn.Module):
    def forward(self, x):
        parts = [part.relu() for part in (x * 2).split(1, dim=1)]
        #                                ^^^^^^^^^^^^^^^^^^^^^^^ 3 parts here, and a second size has 5
        return torch.cat(parts, 1)
""",
    "a loop over the rows": """
class Net(nn.Module):
    def forward(self, x):
        total = x[0]
        for row in x.unbind(0):
        #          ^^^^^^^^^^^ unrolls to the example's length
            total = total + row
        return total
""",
    "a size that becomes a number": """
class Net(nn.Module):
    def forward(self, x):
        n = int(x.shape[1])
        #   ^^^^^^^^^^^^^^^ freezes this number
        return x.reshape(-1, n)
        #      ^^^^^^^^^^^^^^^^ the example's: 3, and 5 in a second run; the traced module is not faithful
""",
    "a branch that depends on a size": """
class Net(nn.Module):
    def forward(self, x):
        return x * 2 if x.shape[0] > 1 else x
        #               ^^^^^^^^^^^^^^ this condition depends on a size
""",
    "a number that decides in Python": """
class Net(nn.Module):
    def forward(self, x):
        total = float(x.sum())
        #       ^^^^^^^^^^^^^^ freezes this number
        return x if total > 1000 else -x
""",
    "a loop over a size": """
class Net(nn.Module):
    def forward(self, x):
        rows = []
        for step in range(x.size(0)):
        #           ^^^^^^^^^^^^^^^^ unrolls this loop to the example's length
            rows.append(x[step] * 2)
        return torch.stack(rows)
""",
    "data of which a trace loses sight": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(x[:, :3]).data
        #      ^^^^^^^^^^^^^^^^^^^^^^^^^ does not follow `.data`
""",
    "data in a part of the result": """
class Net(nn.Module):
    def forward(self, x):
        scale = x.mean(0, keepdim=True).data
        #       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ does not follow `.data`
        return x[:1, :3] * scale[:, :3]
""",
    "a branch that depends on a number of a size": """
class Net(nn.Module):
    def forward(self, x):
        b, n = x.shape
        if b % 2 == 1:
        #  ^^^^^^^^^^ this condition depends on a size
            x = x + 1
        return x * 2
""",
    "a branch that only some sizes take": """
class Net(nn.Module):
    def forward(self, x):
        b, n = x.shape
        pad = 7 - b % 7
        if pad == 7:
        #  ^^^^^^^^ this condition depends on a size
            pad = 0
        x = F.pad(x, (0, 0, 0, pad))
        assert x.shape[0] % 7 == 0
        return x
""",
    "a branch that depends on values": """
class Net(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum() > 1e9 else x
        #               ^^^^^^^^^^^^^ this condition depends on a Tensor's values
""",
    "a size deep inside": """
def shuffled(x):
    b, n = x.data.size()
    #      ^^^^^^ does not follow `.data`
    return x.view(b, n, 1).transpose(1, 2).reshape(b, -1)

class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()

    def forward(self, x):
        return shuffled(self.act(x))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.Sequential(nn.Sequential(Part(), Part()), nn.ReLU())

    def forward(self, x):
        return self.parts(x)
""",
    "a number that Python draws": """
import random

class Net(nn.Module):
    def forward(self, x):
        return x * random.uniform(0.5, 1.5)
        #          ^^^^^^^^^^^^^^^^^^^^^^^^ freezes this random number
""",
    "a Tensor that is made of the input's values": """
class Net(nn.Module):
    def forward(self, x):
        return x + torch.tensor([x.argmax().item()]) + torch.tensor(-1.5, dtype=x.dtype)
        #          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ freezes this Tensor
        #                        ^^^^^^^^^^^^^^^^^ freezes this number
""",
    "a size that cannot be traced": """
class Net(nn.Module):
    def forward(self, x):
        return x * round(x.size(0) / 2)
        #          ^^^^^^^^^^^^^^^^^^^^ tracing fails
""",
    "a counter": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * self.calls
        #      ^^^^^^^^^^^^^^ a second call differs
""",
}
FAITHFUL = {
    "sizes that stay in the graph": """
class Net(nn.Module):
    def forward(self, x):
        b, n = x.shape
        return x.reshape(b * n).view(b, n) / n + torch.arange(n)
""",
    "a Tensor of the author's numbers": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = 2.0

    def forward(self, x):
        return (x - torch.tensor([0.5])) / torch.tensor(self.scale)
""",
    "an LSTM": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 3, batch_first=True)

    def forward(self, x):
        return self.lstm(x.unsqueeze(-1).expand(-1, -1, 3))[0]
""",
    "a layer of torch's that looks at its own sizes": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2)

    def forward(self, x):
        x = x.unsqueeze(-1).expand(-1, -1, 4)
        return self.attention(x, x, x)[0]
""",
    "the length of a parameter": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return x.sum() * self.weight / len(self.weight)
""",
    "a random number of torch's": """
class Net(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)
""",
    "a record of what went in": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.shapes = []
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        self.shapes.append(tuple(x.shape))
        return x * 2
""",
    "a check of the input": """
class Net(nn.Module):
    def forward(self, x):
        if x.shape[1] < 2:
            raise ValueError("too small")
        return x * 2
""",
    "three parts of a Tensor, unpacked": """
class Net(nn.Module):
    def forward(self, x):
        q, k, v = torch.stack((x, x * 2, x * 3))
        for part in torch.stack((x, x)):
            q = q + part
        return q * k + v
""",
    "numbers of a fixed size": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 6)

    def forward(self, x):
        b, n = x.shape
        y = self.layer(x.unsqueeze(-1)).view(b, n, 3, 2)
        b, n, h, w = y.shape
        if h != 3 or w > 2:
            y = y * 2
        return y.reshape(b, n, h * w) * float(w) ** -0.5 + int(h) + len(y[0, 0])
""",
    "a number of the weights": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("steps", torch.tensor([1, 2]))

    def forward(self, x):
        if self.steps.sum() > 2:
            x = x * int(self.steps[1])
        return x
""",
    "a size that is only written down": """
class Net(nn.Module):
    def forward(self, x):
        self.last = int(x.shape[0])
        return x * 2
""",
    "a mean that is only written down": """
class Net(nn.Module):
    def forward(self, x):
        self.last = x.mean().item()
        return x * 2
""",
    "a branch that all sizes take": """
class Net(nn.Module):
    def forward(self, x):
        if x.shape[0] > 0:
            x = x * 2
        return x
""",
    "a branch that only warns": """
import warnings

class Net(nn.Module):
    def forward(self, x):
        if x.isnan().any():
            warnings.warn("not a number")
        if x.isinf().any():
            x = x.clone()
            raise ValueError("infinite")
        return x * 2
""",
    "data of the weights": """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x * self.weight.data
""",
    "a fixed number of parts": """
class Net(nn.Module):
    def forward(self, x):
        one, two = x.chunk(2, dim=1)
        return one[:, :1] + two[:, :1]
""",
}


@pytest.mark.parametrize("name", FREEZES)
def test_a_freeze_is_told_where_it_is(load: Any, name: str) -> None:
    check(load, FREEZES[name])


@pytest.mark.parametrize("name", FAITHFUL)
def test_a_faithful_trace_has_no_warning(load: Any, name: str) -> None:
    check(load, FAITHFUL[name])


def test_a_check_of_torchs_is_none_of_the_code_where_cuda_calls_land_on_the_cpu(load: Any) -> None:
    source = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 3)

    def forward(self, x):
        start = torch.zeros(1, x.shape[0], 3)
        out, _ = self.lstm(x.unsqueeze(0), (start, start))
        return out
"""
    with devices.OnCpu():
        check(load, source, second={"x": {"tensor": [4, 3]}}, sizes=())


def test_a_trace_that_would_write_outside_of_its_memory_is_not_run(load: Any) -> None:
    source = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 3)

    def forward(self, x):
        start = torch.zeros(1, int(x.shape[0]), 3)
        #                      ^^^^^^^^^^^^^^^ freezes this number
        out, _ = self.lstm(x.unsqueeze(0), (start, start))
        return out
"""
    check(load, source, second={"x": {"tensor": [4, 3]}})


def test_what_an_installed_package_freezes_is_told_where_it_is_used(load: Any, tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "ts_shape_installed.py"
    package.parent.mkdir()
    package.write_text("def scaled(x):\n    return x * float(x.sum())\n", encoding="utf-8")
    sys.path.insert(0, str(package.parent))
    source = """
from ts_shape_installed import scaled

class Net(nn.Module):
    def forward(self, x):
        return scaled(x) + 1
        #      ^^^^^^^^^ freezes this number
"""
    try:
        check(load, source)
    finally:
        sys.path.remove(str(package.parent))
        sys.modules.pop("ts_shape_installed", None)


def test_a_number_that_numpy_draws_is_frozen(load: Any) -> None:
    pytest.importorskip("numpy")
    source = """
import numpy as np

class Net(nn.Module):
    def forward(self, x):
        return x * float(np.random.rand())
        #                ^^^^^^^^^^^^^^^^ freezes this random number
"""
    check(load, source)
