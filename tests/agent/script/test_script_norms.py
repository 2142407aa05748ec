"""The hooks of `weight_norm` are made ones that TorchScript compiles; weights keep their names."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from repairs import HEADER, Bench, X, check

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
SOURCE = """
    from torch.nn.utils import weight_norm

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = weight_norm(nn.Linear(3, 3), dim=None)  # of all
            self.second = nn.Sequential(weight_norm(nn.Linear(3, 3)), nn.ReLU())

        def forward(self, x):
            return self.second(self.first(x))
    """


def test_weight_norm_gets_a_hook_that_scripts(tmp_path: Path) -> None:
    pieces = (
        "self.first = weight_norm_of_all_that_scripts(nn.Linear(3, 3))  # of all",
        "nn.Sequential(weight_norm_that_scripts(nn.Linear(3, 3)), nn.ReLU())",
        "torch._weight_norm(self.weight_v, self.weight_g, -1)",
    )
    check(tmp_path, SOURCE, *pieces)


def test_weight_norm_stays_where_it_is_removed_again(tmp_path: Path) -> None:
    removing = """
        def plain(self):
            nn.utils.remove_weight_norm(self.first)
    """
    text = HEADER + textwrap.dedent(SOURCE + removing)
    bench = Bench(tmp_path / "net.py", text, X, {})
    assert "WeightNorm" in bench.report.torchscript.script.failures[0].message
    assert bench.repaired().text == text
