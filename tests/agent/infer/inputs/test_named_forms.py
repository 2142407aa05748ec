"""Inputs of which the name says what they are: edges, masks, vectors that are compared, states of cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from inference_helpers import check, net, report


def told(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(item for item in found["inputs"] if item["name"] == name)


def test_what_is_told_of_edges_has_as_many_as_there_are(tmp_path: Path) -> None:
    source = net(
        "self.message = nn.Linear(7 + 3, 5); self.own = nn.Linear(7, 5)",
        "own = self.own(x); rows, columns = edge_index[0], edge_index[1]; "
        "sent = self.message(torch.cat([x[columns], edge_attr], -1)); "
        "return own.index_add(0, rows, sent)",
        "x, edge_index, edge_attr",
    )
    found = check(tmp_path, source, {"edge_index": [2, "E"], "edge_attr": ["E", 3]}, ["B", 5])
    assert told(found, "edge_index")["values"]["most"] == "B - 1"


def test_edges_that_are_scored_are_others_than_those_of_the_graph(tmp_path: Path) -> None:
    source = net(
        "self.fc = nn.Linear(6, 4)",
        "src, dst = edge_index; h = self.fc(x); z = torch.zeros_like(h).index_add(0, dst, h[src]); "
        "return (z[edge_label_index[0]] * z[edge_label_index[1]]).sum(-1)",
        "x, edge_index, edge_label_index",
    )
    check(tmp_path, source, {"edge_index": [2, "E"], "edge_label_index": [2, "E2"]}, ["E2"])


def test_edges_in_rows_have_two_columns(tmp_path: Path) -> None:
    source = net(
        "self.fc = nn.Linear(6, 4)",
        "h = self.fc(x); return h[edge_index[:, 0]] - h[edge_index[:, 1]]",
        "x, edge_index",
    )
    found = report(tmp_path, source)
    assert found["status"] == "ok"
    assert isinstance(told(found, "edge_index")["dims"][0], str)


def test_a_mask_beside_ids_is_of_whole_numbers(tmp_path: Path) -> None:
    source = net(
        "self.words = nn.Embedding(60, 16)",
        "keep = attention_mask[:, :, None].float(); return (self.words(input_ids) * keep).sum(1) / keep.sum(1)",
        "input_ids, attention_mask",
    )
    found = check(tmp_path, source, {"input_ids": ["B", "L"], "attention_mask": ["B", "L"]}, ["B", 16])
    assert told(found, "attention_mask")["dtype"] == "int64"


def test_a_mask_beside_numbers_is_of_numbers(tmp_path: Path) -> None:
    found = report(
        tmp_path, net("self.fc = nn.Linear(4, 4)", "return self.fc(x) + attention_mask[..., None]", "x, attention_mask")
    )
    assert told(found, "attention_mask")["dtype"] == "float32"


@pytest.mark.parametrize(
    ("forward", "parameters"),
    [
        pytest.param("return self.cos(x, y) / 0.05", "x, y", id="cosine"),
        pytest.param(
            "return (anchor - positive).pow(2).sum(1) - (anchor - negative).pow(2).sum(1)",
            "anchor, positive, negative",
            id="triplets",
        ),
    ],
)
def test_what_is_compared_are_vectors(tmp_path: Path, forward: str, parameters: str) -> None:
    source = net("self.cos = nn.CosineSimilarity(dim=-1)", forward, parameters)
    check(tmp_path, source, {name: ["B", "F"] for name in parameters.split(", ")}, ["B"])


def test_the_states_of_a_cell_have_a_row_for_each_item_of_a_step(tmp_path: Path) -> None:
    source = net(
        "self.cell = nn.LSTMCell(5, 9)",
        "h, c = state; outs = []; \n        for t in range(seq.size(0)): h, c = self.cell(seq[t], (h, c)); "
        "return torch.stack([h, c])".replace("; \n        ", "; "),
        "seq, state: Tuple[Tensor, Tensor]",
    )
    check(tmp_path, source, {"seq": ["L", "B", 5], "state": [["B", 9], ["B", 9]]}, [2, "B", 9])


def test_what_goes_to_modules_one_by_one_is_no_more_than_they_are(tmp_path: Path) -> None:
    source = net(
        "self.books = nn.ModuleList(nn.Embedding(17, 6) for _ in range(4))",
        "return sum(self.books[q](codes[:, q]) for q in range(codes.shape[1])).transpose(1, 2)",
        "codes",
    )
    found = report(tmp_path, source)
    assert found["status"] == "ok"
    assert len(told(found, "codes")["dims"]) == 3


def test_a_loss_in_the_place_of_none_says_what_the_target_is(tmp_path: Path) -> None:
    source = net(
        "self.words = nn.Embedding(30, 8); self.head = nn.Linear(8, 5)",
        "scores = self.head(self.words(ids)); "
        "loss = None if labels is None else F.cross_entropy(scores.view(-1, 5), labels.view(-1)); return loss, scores",
        "ids, labels=None",
    )
    found = report(tmp_path, source)
    assert found["outputs"][0]["type"] == "Optional[Tensor]"
    labels = told(found, "labels")
    assert (labels["dims"], labels["dtype"], labels["values"]) == (["B", "L"], "int64", {"min": 0, "max": 4})


def test_levels_with_channels_of_their_own_have_sides_of_their_own(tmp_path: Path) -> None:
    source = net(
        "self.heads = nn.ModuleList(nn.Conv2d(c, 6, 1) for c in (8, 16))",
        "return torch.cat([head(level).flatten(2) for head, level in zip(self.heads, levels)], 2)",
        "levels: List[Tensor]",
    )
    found = check(tmp_path, source, {"levels": [["B", 8, "H", "W"], ["B", 16, "H2", "W2"]]}, ["B", 6, "H*W + H2*W2"])
    assert found["second"] is not None
