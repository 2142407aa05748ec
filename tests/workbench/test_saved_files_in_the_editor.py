"""Saved files opened in a workbench: a page tells what goes in, or in a sentence what the file is instead."""

from __future__ import annotations

import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from playing import Drive, Seen, shown

pytestmark = [pytest.mark.workbench, pytest.mark.timeout(600)]
TAKEN = "</script><script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.fc = torch.nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.conv(x)).mean((2, 3))
        found: torch.Tensor = self.fc(y)
        return found


@pytest.fixture(scope="module")
def saved() -> Iterator[Path]:
    """A folder of saved files: two modules, weights, no archive, and one that wants to run and to write on the page."""
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder, net = Path(temporary).resolve(), Net().eval()
        torch.jit.script(net).save(folder / "scripted.pt")
        torch.export.save(torch.export.export(net, (torch.zeros(2, 3, 32, 32),)), folder / "program.pt2")
        torch.save(net.state_dict(), folder / "weights.pt")
        (folder / "none.pt").write_text(TAKEN)
        with zipfile.ZipFile(folder / "hostile.pt", "w") as made:
            made.writestr("hostile/data.pkl", b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00idid\x85R.")
            made.writestr("hostile/constants.pkl", b"\x80\x02).")
            made.writestr("hostile/version", "3\n")
            made.writestr("hostile/code/__torch__.py", TAKEN)
            made.writestr(f"hostile/extra/{TAKEN.replace('/', '')}.txt", TAKEN)
        yield folder


@pytest.fixture(scope="module")
def seen(drive: Drive, saved: Path) -> Seen:
    return drive("archives.mjs", f"folder={saved}")


def test_nothing_is_opened_before_the_folder_is_trusted(seen: Seen) -> None:
    assert "not trusted" in shown(seen, "untrusted")["text"]


def test_a_scripted_module_tells_what_goes_in(seen: Seen) -> None:
    text = shown(seen, "scripted")["text"]
    assert "(x: Tensor (B, 3, H, W) float32) → Tensor (B, 10)" in text
    assert "Conv2d" in text and "Linear" in text


def test_an_exported_program_tells_the_sizes_it_was_exported_for(seen: Seen) -> None:
    assert "exported for x (2, 3, 32, 32)" in shown(seen, "program")["text"]


def test_weights_without_a_module_say_so_and_what_they_hold(seen: Seen) -> None:
    text = shown(seen, "weights")["text"]
    assert "weights and no module" in text
    assert "conv.weight (8, 3, 3, 3)" in text


def test_a_file_that_is_no_archive_gets_a_sentence(seen: Seen) -> None:
    assert "It is no file that torch writes" in shown(seen, "none")["text"]


@pytest.mark.parametrize("scene", ["none", "hostile"])
def test_what_a_file_says_is_text_on_the_page(seen: Seen, scene: str) -> None:
    found = shown(seen, scene)
    assert "taken" not in found["title"] and found["strange"] == 0
    if scene == "hostile":
        assert "<img src=x" in found["text"]
