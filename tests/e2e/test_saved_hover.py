"""The hover over the path of a saved module: what goes into it, once the workspace is trusted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from editor import editor
from torch import Tensor, nn

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
]

SOURCE = """import torch
from pathlib import Path
model = torch.jit.load("models/net.pt")
other = torch.jit.load("models/none.pt")
FOLDER = Path(__file__).parent / "models"
third = torch.jit.load(FOLDER / f"{'net'}.pt")
whole = torch.jit.load(str(FOLDER))
"""


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(12, 5)

    def forward(self, features: Tensor) -> Tensor:
        return self.fc(features)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    (folder / "models").mkdir(parents=True)
    torch.jit.script(Net()).save(str(folder / "models" / "net.pt"))
    (folder / "use.py").write_text(SOURCE)
    return folder


async def test_the_path_of_a_saved_module_tells_what_goes_in(workspace: Path, tmp_path: Path) -> None:
    async with editor(workspace, tmp_path / "cache") as session:
        uri = session.open("use.py")
        text = await session.hover_until(uri, 2, 27, "(B, 12)")
        assert "Net(features: Tensor (B, 12) float32) → Tensor (B, 5)" in text
        assert "scripted module" in text
        assert "There is no file" in await session.hover(uri, 3, 27)
        assert "(B, 12)" in await session.hover_until(uri, 5, 40, "(B, 12)")
        assert "is a folder" in await session.hover_until(uri, 6, 30, "is a folder")


async def test_a_file_that_is_written_anew_is_read_anew(workspace: Path, tmp_path: Path) -> None:
    async with editor(workspace, tmp_path / "cache") as session:
        uri = session.open("use.py")
        await session.hover_until(uri, 2, 27, "(B, 12)")
        torch.save({"w": torch.zeros(3)}, workspace / "models" / "net.pt")
        assert "weights and no module" in await session.hover_until(uri, 2, 27, "1 tensor,")


async def test_a_saved_file_is_inspected_by_a_command(workspace: Path, tmp_path: Path) -> None:
    async with editor(workspace, tmp_path / "cache") as session:
        archive = workspace / "models" / "net.pt"
        for argument in ({"path": str(archive)}, {"uri": archive.as_uri()}):
            answer = await session.command("tsShape.inspectArchive", argument)
            assert (answer["ok"], answer["kind"], answer["source"]) == (True, "script", "solved")
            assert "(B, 12)" in answer["markdown"]
        for bad, words in (
            ({"path": str(workspace)}, "is a folder"),
            ({}, "must name a saved file"),
            ({"path": 3}, "{path}"),
        ):
            answer = await session.command("tsShape.inspectArchive", bad)
            assert answer["ok"] is False
            assert words in answer["message"]


async def test_nothing_is_read_in_a_workspace_that_is_not_trusted(workspace: Path, tmp_path: Path) -> None:
    async with editor(workspace, tmp_path / "cache", trusted=False) as session:
        uri = session.open("use.py")
        assert await session.hover(uri, 2, 27) == ""
        answer = await session.command("tsShape.inspectArchive", {"path": str(workspace / "models" / "net.pt")})
        assert (answer["ok"], answer.get("kind")) == (False, None)
