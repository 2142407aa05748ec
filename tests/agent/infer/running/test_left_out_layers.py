"""A net of more layers than a report lists says how many it leaves out, and a layer that is called again is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from probing_helpers import Prober

from ts_shape_server.agent.infer.running import recording

SOURCE = """
from torch import nn
class Deep(nn.Module):
    def __init__(self, depth={depth}):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(depth))
    def forward(self, x):
        for _ in range({times}):
            for layer in self.layers:
                x = layer(x)
        return x
"""
MOST = recording.MAXIMUM_LAYERS


@pytest.fixture(scope="module")
def patient_prober() -> Iterator[Prober]:
    made = Prober(wall=60.0)
    made.run(made.service.start())
    yield made
    made.close()


@pytest.mark.parametrize(
    ("depth", "times", "told"),
    [
        (3, 1, ()),
        (MOST, 1, ()),
        (MOST, 3, ()),
        (MOST + 1, 1, ("1 more layer is called than are listed here.",)),
        (MOST + 70, 1, ("70 more layers are called than are listed here.",)),
    ],
)
def test_what_is_not_listed_is_said(
    patient_prober: Any, tmp_path: Any, depth: int, times: int, told: tuple[str, ...]
) -> None:
    source = SOURCE.format(depth=depth, times=times)
    report = patient_prober.reports(tmp_path, source, "Deep", on_report=lambda report: None)["Deep"]
    assert (report.status, len(report.layers)) == ("ok", min(depth, MOST))
    assert tuple(note for note in report.notes if "listed here" in note) == told
