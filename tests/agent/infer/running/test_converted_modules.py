"""A constructor that converts its layers takes no more memory than one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from probing_helpers import Prober

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(40000, 40000)
        self.tied = nn.Linear(40000, 40000, bias=False)
        self.tied.weight = self.fc.weight
        self.norm = nn.BatchNorm1d(40000)
        {conversion}

    def forward(self, x):
        assert self.tied.weight is self.fc.weight
        return self.norm(self.tied(self.fc(x)))
"""


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    prober = Prober(wall=15.0, memory=2 << 30)
    yield prober
    prober.close()


@pytest.mark.parametrize(
    ("conversion", "dtype"),
    [
        ("self.half()", "float16"),
        ("self.to(torch.bfloat16)", "bfloat16"),
        ("self.double().to('cpu').float()", "float32"),
    ],
)
def test_a_large_module_that_is_converted_needs_no_memory(
    prober: Prober, tmp_path: Path, conversion: str, dtype: str
) -> None:
    source = NET.format(conversion=conversion)
    found = prober.reports(tmp_path, source, "Net", on_report=lambda _: None)["Net"]
    assert found.status == "ok", found.reason
    assert found.inputs[0].value.dtype == dtype
