"""A saved module that calls operations of another package is replayed only: torch's interpreter of scripts can end the
process where it runs such ones on tensors without memory.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ts_shape_server.agent import clock
from ts_shape_server.agent.saved import inspection, replay
from ts_shape_server.contract.asked import InspectJob
from ts_shape_server.contract.report import Report

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


class Doubled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2.0


@pytest.mark.parametrize(
    ("packages", "status", "sure", "asked"),
    [
        ([], "unresolved", False, [True, False]),
        (["torchvision"], "unresolved", False, [True]),
        (["torchvision"], "ok", True, [True]),
        (["torchvision"], "ok", False, [True]),
    ],
)
def test_what_calls_operations_of_packages_is_replayed_only(
    packages: list[str], status: str, sure: bool, asked: list[bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "doubled.pt"
    torch.jit.script(Doubled()).save(str(path))
    ways: list[bool] = []

    def reported(saved: object, path: str, replayed: bool, deadline: float, scratch: str) -> tuple[Report, bool]:
        ways.append(replayed)
        return Report(path=path, name="Doubled", line=1, status="ok" if status == "ok" else "unresolved"), sure

    monkeypatch.setattr(inspection.packages, "needed", lambda path: packages)
    monkeypatch.setattr(inspection.packages, "imported", lambda package: True)
    monkeypatch.setattr(inspection, "_reported", reported)
    answer = inspection.inspect(InspectJob(archive=str(path)), clock.now() + 60, str(tmp_path))
    assert ways == asked
    assert (answer.source == "solved") == (status == "ok" and sure)
    assert (answer.report is None) == (status == "ok" and not sure)


def test_an_archive_says_whether_its_operations_are_torchs(tmp_path: Path) -> None:
    library = torch.library.Library("ts_shape_of_a_package", "DEF")
    library.define("halved(Tensor x) -> Tensor")
    library.impl("halved", lambda x: x / 2.0, "CompositeExplicitAutograd")

    def halved(x: Tensor) -> Tensor:
        return torch.ops.ts_shape_of_a_package.halved(x)  # type: ignore[no-any-return]  # made by torch when asked for

    class Halved(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(halved(x))

    for name, module, foreign in (
        ("plain", Doubled(), False),
        ("other", torch.jit.trace(Halved(), torch.rand(2)), True),
    ):
        path = tmp_path / f"{name}.pt"
        torch.jit.script(module).save(str(path))
        assert replay.Archive(str(path)).foreign == foreign
