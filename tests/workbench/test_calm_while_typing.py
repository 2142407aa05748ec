"""While a line is typed in a workbench nothing that is drawn vanishes, and nothing stands at another line."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playing import Drive, shown

pytestmark = [pytest.mark.workbench, pytest.mark.timeout(600)]
TEXT = """import torch
from torch import nn


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1)

    def forward(self, x):
        y = self.conv(x)
        z = y.flatten(1)
        return z
"""
TYPED = "y = y.flatten(2)"
HINTED = ("def forward(self, x: (B, 3, H, W)):", "y: (B, 16, H, W) = self.conv(x)", "z: (B, 16*H*W) = y.flatten(1)")
Look = dict[str, Any]


@pytest.fixture(scope="module")
def film(drive: Drive) -> Iterator[list[Look]]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        (folder / "typed.py").write_text(TEXT)
        # What is told of a text that is half typed is another matter: no probe begins before the line is whole.
        (folder / ".vscode").mkdir()
        (folder / ".vscode/settings.json").write_text('{"tsShape.debounceMs": 3000}')
        yield shown(drive("film.mjs", f"folder={folder}", typed=TYPED), "film")


def lasting(film: list[Look], faults: Any) -> list[Any]:
    """The faults that two looks in a row have: in one look a frame may be half drawn."""
    found = [set(faults(look)) for look in film]
    return [fault for one, other in itertools.pairwise(found) for fault in one & other]


def test_the_film_shows_the_line_being_typed(film: list[Look]) -> None:
    lines = {line.strip() for look in film for line in look["lines"]}
    assert len(film) > 20
    assert {TYPED[:length].strip() for length in (1, 5, 9)} <= lines


def test_no_hint_vanishes_or_changes_its_line(film: list[Look]) -> None:
    assert lasting(film, lambda look: set(HINTED) - {line.strip() for line in look["lines"]}) == []


def test_no_line_shows_a_hint_that_is_not_its_own(film: list[Look]) -> None:
    known = {line.strip() for line in TEXT.split("\n")} | set(HINTED)

    def strange(look: Look) -> set[str]:
        other = {line.strip() for line in look["lines"]} - known
        # What is typed has brackets that the editor closes, and gets its own hint once it is whole.
        return {
            line for line in other if not (TYPED + ")").startswith(line.removesuffix(")")) and "H*W) = " not in line
        }

    assert lasting(film, strange) == []


def test_the_lens_stays_above_its_class(film: list[Look]) -> None:
    def lost(look: Look) -> set[str]:
        above = [lens["text"] for lens in look["lenses"] if lens["line"].startswith("class Scaled")]
        return set() if any("(B, 3, H, W)" in text for text in above) else {"no lens with the input above the class"}

    assert lasting(film, lost) == []
