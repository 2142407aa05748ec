"""What a detector is told of each image is a list of mappings, read by key in loops, and no tensor."""

from __future__ import annotations

from pathlib import Path

import pytest
from inference_helpers import net, report

FC = "self.fc = nn.Linear(6, 5)"


@pytest.mark.parametrize(
    "forward",
    [
        "return self.fc(x) + sum(t['boxes'].sum() * t['labels'].sum() for t in found)",
        "y = self.fc(x); for t in found: y = y + t['boxes'].sum() + t['labels'].sum(); return y",
        "y = self.fc(x); for i, t in enumerate(found): y = y + i * t['boxes'].sum() + t['labels'].sum(); return y",
        "y = [r.sum() + t['boxes'].sum() * t['labels'].sum() for r, t in zip(x, found)]; return self.fc(x) + sum(y)",
        "y = sum(found[i]['labels'].sum() for i in range(len(found))); return self.fc(x) + y + found[0]['boxes'].sum()",
    ],
    ids=["a generator", "a loop", "a counted loop", "a loop beside the batch", "by index"],
)
def test_targets_are_a_list_of_mappings(tmp_path: Path, forward: str) -> None:
    made = report(tmp_path, net(FC, forward, "x, found"))
    assert made["status"] == "ok", made["reason"]
    targets = made["inputs"][1]
    assert targets["type"] == "List[Dict[str, Tensor]]"
    parts = dict(zip(targets["items"][0]["keys"], targets["items"][0]["items"], strict=True))
    assert (len(parts["boxes"]["dims"]), parts["labels"]["dtype"], len(parts["labels"]["dims"])) == (2, "int64", 1)


def test_a_list_that_may_be_left_out_is_told_as_one(tmp_path: Path) -> None:
    forward = "loss = None if found is None else torch.cat([t['boxes'] for t in found]).mean(); return self.fc(x), loss"
    made = report(tmp_path, net(FC, forward, "x, found=None"))
    assert made["status"] == "ok", made["reason"]
    assert made["inputs"][1]["type"] == "Optional[List[Dict[str, Tensor]]]"


def test_rows_of_a_tensor_are_no_mappings(tmp_path: Path) -> None:
    made = report(tmp_path, net(FC, "return self.fc(x) + sum(row[0] for row in x)"))
    assert made["status"] == "ok", made["reason"]
    assert made["inputs"][0]["type"] in ("Tensor", "List[Tensor]")
