"""What hangs on a module that nobody gives is told as unknown, and what another one could not change as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from inference_helpers import report


def net(parameters: str, init: str, *forward: str, inputs: str = "x") -> str:
    lines = "".join(f"        {line}\n" for line in forward)
    return (
        f"class Net(nn.Module):\n    def __init__(self, {parameters}):\n        super().__init__()\n        {init}\n"
        f"    def forward(self, {inputs}):\n{lines}"
    )


@pytest.mark.parametrize(
    ("source", "outputs"),
    [
        pytest.param(
            net("backbone", "self.backbone = backbone", "return self.backbone(x).relu()"),
            [["B", "?", "?", "?"]],
            id="all but the batch",
        ),
        pytest.param(
            net(
                "encoder, width",
                "self.encoder, self.last = encoder, nn.Linear(width, 5)",
                "z = self.encoder(x, y)",
                "return z, self.last(z.mean(1))",
                inputs="x, y",
            ),
            [["B", "?", "?", "width"], ["B", "?", 5]],
            id="but for what a layer takes and makes",
        ),
    ],
)
def test_what_another_module_would_change_is_not_known(tmp_path: Path, source: str, outputs: list[object]) -> None:
    found = report(tmp_path, source)
    assert [item["dims"] for item in found["outputs"]] == outputs
    (note,) = found["notes"]
    assert "Nobody gives" in note


@pytest.mark.parametrize(
    ("source", "output"),
    [
        pytest.param(
            net(
                "sublayer, size",
                "self.sublayer, self.norm = sublayer, nn.LayerNorm(size)",
                "return x + self.sublayer(self.norm(x))",
            ),
            ["B", "L", "size"],
            id="a sum with what went in",
        ),
        pytest.param(
            net("width", "self.skip, self.last = nn.Identity(), nn.Linear(width, 3)", "return self.last(self.skip(x))"),
            ["B", 3],
            id="an Identity of the author's",
        ),
    ],
)
def test_what_no_other_module_could_change_is_known(tmp_path: Path, source: str, output: list[object]) -> None:
    found = report(tmp_path, source)
    assert (found["outputs"][0]["dims"], found["notes"]) == (output, [])
