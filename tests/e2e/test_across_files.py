"""What other files have to do with a class: bases, instances, edits of what it imports."""

from __future__ import annotations

from pathlib import Path

from editor import editor

BASE = "from torch import nn\n\n\nclass Base(nn.Module):\n    pass\n\n\nSIZE = 4\n"
NET = """from base import SIZE, Base
from torch import nn


class Net(Base):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(SIZE, 2)

    def forward(self, x):
        return self.fc(x)
"""
TRAIN = """import torch
from net import Net

model = Net()
print(model(torch.rand(3, 7)))
"""


def written(folder: Path) -> Path:
    for name, text in (("base.py", BASE), ("net.py", NET), ("train.py", TRAIN)):
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "pyproject.toml").write_text("", encoding="utf-8")
    return folder


async def test_a_base_in_another_file_makes_a_module_and_an_edit_of_it_is_seen(tmp_path: Path) -> None:
    async with editor(written(tmp_path), tmp_path / ".cache") as session:
        uri = session.open("net.py")
        await session.hover_until(uri, 4, 7, "Net(x: Tensor (B, 4) float32)")
        base = session.open("base.py")
        session.replace(base, BASE.replace("SIZE = 4", "SIZE = 6"), 2)
        await session.hover_until(uri, 4, 7, "Net(x: Tensor (B, 6) float32)")


async def test_an_instance_in_another_file_shows_its_class(tmp_path: Path) -> None:
    async with editor(written(tmp_path), tmp_path / ".cache") as session:
        uri = session.open("train.py")
        await session.hover_until(uri, 3, 1, "Net(x: Tensor (B, 4) float32)")
        await session.hover_until(uri, 3, 9, "Net(x: Tensor (B, 4) float32)")


async def test_a_wrong_call_in_an_opened_script_is_underlined_without_a_hover(tmp_path: Path) -> None:
    async with editor(written(tmp_path), tmp_path / ".cache") as session:
        uri = session.open("train.py")
        await session.until(lambda: "call-mismatch" in session.codes(uri))
        assert [item.range.start.line for item in session.diagnostics(uri)] == [4]
        session.replace(uri, TRAIN.replace("3, 7", "3, 4"), 2)
        await session.until(lambda: session.codes(uri) == [])


TAKES = """import torch
from torch import nn


class Wide(nn.Module):
    def __init__(self, channels, width=5):
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3)

    def forward(self, x):
        return self.conv(x)
"""
MAKES = """import torch
from takes import Wide

one = Wide(3, 64)
two = Wide(1)
three = Wide(7, width=int(input()))
y = one(torch.rand(2, 3, 8, 8))
"""


async def test_an_instance_is_told_with_its_own_arguments(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "takes.py").write_text(TAKES, encoding="utf-8")
    async with editor(tmp_path, tmp_path / ".cache") as session:
        uri = session.open("makes.py", MAKES)
        first = await session.hover_until(uri, 3, 1, "(B, 3, H, W)")
        assert "(B, 64, H - 2, W - 2)" in first
        second = await session.hover_until(uri, 4, 1, "(B, 1, H, W)")
        assert "two" not in second and "Wide(1)" in second
        assert "(B, 5, H - 2, W - 2)" in second and "(B, 3, H, W)" not in second
        assert await session.hover(uri, 6, 5) == first
        assert "Decided by pragma" not in first
        assert "this instance was made are not known here" in await session.hover_until(uri, 5, 1, "Wide(x")
        assert "not known here" not in await session.hover(uri, 1, 20)
