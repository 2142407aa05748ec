"""What a run did not reach is left as it is: a trial proves only what ran."""

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
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_left_as_it_is(tmp_path: Path, name: str) -> None:
    source, kept = CASES[name]
    bench = Bench(tmp_path / "net.py", HEADER + textwrap.dedent(source), X, {})
    assert bench.report.torchscript.script.failures, "the case scripts as it stands"
    assert kept in bench.repaired().text
