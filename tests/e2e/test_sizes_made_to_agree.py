"""A number that is offered for a call that fails was run with that call, and with whatever else uses the class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from probing_helpers import Prober, quiet

from ts_shape_server.lsp.trials import RewriteTrials
from ts_shape_server.workspace import Workspace

NET = """import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, stride=2)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(width * 4 * 4, 10))

    def forward(self, x):
        return self.head(self.conv(x))


class Rows(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2)
        self.fc = nn.Linear(4 * 4 * 4, 10)

    def forward(self, x):
        return self.fc(torch.flatten(self.conv(x), 1))


class Unflattened(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4 * 6 * 6, 10)

    def forward(self, x):
        return self.fc(self.conv(x))
"""
LARGE = "\n\nprint({}()(torch.rand(2, 3, 13, 13)))\n"
FUNCTION = "\n\ndef perhaps(wanted):\n    if wanted:\n        return Rows()(torch.rand({}))\n"
WHOLE = """

class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.rows = Rows()

    def forward(self, x):
        return self.rows(nn.functional.interpolate(x, size=(9, 9)))


print(Whole()(torch.rand(2, 3, 40, 40)))
"""


@pytest.fixture(scope="module")
def patient() -> Iterator[Prober]:
    made = Prober(wall=60.0)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("name", "calls", "refused", "titles"),
    [
        ("Rows", LARGE.format("Rows"), 1, ["Set `in_features=144` in `fc`"]),
        # A call that nobody is certain of counts as one that may be made.
        ("Rows", LARGE.format("Rows") + FUNCTION.format("7, 3, 13, 13"), 1, ["Set `in_features=144` in `fc`"]),
        ("Rows", LARGE.format("Rows") + FUNCTION.format("2, 3, 9, 9"), 1, []),
        ("Rows", WHOLE + LARGE.format("Rows"), 1, []),
        # What arrives has to change, and no number.
        ("Unflattened", "\n\nprint(Unflattened()(torch.rand(2, 3, 8, 8)))\n", 1, []),
        ("Net", "\n\nprint(Net()(torch.rand(2, 13, 13, 3)))\n", 1, []),
        ("Rows", "\n\nprint(Rows()(torch.rand(2, 3, 9, 9)))\n", 0, []),
    ],
    ids=["alone", "with another that fits", "with another that does not", "held", "not flattened", "channels", "right"],
)
def test_a_number_is_offered_that_all_calls_take(
    patient: Prober, tmp_path: Path, name: str, calls: str, refused: int, titles: list[str]
) -> None:
    prober, path, text = patient, str(tmp_path / "net.py"), NET + calls
    workspace = Workspace((str(tmp_path),), lambda: {path: text})
    snapshot = workspace.snapshot(path, text)
    request = workspace.request(snapshot, [name, *(["Whole"] if WHOLE in calls else [])])
    reports = prober.run(prober.service.reports(request, quiet))
    report = next(item for item in reports if item.name == name)
    assert [item.code for item in report.mismatches] == ["call-mismatch"] * refused
    fixes = prober.run(RewriteTrials(prober.service, workspace, snapshot, request).fixes(report, reports))
    assert [item.title for item in fixes if item.title.startswith(("Set", "Flatten"))] == titles
