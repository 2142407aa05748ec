"""A class that fails for every input shows what a run did up to the line that fails, and nothing from there on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inference_helpers import HEADER, net, report

FIRST = HEADER.count("\n") + 8
"""The line of `def forward`, with three lines in the constructor."""


def told(found: dict[str, Any], kind: str) -> dict[str, list[Any]]:
    """By name, the lines from the beginning of `forward` on, and what was there."""
    told: dict[str, list[Any]] = {}
    for item in found.get(kind, []):
        told.setdefault(item["name"], []).append((item["line"] - FIRST, item["dims"]))
    return told


def test_locals_and_layers_up_to_the_line_that_fails(tmp_path: Path) -> None:
    init = "self.conv = nn.Conv2d(3, 16, 3); self.second = nn.Conv2d(32, 8, 3); self.last = nn.ReLU()"
    found = report(tmp_path, net(init, "a = self.conv(x); a = self.second(;     a; ); return self.last(a)"))
    assert found["status"] == "failed"
    (batch, channels, height, width) = found["example"]["x"]["tensor"]
    after = [batch, 16, height - 2, width - 2]
    assert channels == 3
    assert told(found, "variables")["a"] == [(1, after)]
    assert told(found, "uses")["a"] == [(3, after)]
    assert [item["name"] for item in found["layers"]] == ["conv"]
    assert (found["inputs"], found["outputs"]) == ([], [])


def test_a_loop_that_fails_in_a_later_round_tells_of_no_assignment_in_its_line(tmp_path: Path) -> None:
    init = "self.parts = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 5), nn.Linear(4, 4)]); self.a = 1; self.b = 2"
    found = report(tmp_path, net(init, "for part in self.parts:;     x = part(x); return x"))
    assert found["status"] == "failed"
    lines = [line for line, _ in told(found, "variables").get("x", [])]
    assert 2 not in lines
    assert [dims[-1] for line, dims in told(found, "uses")["x"] if line == 2] == [4, 5]


def test_what_runs_for_some_input_is_not_told_like_that(tmp_path: Path) -> None:
    found = report(tmp_path, net("self.fc = nn.Linear(4, 4)", "y = self.fc(x); raise ValueError(len(y))"))
    assert found["status"] != "failed"
    assert (found["example"], found["variables"], found["layers"]) == ({}, [], [])
