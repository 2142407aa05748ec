"""Inputs that meet in one call: put beside each other, a state beside its sequence, an action beside its distribution.

Each has dims and sizes of its own, and only together they run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from inference_helpers import check, net

CLASSES = net(
    "self.e = nn.Embedding(10, 10); self.f = nn.Sequential(nn.Linear(30, 8), nn.Linear(8, 36))",
    "y = self.f(torch.cat((self.e(labels), noise), -1)); return y.view(y.size(0), 1, 6, 6)",
    "noise, labels",
)
DECODER = net(
    "self.e = nn.Embedding(50, 12); self.r = nn.LSTM(12, 14, 2); self.o = nn.Linear(14, 50)",
    "y, (hidden, cell) = self.r(self.e(token.unsqueeze(0)), (hidden, cell)); return self.o(y.squeeze(0)), hidden, cell",
    "token, hidden, cell",
)
ATTENTION = net(
    "self.e = nn.Embedding(50, 20); self.a = nn.Linear(64, 32); self.r = nn.GRU(52, 32)",
    "h = state[-1].repeat(memory.size(0), 1, 1); w = self.a(torch.cat([h, memory], 2)).softmax(0); "
    "c = (w * memory).sum(0, keepdim=True); return self.r(torch.cat([self.e(token).unsqueeze(0), c], 2), state)[0]",
    "token, state, memory",
)
MESSAGES = net(
    "self.m = nn.Linear(16, 8); self.u = nn.GRUCell(8, 6)",
    "y = self.m(torch.cat([nodes[pairs[:, 0]], nodes[pairs[:, 1]], features], -1)); "
    "return self.u(torch.zeros(nodes.size(0), 8).index_add_(0, pairs[:, 1], y), nodes)",
    "nodes, pairs, features",
)
POLICY = net(
    "self.f = nn.Linear(10, 5)",
    "d = torch.distributions.Categorical(logits=self.f(state)); return d.log_prob(action)",
    "state, action",
)
TRANSLATOR = net(
    "self.s = nn.Embedding(40, 16); self.t = nn.Embedding(50, 16); self.r = nn.Transformer(16, 2, 1, 1, 32)",
    "return self.r(self.s(src), self.t(tgt), src_mask, None, None, src_padding_mask)",
    "src, tgt, src_mask, src_padding_mask",
)
NESTED = net(
    "self.c = nn.Conv2d(1, 4, 3, 2); self.r = nn.LSTMCell(36, 8)",
    "image, (h, c) = inputs; h, c = self.r(self.c(image).view(-1, 36), (h, c)); return h, (h, c)",
    "inputs",
)
CAPSULES = net(
    "self.w = nn.Parameter(torch.randn(1, 12, 5, 6, 4))",
    "y = torch.stack([x] * 5, dim=2).unsqueeze(4); w = torch.cat([self.w] * x.size(0), 0); "
    "return torch.matmul(w, y).squeeze(4).sum(1)",
)


# Torch takes flags beside numbers, and warns of it.
@pytest.mark.filterwarnings("ignore:Support for mismatched src_key_padding_mask")
@pytest.mark.parametrize(
    ("source", "inputs", "output"),
    [
        pytest.param(CLASSES, {"noise": ["B", 20], "labels": ["B"]}, ["B", 1, 6, 6], id="noise beside its classes"),
        pytest.param(
            DECODER,
            {"token": ["B"], "hidden": [2, "B", 14], "cell": [2, "B", 14]},
            ["B", 50],
            id="a token to which the dim of steps is added, beside both states",
        ),
        pytest.param(
            ATTENTION,
            {"token": ["B"], "state": [1, "B", 32], "memory": ["L", "B", 32]},
            [1, "B", 32],
            id="a size that two equations ask for, each with another one",
        ),
        pytest.param(
            MESSAGES,
            {"nodes": ["B", 6], "features": ["B2", 4]},
            ["B", 6],
            id="a state that a cell asks the size of, beside what it is joined with",
        ),
        pytest.param(POLICY, {"state": ["B", 10], "action": ["B"]}, ["B"], id="one of the classes of a distribution"),
        pytest.param(
            TRANSLATOR,
            {"src": ["L", "B"], "tgt": ["L2", "B"], "src_mask": ["L", "L"], "src_padding_mask": ["B", "L"]},
            ["L2", "B", 16],
            id="masks of pairs of places and of the places of each sequence",
            # What torch says of every encoder that is not batch first.
            marks=pytest.mark.filterwarnings("ignore:enable_nested_tensor"),
        ),
        pytest.param(CAPSULES, {"x": ["B", 12, 4]}, ["B", 5, 6], id="what gets two dims has two fewer"),
    ],
)
def test_the_inputs_of(tmp_path: Path, source: str, inputs: dict[str, Any], output: Any) -> None:
    check(tmp_path, source, inputs, output)


def test_a_pair_inside_of_what_is_unpacked_is_a_pair(tmp_path: Path) -> None:
    found = check(tmp_path, NESTED, {"inputs": "Tuple[Tensor, Tuple[Tensor, Tensor]]"}, ["B", 8])
    image, states = found["inputs"][0]["items"]
    assert image["dims"][:2] == ["B", 1]
    assert [state["dims"] for state in states["items"]] == [["B", 8], ["B", 8]]


def test_an_action_is_below_the_number_of_classes(tmp_path: Path) -> None:
    found = check(tmp_path, POLICY, {"action": ["B"]}, ["B"])
    action = found["inputs"][1]
    assert action["dtype"] == "int64"
    assert (action["values"]["min"], action["values"]["max"]) == (0, 4)
