"""A sequence that a cell goes through step by step has a dim more than what the cell takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from inference_helpers import check, net

GRU = "self.cell = nn.GRUCell(7, 15)"
LSTM = "self.cell = nn.LSTMCell(7, 15)"


def steps(sequence: str, rows: str = "x.size(0)", step: str = "step", state: str = "h") -> str:
    loop = f"for step in {sequence}:\n            h = self.cell({step}, {state})"
    return f"h = torch.zeros({rows}, 15)\n        {loop}\n        return h"


@pytest.mark.parametrize(
    ("init", "forward", "dims"),
    [
        pytest.param(GRU, steps("range(x.size(1))", step="x[:, step]"), ["B", "L", 7], id="steps by their numbers"),
        pytest.param(GRU, steps("x", "x.size(1)"), ["L", "B", 7], id="the sequence comes first"),
        pytest.param(GRU, "return self.cell(x, torch.zeros(x.size(0), 15))", ["B", 7], id="one step alone"),
        pytest.param(
            LSTM,
            steps("x.split(1, dim=1)", step="step.squeeze(1)", state="(h, h)").replace("(h, h))", "(h, h))[0]"),
            ["B", "L", 7],
            id="a state of two",
        ),
    ],
)
def test_the_sequence_of_a_cell(tmp_path: Path, init: str, forward: str, dims: list[Any]) -> None:
    check(tmp_path, net(init, forward), {"x": dims}, ["B", 15])
