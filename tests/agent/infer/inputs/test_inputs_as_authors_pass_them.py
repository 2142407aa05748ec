"""Of inputs that run the ones that authors pass: no label spread over a batch, matrices of nodes, equal lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from inference_helpers import check, net, report

CONTRASTIVE = net(
    "",
    "d = F.pairwise_distance(a, b); return ((1 - label) * d ** 2 + label * torch.clamp(1 - d, min=0) ** 2).mean()",
    "a, b, label",
)
FOCAL = net(
    "",
    "ce = F.cross_entropy(logits, labels, reduction='none'); return ((1 - torch.exp(-ce)) ** 2 * ce).mean()",
    "logits, labels",
)
GRAPH = net("self.w = nn.Parameter(torch.randn(12, 5))", "return torch.mm(adj, torch.mm(x, self.w))", "x, adj")
POOLED = net(
    "self.f = nn.Linear(9, 4)",
    "s = torch.softmax(self.f(adj @ x), -1); return s.transpose(1, 2) @ x, s.transpose(1, 2) @ adj @ s",
    "x, adj",
)
TRAJECTORY = net(
    "self.t = nn.Embedding(50, 16); self.s = nn.Linear(7, 16); self.a = nn.Linear(3, 16)",
    "t = self.t(steps); return torch.stack([self.s(states) + t, self.a(actions) + t], 1).permute(0, 2, 1, 3)",
    "states, actions, steps",
)
TRANSFORMED = net(
    "self.c = nn.Conv2d(1, 5, 7, stride=4); self.f = nn.Linear(5 * 36, 6)",
    "t = self.f(self.c(x).view(-1, 5 * 36)).view(-1, 2, 3); "
    "return F.grid_sample(x, F.affine_grid(t, x.size(), align_corners=False), align_corners=False)",
)
TAGGED = net(
    "self.t = nn.Parameter(torch.randn(5, 5))",
    "b, n, _ = scores.shape; s = scores[:, 0].sum(1)\n"
    "        for i in range(1, n):\n"
    "            s = s + self.t[tags[:, i - 1], tags[:, i]] * mask[:, i] + scores[:, i].sum(1)\n"
    "        return s.mean()",
    "scores, tags, mask",
)
POOLED_TOKENS = net(
    "",
    "m = mask.unsqueeze(-1).expand(features.size()).float(); return (features * m).sum(1) / m.sum(1).clamp(min=1e-9)",
    "features, mask",
)


@pytest.mark.parametrize(
    ("source", "inputs", "output"),
    [
        pytest.param(CONTRASTIVE, {"a": ["B", "F"], "b": ["B", "F"], "label": ["B"]}, [], id="a label for each pair"),
        pytest.param(FOCAL, {"logits": ["B", "F"], "labels": ["B"]}, [], id="scores of classes"),
        pytest.param(GRAPH, {"x": ["N", 12], "adj": ["N", "N"]}, ["N", 5], id="a square matrix of nodes"),
        pytest.param(POOLED, {"x": ["B", "N", 9], "adj": ["B", "N", "N"]}, ["B", 4, 9], id="a batch of graphs"),
        pytest.param(
            TRAJECTORY,
            {"states": ["B", "L", 7], "actions": ["B", "L", 3], "steps": ["B", "L"]},
            ["B", "L", 2, 16],
            id="a dim that all inputs lack",
        ),
        pytest.param(
            TAGGED,
            {"scores": ["b", "n", "D"], "tags": ["b", "n"], "mask": ["b", "n"]},
            [],
            id="tags and flags as long as the sequence",
        ),
    ],
)
def test_the_inputs_that_authors_pass(tmp_path: Path, source: str, inputs: dict[str, Any], output: Any) -> None:
    check(tmp_path, source, inputs, output)


def test_a_view_that_took_items_apart_takes_them_whole(tmp_path: Path) -> None:
    found = report(tmp_path, TRANSFORMED)
    assert found["status"] == "ok", found["reason"]
    assert found["inputs"][0]["dims"][:2] == ["B", 1]


def test_flags_are_not_spread_over_what_they_choose_from(tmp_path: Path) -> None:
    found = report(tmp_path, POOLED_TOKENS)
    tokens, mask = (item["dims"] for item in found["inputs"])
    assert mask == tokens[: len(mask)] and len(tokens) == len(mask) + 1


def test_sides_that_may_each_be_one_and_not_both_stay_free(tmp_path: Path) -> None:
    body = "return self.n(x) * self.c(F.interpolate(classes, size=x.size()[2:]))"
    found = report(tmp_path, net("self.n = nn.InstanceNorm2d(8); self.c = nn.Conv2d(5, 8, 1)", body, "x, classes"))
    assert found["inputs"][0]["dims"][2:] == ["H", "W"] and found["constraints"] == ["H*W >= 2"]


def test_a_size_made_of_items_that_differ_is_not_told_by_one_of_them(tmp_path: Path) -> None:
    body = "return torch.cat([self.c(f).flatten(2) for f in feats], 2)"
    found = report(tmp_path, net("self.c = nn.Conv2d(12, 4, 1)", body, "feats"))
    assert found["outputs"][0]["dims"] == ["B", 4, "?"]
