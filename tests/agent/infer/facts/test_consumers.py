"""What a parameter is passed on to is read once for a part, however often the part is called."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import nn

from ts_shape_server.agent.infer.facts import consumers


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, emb: torch.Tensor) -> torch.Tensor:
        return x + self.first(emb) + self.second(emb)


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = Inner(), Inner()

    def forward(self, x: torch.Tensor, emb: torch.Tensor) -> torch.Tensor:
        x = self.left(x, emb)
        x = self.left(x, emb)
        return self.right(x, emb)


def test_each_part_that_is_called_is_told_for_each_call() -> None:
    outer = Outer()
    passed = consumers.of(Outer.forward, outer, {})["emb"].passed
    counted = Counter(id(item.target) for item in passed if isinstance(item.target, nn.Linear))
    left, right = ((part.first, part.second) for part in (outer.left, outer.right))
    assert counted == {**{id(item): 2 for item in left}, **{id(item): 1 for item in right}}


def test_a_part_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    usual = consumers._Function.uses

    def uses(function: consumers._Function) -> dict[str, consumers.Uses]:
        read.append(function._tree.name)
        return usual(function)

    monkeypatch.setattr(consumers._Function, "uses", uses)
    consumers.of(Outer.forward, Outer(), {})
    # That of the whole, and of each of the two parts.
    assert len([name for name in read if name == "forward"]) == 3
