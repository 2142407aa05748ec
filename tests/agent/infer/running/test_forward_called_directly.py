"""A layer that is called as ``layer.forward(x)`` is listed like one that is called as ``layer(x)``, and once."""

from __future__ import annotations

from pathlib import Path

import torch
from probing_helpers import Prober
from torch import nn

from ts_shape_server.agent.infer.running.recording import Layers

NET = """
from torch import nn

class Doubled(nn.Linear):
    def forward(self, x):
        return super().forward(x) * 2

class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(6, 6, 1)

    def forward(self, x):
        return x * self.mix.forward(x).sigmoid()

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.pool, self.gate = nn.Conv2d(3, 6, 3, padding=1), nn.MaxPool2d(2), Gate()
        self.head = Doubled(6, 5)

    def forward(self, x):
        x = self.pool.forward(self.stem.forward(x))
        x = self.gate.forward(x)
        return self.head(x.mean((2, 3)))
"""


def test_layers_called_through_forward_are_listed(prober: Prober, tmp_path: Path) -> None:
    made = prober.reports(tmp_path, NET, "Net", on_report=lambda _: None)["Net"]
    assert made.status == "ok", made.reason
    assert [layer.name for layer in made.layers] == ["stem", "pool", "gate.mix", "gate", "head"]
    visited = {layer.name: [visit.line for visit in layer.visits] for layer in made.layers}
    assert visited["stem"] == visited["pool"] == [23]
    assert visited["gate"] == [24]


def test_classes_are_as_before() -> None:
    before = vars(nn.Linear)["forward"]
    module = nn.Sequential(nn.Linear(2, 3))
    with Layers(module, "", range(0)) as layers:
        module[0].forward(torch.zeros(1, 2))
        module(torch.zeros(1, 2))
    assert [call.name for call in layers.calls] == ["0", "0"]
    assert vars(nn.Linear)["forward"] is before
