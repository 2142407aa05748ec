"""A list that is gone through beside what the module has: a feature map for each head."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from inference_helpers import check, net, report

from ts_shape_server.agent.infer.facts import companions

HEADS = "self.heads = nn.ModuleList(nn.Conv2d(size, 8, 1) for size in (4, 8, 16))"


@pytest.mark.parametrize(
    "forward",
    [
        "return [self.heads[i](x[i]) for i in range(3)]",
        "return [head(x[i]) for i, head in enumerate(self.heads)]",
        "return [head(item) for head, item in zip(self.heads, x)]",
        "return [head(item) for _, (item, head) in enumerate(zip(x, self.heads))]",
        "for i in range(3): x[i] = self.heads[i](x[i]); return x",
        "x = [x[i] for i in self.chosen]; return [self.heads[i](x[i]) for i in range(len(x))]",
    ],
)
def test_each_head_has_an_item_of_its_own(tmp_path: Path, forward: str) -> None:
    source = net(f"{HEADS}; self.chosen = (0, 1, 2)", forward)
    levels = [["B", 4, "H", "W"], ["B", 8, "H2", "W2"], ["B", 16, "H3", "W3"]]
    check(tmp_path, source, {"x": levels}, None)


def test_a_list_of_which_some_are_taken_is_as_long_as_the_last_of_them(tmp_path: Path) -> None:
    source = net("self.chosen = (2, 0); self.c = nn.Conv2d(3, 4, 1)", "return [self.c(x[i]) for i in self.chosen]")
    found = report(tmp_path, source)
    assert found["status"] == "ok", found["reason"]
    assert len(found["inputs"][0]["items"]) == 3 or found["inputs"][0]["varies"]


def test_of_a_companion_without_end_no_more_is_read_than_a_list_may_have() -> None:
    class Net:
        def __init__(self) -> None:
            self.numbers = itertools.count()
            self.heads = [1, 2]

        def forward(self, x: Any, y: Any) -> Any:
            counted = [number * item for number, item in zip(self.numbers, x, strict=False)]
            return counted, [head * item for head, item in zip(self.heads, y, strict=False)]

    net = Net()
    assert companions.lengths(Net.forward, net) == {"y": 2}
    assert next(net.numbers) <= companions.MOST + 1


@pytest.mark.parametrize(
    "forward",
    [
        "x = self.c(x); return [self.heads[i](x[i]) for i in range(3)]",
        "return [self.rows[i](x[:, i]) for i in range(3)]",
    ],
    ids=["made anew before", "a column of a tensor"],
)
def test_a_tensor_of_which_rows_are_taken_is_a_tensor(tmp_path: Path, forward: str) -> None:
    init = (
        "self.c = nn.Conv2d(3, 4, 1); self.heads = nn.ModuleList(nn.Conv2d(4, 8, 1) for _ in range(3)); "
        "self.rows = nn.ModuleList(nn.Linear(5, 5) for _ in range(3))"
    )
    found = report(tmp_path, net(init, forward))
    assert found["status"] == "ok", found["reason"]
    assert found["inputs"][0]["type"] == "Tensor"
