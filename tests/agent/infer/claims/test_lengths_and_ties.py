"""Lengths of a batch's items, sizes that belong together, and limits that only real memory shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from inference_helpers import check, net, report

PACKED = net(
    "self.r = nn.LSTM(6, 4, batch_first=True)",
    "p = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False); "
    "return nn.utils.rnn.pad_packed_sequence(self.r(p)[0], batch_first=True)[0]",
    "x, lengths",
)
ITEM_BY_ITEM = net(
    "self.f = nn.Linear(10, 4)",
    "return torch.stack([self.f(x[i, : n[i].item()]).mean(0) for i in range(x.shape[0])])",
    "x, n",
)


def values(found: dict[str, Any], name: str) -> Any:
    return next(item for item in found["inputs"] if item["name"] == name).get("values")


def test_lengths_of_packed_sequences_are_one_for_each_item_and_none_longer_than_the_sequence(tmp_path: Path) -> None:
    found = check(tmp_path, PACKED, {"x": ["B", "L", 6], "lengths": ["B"]}, ["B", "?", 4])
    limits = values(found, "lengths")
    assert found["symbols"]["L"]["least"] == 1
    assert limits["min"] == 1
    assert found["symbols"]["L"]["min"] == limits["max"]


def test_numbers_that_are_taken_item_by_item_are_one_for_each_item(tmp_path: Path) -> None:
    found = check(tmp_path, ITEM_BY_ITEM, {"x": ["B", "L", 10], "n": ["B"]}, ["B", 4])
    assert found["symbols"]["B"] == {"min": 1, "max": None, "multiple_of": 1}
    assert found["symbols"]["L"]["min"] == 1


@pytest.mark.parametrize(
    ("source", "inputs", "output"),
    [
        pytest.param(
            net(
                "self.f = nn.Linear(12, 2)",
                "b = torch.arange(x.shape[0]); return self.f(torch.cat([x[b, start], x[b, end]], -1))",
                "x, start, end",
            ),
            {"start": ["B"], "end": ["B"]},
            ["B", 2],
            id="places beside the batch are one for each item",
        ),
        pytest.param(
            net("self.b = nn.EmbeddingBag(100, 5)", "return self.b(flat, offsets)", "flat, offsets"),
            {"flat": ["L"], "offsets": ["L2"]},
            ["L2", 5],
            id="bags one after the other begin at offsets",
        ),
        pytest.param(
            net("self.f = nn.Linear(7, 4)", "return self.f(x[mask])", "x, mask"),
            {"mask": ["B", "L"]},
            ["?", 4],
            id="what a mask chooses is as much as it says",
        ),
        pytest.param(
            net(
                "self.f = nn.Linear(9, 20); self.loss = nn.CTCLoss(zero_infinity=True)",
                "p = self.f(x).log_softmax(-1).transpose(0, 1); c = x.shape[0]; "
                "return self.loss(p, y, torch.full((c,), x.shape[1]), torch.full((c,), y.shape[1]))",
                "x, y",
            ),
            {"x": ["c", "L", 9]},
            [],
            id="a layer further on says the rank",
        ),
        pytest.param(
            net(
                "self.register_buffer('w', torch.hann_window(48))",
                "return torch.stft(x, 48, 12, window=self.w, center=False, return_complex=True).abs().transpose(1, 2)",
            ),
            {"x": ["B", "F"]},
            ["B", "?", 25],
            id="a wave that is too short for the window is made longer",
        ),
    ],
)
def test_ranks_of_what_belongs_to_another_input(
    tmp_path: Path, source: str, inputs: dict[str, Any], output: list[Any]
) -> None:
    check(tmp_path, source, inputs, output)


def test_a_minimum_that_only_real_memory_shows(tmp_path: Path) -> None:
    source = net("pass", "return torch.multinomial(x.softmax(-1), 10)")
    found = check(tmp_path, source, {"x": ["B", "F"]}, ["B", 10])
    assert found["symbols"]["F"]["min"] == 10


def test_a_square_may_be_as_small_as_both_sides_may(tmp_path: Path) -> None:
    source = net("self.c = nn.Conv2d(3, 4, 3, 2, 1)", "y = self.c(x); b, c, f, _ = y.shape; return y.view(b, c, f, f)")
    found = report(tmp_path, source)
    assert found["status"] == "ok"
    assert found["symbols"]["H"]["min"] == found["symbols"]["W"]["min"] == 1
    assert found["constraints"]


def test_a_size_of_one_that_is_only_spread_is_no_minimum(tmp_path: Path) -> None:
    source = net("self.c = nn.Conv2d(3, 8, 3, 2, 1)", "return self.c(x[0]) + x[1]", "x: List[Tensor]")
    found = report(tmp_path, source)
    smallest = [found["symbols"][name]["min"] for name in ("H", "W") if name in found["symbols"]]
    assert found["status"] == "ok"
    assert 1 not in smallest or found["constraints"]


def test_any_number_of_positional_inputs_is_told_as_a_list(tmp_path: Path) -> None:
    source = net("self.e = nn.Embedding(20, 4)", "return sum(self.e(c) for c in parts)", "*parts")
    found = report(tmp_path, source)
    assert found["inputs"][0]["type"] == "List[Tensor]"
    pair = net("self.f = nn.Linear(9, 4)", "a, b = parts; return self.f(a) + self.f(b)", "*parts")
    assert report(tmp_path, pair)["inputs"][0]["type"] == "Tuple[Tensor, Tensor]"


def test_what_is_called_a_path_is_a_text(tmp_path: Path) -> None:
    found = report(tmp_path, net("self.f = nn.Linear(9, 4)", "return self.f(x)", "x, save_path=None"))
    assert found["inputs"][1]["type"] == "Optional[str]"


@pytest.mark.parametrize(
    ("body", "limits"),
    [
        ("self.e = nn.Embedding(50, 4)|return self.e(ids)", (0, 49)),
        ("self.w = nn.Parameter(torch.randn(20, 4))|return self.w[ids - 1]", (1, 20)),
    ],
)
def test_the_least_value_of_a_call_is_no_limit(tmp_path: Path, body: str, limits: tuple[int, int]) -> None:
    made, forward = body.split("|")
    call = {"kind": "call", "label": "call net.py:9", "inputs": {"args": ["torch.full((4, 9), 7).clamp(5, 9)"]}}
    found = report(tmp_path, net(made, forward, "ids"), evidence=[call])
    told = values(found, "ids")
    assert (told["min"], told["max"]) == limits
