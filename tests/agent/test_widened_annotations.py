"""Types are those of every run: the example, the second size, and what else the workspace passes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from probing_helpers import Prober

from ts_shape_server.contract.report import Report
from ts_shape_server.workspace import Workspace

CLASS = """import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def scaled(self, x, by):
        return x * by

    def forward(self, x, scale, mask=None):
        y = self.scaled(self.fc(x), scale)
        return y if mask is None else y * mask


"""


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    made = Prober(wall=30.0)
    yield made
    made.close()


def look(prober: Prober, folder: Path, calls: list[str]) -> Report:
    path, text = str(folder / "net.py"), CLASS + "".join(f"Net()({call})\n" for call in calls)
    workspace = Workspace((str(folder),), lambda: {path: text})
    request = workspace.request(workspace.snapshot(path, text))
    report: Report = prober.run(prober.service.reports(request, lambda report: None))[0]
    assert report.status == "ok", report.reason
    return report


@pytest.mark.parametrize(
    ("calls", "scale", "others"),
    [
        (["torch.rand(3, 4), 2"], "int", 0),
        (["torch.rand(3, 4), 2", "torch.rand(5, 4), 3"], "int", 0),
        (["torch.rand(3, 4), 2", "torch.rand(3, 4), 0.5"], "float", 1),
        (["torch.rand(3, 4), 2, torch.rand(2)", "torch.rand(3, 4), 2"], "int", 1),
        (["torch.rand(3, 4), 2", "torch.rand(3, 7), 0.5"], "int", 0),
    ],
    ids=["one call", "the same types", "a number of another type", "a call without the mask", "a call that fails"],
)
def test_a_call_of_another_type_widens(
    prober: Prober, tmp_path: Path, calls: list[str], scale: str, others: int
) -> None:
    report = look(prober, tmp_path, calls)
    types = {(item.function, item.name): item.type for item in report.torchscript.annotations}
    assert types["forward", "scale"] == types["scaled", "by"] == scale
    assert types["forward", "mask"] == "Optional[Tensor]"
    assert len(report.others) == others
