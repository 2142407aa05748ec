"""A size that strides make so small that it is one in most runs is no constant."""

from __future__ import annotations

from pathlib import Path

import pytest
from inference_helpers import net, report

STEPS = "self.steps = nn.Sequential(*(nn.Conv1d(1 if n == 0 else 4, 4, 9, 4, padding=4) for n in range(3)))"


@pytest.mark.parametrize(
    ("forward", "wanted"),
    [
        ("return self.steps(x)", {"(L - 1)//64 + 1", "?"}),
        ("return torch.flatten(self.steps(x).mean(1, keepdim=True), 1, -1)", {"(L - 1)//64 + 1", "?"}),
        ("return self.steps(x).amax(-1, keepdim=True)", {1}),
    ],
    ids=["as it is", "flattened", "pooled"],
)
def test_a_size_that_is_one_for_small_inputs(tmp_path: Path, forward: str, wanted: set[object]) -> None:
    found = report(tmp_path, net(STEPS, forward))
    assert found["status"] == "ok", found["reason"]
    assert found["inputs"][0]["dims"] == ["B", 1, "L"]
    assert found["outputs"][0]["dims"][-1] in wanted
