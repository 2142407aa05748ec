"""What a module registers at its first call is registered once, however often it is run."""

from __future__ import annotations

from pathlib import Path

from probing_helpers import Prober

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.kept = nn.Linear(6, 4), nn.Linear(4, 3), []

    def forward(self, x):
        if not getattr(self, "watched", False):
            self.first.register_forward_hook(lambda part, given, out: self.kept.append(out))
            self.watched = True
        self.kept.clear()
        self.second(self.first(x))
        (wide,) = self.kept
        return self.second(wide)
"""


def test_hooks_of_the_first_call_are_not_registered_again(prober: Prober, tmp_path: Path) -> None:
    made = prober.reports(tmp_path, NET, "Net", on_report=lambda _: None)["Net"]
    assert made.status == "ok", made.reason
    assert made.inputs[0].value.dims == ("B", 6)
    assert made.outputs[0].dims == ("B", 3)
