"""A module runs in evaluation mode, also where its author uses the name of torch's method for something else."""

from __future__ import annotations

import pytest
from torch import nn

from ts_shape_server.agent import runs


class Trains(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout()

    def train(self, positive: object, negative: object) -> None:  # type: ignore[override]  # as authors do
        raise AssertionError


@pytest.mark.parametrize("module", [Trains(), nn.Sequential(Trains()), nn.Dropout()])
def test_every_part_is_in_evaluation_mode(module: nn.Module) -> None:
    assert runs.in_eval(module) is module
    assert not any(part.training for part in module.modules())
