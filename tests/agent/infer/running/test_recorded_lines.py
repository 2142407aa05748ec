"""What a run shows at each line: the locals as they come into it and as it leaves them, and the calls that it makes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

from ts_shape_server.agent.infer.running.recording import Layers, Local, Locals

TEXT = """from torch import nn


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Inner()
        self.steps = nn.ModuleList([nn.Linear(4, 2), nn.Linear(2, 8)])
        self.never = False

    def forward(self, x):
        x = self.inner(x)
        for step in self.steps:
            x = step(
                x,
            )
        if self.never:
            x = x.sum()
        return self.inner(x.view(-1, 4))
"""


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Locals, Layers]:
    path = tmp_path / "recorded_net.py"
    path.write_text(TEXT)
    spec = importlib.util.spec_from_file_location("recorded_net", path)
    assert spec is not None and spec.loader is not None
    made: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    module = made.Net()
    lines = range(13, 40)
    with Locals(str(path), lines) as found, Layers(module, str(path), lines) as calls:
        module(torch.zeros(3, 4))
    return found, calls


def shapes(entries: dict[tuple[str, int, str], Local]) -> dict[int, list[tuple[int, ...]]]:
    told: dict[int, list[tuple[int, ...]]] = {}
    for item in entries.values():
        if item.name == "x":
            told.setdefault(item.line, []).append(item.value.sizes)
    return told


def test_a_line_is_told_what_comes_into_it(recorded: tuple[Locals, Layers]) -> None:
    found, _ = recorded
    assert shapes(found.uses) == {21: [(3, 4)], 24: [(3, 4), (3, 2)], 28: [(3, 8)]}


def test_a_line_that_did_not_run_leaves_nothing(recorded: tuple[Locals, Layers]) -> None:
    found, _ = recorded
    assert 27 not in shapes(found.found)
    assert shapes(found.found)[21] == [(3, 4)]


def test_calls_have_the_lines_of_the_watched_code_and_others_none(recorded: tuple[Locals, Layers]) -> None:
    _, layers = recorded
    assert [(call.name, call.line) for call in layers.calls] == [
        ("inner.fc", None),
        ("inner", 21),
        ("steps.0", 23),
        ("steps.1", 23),
        ("inner.fc", None),
        ("inner", 28),
    ]
