"""What an instance costs that nothing has touched, and what a trace costs that is faithful."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from ts_shape_server.agent.script import examination, tracing
from ts_shape_server.agent.script.session import copied

FAITHFUL = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x).relu()
"""
SHAPES = {"x": {"tensor": [2, 4]}}
MORE = {"x": {"tensor": [3, 4]}}


def test_a_copy_is_a_module_of_its_own() -> None:
    shared = nn.Linear(4, 4)
    module = nn.ModuleDict({"first": shared, "again": shared, "norm": nn.BatchNorm1d(4)})
    before = {name: value.clone() for name, value in module.state_dict().items()}
    other = copied(module)
    assert other["first"] is other["again"]
    assert other["first"].weight is not shared.weight
    with torch.no_grad():
        other["first"].weight.data.zero_()
        other["norm"](torch.rand(3, 4) + 5)
    assert all(bool((value == before[name]).all()) for name, value in module.state_dict().items())
    assert not bool(other["first"].weight.any())


def test_weights_that_are_only_read_take_no_memory() -> None:
    is_shared: Any = getattr(torch._C, "_is_cow_tensor", None)
    if is_shared is None:
        pytest.skip("this torch does not tell")
    assert is_shared(copied(nn.Linear(4, 4)).weight)


def test_a_faithful_trace_is_made_once(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run, context = load(FAITHFUL, SHAPES, MORE)
    made: list[Any] = []
    original = tracing.trace
    monkeypatch.setattr(tracing, "trace", lambda *parts, **words: made.append(parts) or original(*parts, **words))
    assert examination.examine(run, context).trace.ok
    assert len(made) == 1
