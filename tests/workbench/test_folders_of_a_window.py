"""Several folders in one workbench: each is told by its own interpreter and shown by its own settings."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from environments import made
from playing import Drive, Seen, shown

pytestmark = [pytest.mark.workbench, pytest.mark.timeout(600)]
NET = """import installed_here
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(installed_here.WIDTH, 3)

    def forward(self, x):
        y = self.fc(x)
        return y
"""
WIDTHS = {"first": 7, "second": 11}


@pytest.fixture(scope="module")
def window() -> Iterator[Path]:
    """A file that names two folders, each with an environment; the second wants no hints."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary).resolve()
        for name, width in WIDTHS.items():
            (place / name / ".vscode").mkdir(parents=True)
            (place / name / f"{name}_net.py").write_text(NET)
            made(place / name / ".venv", installed_here=f"WIDTH = {width}\n")
            settings = {"tsShape.interpreter": ".venv/bin/python"}
            if name == "second":
                settings["tsShape.inlayHints"] = "off"
            (place / name / ".vscode/settings.json").write_text(json.dumps(settings))
        found = place / "window.code-workspace"
        found.write_text(json.dumps({"folders": [{"path": "first"}, {"path": "second"}]}))
        yield found


@pytest.fixture(scope="module")
def seen(drive: Drive, window: Path) -> Seen:
    return drive("folders.mjs", f"workspace={window}")


@pytest.mark.parametrize("folder", list(WIDTHS))
def test_the_status_item_tells_the_interpreter_of_the_file_in_front(seen: Seen, window: Path, folder: str) -> None:
    item = shown(seen, folder)["item"]
    assert f"In the folder {folder}" in item
    assert str(window.parent / folder / ".venv") in item.replace("\n", "")


def test_a_setting_of_a_folder_is_for_its_files_alone(seen: Seen) -> None:
    hinted = {scene: any("(B, 3)" in line for line in shown(seen, scene)["code"]) for scene in ("first", "second")}
    assert hinted == {"first": True, "second": False}


def test_going_back_to_a_file_tells_of_its_folder_again(seen: Seen) -> None:
    assert "In the folder first" in shown(seen, "again")["item"]
