"""A variable that holds a module is asked about as a class: its copies compute the same, and script."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from ts_shape_server.agent import held, script


def test_copies_compute_what_the_module_does_and_are_their_own() -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    kind = held.class_of(module, "model")
    assert (kind.__name__, held.class_of(module, "model")) == ("model", kind)
    copied, x = kind(), torch.rand(4, 3)
    assert torch.equal(copied(x), module(x))
    with torch.no_grad():
        copied[0].weight.zero_()  # type: ignore[index]  # a Sequential
    assert not torch.equal(copied(x), module(x))
    assert torch.equal(kind()(x), module(x))


@pytest.mark.skipif(not script.supported(), reason="TorchScript does not support this Python")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_copy_scripts_under_its_name() -> None:
    module = nn.Sequential(nn.Linear(3, 2))
    jit: Any = torch.jit
    scripted = jit.script(held.class_of(module, "model")())
    x = torch.rand(4, 3)
    assert torch.equal(scripted(x), module(x))
