"""What no trial can prove is left as it is: code that no run reached, values that change later."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from repairs import HEADER, Bench, X

CASES = {
    "a gradient of its own in a branch that no run took": (
        """
        class Round(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return torch.round(x)

            @staticmethod
            def backward(ctx, grad):
                return grad


        class Net(nn.Module):
            def __init__(self, bits: int = 32):
                super().__init__()
                self.bits = bits

            def forward(self, x):
                if self.bits < 32:
                    x = Round.apply(x)
                return x
        """,
        "x = Round.apply(x)",
    ),
    "a None that no run passed on": (
        """
        def scaled(x, by: float = 1.0):
            return x * by


        class Net(nn.Module):
            def __init__(self, depth: int = 1, by=None):
                super().__init__()
                self.depth = depth
                self.by = by

            def forward(self, x):
                if self.depth > 1:
                    x = scaled(x, self.by)
                return x
        """,
        "self.by = by\n",
    ),
    "a power of what no run showed to be an int": (
        """
        class Net(nn.Module):
            def __init__(self, factor: int = 2, penalty: float = 0.0):
                super().__init__()
                self.factor = factor
                self.penalty = penalty

            def forward(self, x):
                b, c = x.size()
                c = c * self.factor**2
                y = x.repeat(1, 4).view(b, c)
                if self.penalty > 0:
                    y = y + self.penalty**2
                return y
        """,
        "self.penalty**2",
    ),
    "a condition on what a class that inherits sets behind the constructor": (
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.mode = "one"

            def forward(self, x):
                if self.mode == "two":
                    return x, x
                return x


        class Two(Net):
            def __init__(self):
                super().__init__()
                self.mode = "two"
        """,
        'if self.mode == "two":',
    ),
    "a condition on what may be set by its name": (
        """
        class Net(nn.Module):
            def __init__(self, **settings):
                super().__init__()
                self.mode = "one"

            def set(self, name: str, value: str):
                setattr(self, name, value)

            def forward(self, x):
                if self.mode == "two":
                    return x, x
                return x
        """,
        'if self.mode == "two":',
    ),
    "an array that no run made": (
        """
        class Net(nn.Module):
            def __init__(self, keep: int = 0):
                super().__init__()
                self.keep = keep

            def forward(self, x):
                s = x.detach().numpy()
                if self.keep > 0:
                    s = np.round(np.mean(s, axis=0))
                return torch.from_numpy(np.max(s, axis=-1))
        """,
        "np.mean(s, axis=0)",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_left_as_it_is(tmp_path: Path, name: str) -> None:
    source, kept = CASES[name]
    bench = Bench(tmp_path / "net.py", HEADER + textwrap.dedent(source), X, {})
    assert bench.report.torchscript.script.failures, "the case scripts as it stands"
    assert kept in bench.repaired().text
