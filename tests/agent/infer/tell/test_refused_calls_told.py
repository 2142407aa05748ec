"""What is said of a call that a layer refuses: the number that arrives there, and what would make the layer take it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from inference_helpers import HEADER, net, report
from torch import nn

from ts_shape_server.agent.infer.running import mismatch
from ts_shape_server.agent.infer.tell import remedies

CONVOLVED = "self.c = nn.Conv2d(1, 4, 3); self.fc = nn.Linear({}, 10)"


def call_of(tmp_path: Path, passed: str) -> dict[str, Any]:
    return {
        "kind": "call",
        "path": str(tmp_path / "refused.py"),
        "line": 2,
        "label": "call refused.py:2",
        "init": {"args": [], "kwargs": {}},
        "inputs": {"args": [passed], "kwargs": {}},
        "certain": "values",
    }


def told(tmp_path: Path, source: str, passed: str) -> dict[str, Any]:
    (found,) = report(tmp_path, source, [call_of(tmp_path, passed)])["mismatches"]
    assert found["code"] == "call-mismatch"
    return dict(found)


def test_the_number_that_arrives_in_a_later_layer_is_told_beside_the_dim(tmp_path: Path) -> None:
    source = net(CONVOLVED.format("4 * 5 * 5"), "return self.fc(self.c(x).flatten(1))")
    found = told(tmp_path, source, "torch.rand(2, 1, 28, 28)")
    assert all(word in found["message"] for word in ("`fc`", "100", "2704"))
    assert (found["sizes"]["wanted"], found["sizes"]["got"]) == (100, 2704)
    assert "self.fc(" in (HEADER + source).splitlines()[found["related"][0]["range"]["line"] - 1]


def test_a_missing_flatten_is_told_with_the_sizes_that_it_gives(tmp_path: Path) -> None:
    source = net(CONVOLVED.format("4 * 26 * 26"), "return self.fc(self.c(x))")
    found = told(tmp_path, source, "torch.rand(2, 1, 28, 28)")
    assert all(word in found["message"] for word in ("`fc`", "2704", "(2, 4, 26, 26)", ".flatten(1)", "4 x 26 x 26"))
    assert "sizes" not in found


def test_a_flatten_is_there_and_nothing_is_said(tmp_path: Path) -> None:
    source = net(CONVOLVED.format("4 * 26 * 26"), "return self.fc(self.c(x).flatten(1))")
    assert report(tmp_path, source, [call_of(tmp_path, "torch.rand(2, 1, 28, 28)")])["mismatches"] == []


@pytest.mark.parametrize(
    ("layer", "sizes", "said"),
    [
        (nn.Linear(12, 2), (5, 3, 2, 2), "3 x 2 x 2 = 12"),
        (nn.Linear(12, 2), (5, 3, 4), "3 x 4 = 12"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Linear(7, 2)), (5, 3, 8, 8), "4 x 6 x 6 = 144"),
        (nn.Sequential(nn.MaxPool2d(2), nn.Linear(7, 2)), (5, 3, 8, 8), "3 x 4 x 4 = 48"),
        (nn.Linear(6, 2), (6, 1), "the other way round"),
        (nn.Conv2d(3, 2, 3), (5, 8, 8, 3), ".permute(0, 3, 1, 2)"),
        (nn.Conv2d(3, 2, 3), (8, 8, 3), ".permute(2, 0, 1)"),
        (nn.Conv1d(4, 2, 3), (5, 9, 4), ".permute(0, 2, 1)"),
        (nn.Conv2d(1, 2, 3), (5, 8, 8), ".unsqueeze(1)"),
        (nn.GRU(1, 2, batch_first=True), (5, 8), ".unsqueeze(-1)"),
        (nn.Linear(12, 2), (5, 3, 7), ""),
        (nn.Linear(12, 2), (5, 7), ""),
        (nn.Linear(7, 2), (5, 8, 8, 6), ""),
        (nn.Sequential(nn.LayerNorm(6), nn.Linear(7, 2)), (5, 8, 8, 6), ""),
        (nn.Conv2d(3, 2, 3), (5, 4, 8, 8), ""),
        (nn.GRU(3, 2), (5, 8, 4), ""),
    ],
)
def test_what_a_layer_misses_follows_from_the_sizes_that_arrive(
    layer: nn.Module, sizes: tuple[int, ...], said: str
) -> None:
    module = nn.Sequential(layer)
    with mismatch.FailingLayer(module) as watched, pytest.raises(RuntimeError):
        module(torch.rand(sizes))
    found = remedies.of(watched, module)
    assert said in found
    assert bool(said) == bool(found)


def test_a_layer_of_a_container_is_named_with_its_type() -> None:
    assert remedies.named("0", nn.Sequential(nn.Linear(1, 1))) == "`0` (Linear)"


RESIDUAL = "self.c = nn.Conv2d({}, 6, 3, stride={}, padding=1)"


def test_a_sum_that_does_not_fit_what_is_passed_is_told_with_the_layer_that_is_missing(tmp_path: Path) -> None:
    source = net(RESIDUAL.format(4, 2), "return self.c(x) + x")
    found = report(tmp_path, source, [call_of(tmp_path, "torch.rand(2, 4, 8, 8)")])
    reason = found["reason"]
    assert (found["status"], reason["code"]) == ("failed", "shape-mismatch")
    assert all(word in reason["message"] for word in ("(2, 4, 8, 8)", "(2, 6, 4, 4)", "nn.Conv2d(4, 6, 1, stride=2)"))
    assert reason["related"][-1]["path"] == str(tmp_path / "refused.py")


@pytest.mark.parametrize(
    ("forward", "passed"),
    [
        ("return self.c(x) + x", "torch.rand(2, 6, 8, 8)"),
        ("return self.c(x) + x.mean()", "torch.rand(2, 6, 8, 8)"),
        ("return self.c(x) + (x if self.training else 0)", "torch.rand(2, 6, 8, 8)"),
    ],
)
def test_a_sum_that_fits_what_is_passed_is_no_error(tmp_path: Path, forward: str, passed: str) -> None:
    found = report(tmp_path, net(RESIDUAL.format(6, 1), forward), [call_of(tmp_path, passed)])
    assert (found["status"], found["mismatches"]) == ("ok", [])


def test_what_is_passed_to_an_object_that_is_made_otherwise_says_nothing(tmp_path: Path) -> None:
    source = net("self.c = nn.Conv2d(4, n, 3, padding=1)", "return self.c(x) + x", arguments=", n")
    other = {**call_of(tmp_path, "torch.rand(2, 4, 8, 8)"), "init": {"args": ["4"], "kwargs": {}}}
    first = {**other, "init": {"args": ["6"], "kwargs": {}}, "inputs": None, "kind": "constructor", "certain": ""}
    found = report(tmp_path, source, [first, other])
    assert found.get("reason") is None or found["reason"]["kind"] != "passed-sizes-refused"


def test_a_tuple_that_goes_on_into_the_next_layer_is_told(tmp_path: Path) -> None:
    source = net("self.net = nn.Sequential(nn.LSTM(3, 4), nn.Linear(4, 2))", "return self.net(x)")
    found = report(tmp_path, source)
    assert (found["status"], found["reason"]["kind"]) == ("failed", "tuple-of-a-layer")
    assert all(word in found["reason"]["message"] for word in ("`net.0` (LSTM)", "`net.1` (Linear)", "tuple"))


def test_a_tuple_that_is_taken_apart_is_no_error(tmp_path: Path) -> None:
    source = net("self.r = nn.LSTM(3, 4); self.f = nn.Linear(4, 2)", "return self.f(self.r(x)[0])")
    assert report(tmp_path, source)["status"] == "ok"


def test_a_dim_that_another_number_of_dims_mends_is_not_named(tmp_path: Path) -> None:
    source = net("self.loss = nn.CrossEntropyLoss()", "return self.loss(x, y)", parameters="x, y")
    call = call_of(tmp_path, "torch.rand(10, 7)")
    call["inputs"]["args"].append("torch.randint(0, 7, (25,))")
    (found,) = report(tmp_path, source, [call])["mismatches"]
    assert all(word in found["message"] for word in ("(10, 7)", "(25,)", "batch_size (10)", "batch_size (25)"))
    assert "has to have" not in found["message"]
