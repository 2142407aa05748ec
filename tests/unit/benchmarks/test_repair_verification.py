"""A repair is judged from outside: what it computes in both modes, whether it scripts, and whether it can be saved."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.parity import records
from benchmarks.repair import table

ROOT = Path(__file__).parents[3]
ORIGINAL = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])

    def forward(self, x):
        for number in range(2):
            x = self.layers[number](x)
        if self.training:
            x = x + 1
        return x, x.shape[0]
"""
REPAIRED = ORIGINAL.replace("for number in range(2):", "for layer in self.layers:").replace(
    "self.layers[number](x)", "layer(x)"
)
IGNORING = REPAIRED.replace(
    "    def forward(self, x):\n",
    "    @torch.jit.ignore\n    def part(self, x: torch.Tensor) -> torch.Tensor:\n        return x\n\n"
    "    def forward(self, x):\n        x = self.part(x)\n",
)
REPORT = {
    "class": "Net",
    "inputs": [{"name": "x", "type": "Tensor", "dtype": "float32", "dims": ["B", 3]}],
    "example": {"x": {"tensor": [2, 3], "dtype": "float32"}},
    "symbols": {"B": {"min": 1, "max": None, "multiple_of": 1}},
}


@pytest.mark.parametrize(
    ("repaired", "same", "scripts", "saves", "words"),
    [
        (REPAIRED, True, True, True, ""),
        (IGNORING, True, True, False, ""),
        (ORIGINAL, True, False, False, ""),
        (REPAIRED.replace("x + 1", "x + 2"), False, True, True, "training mode"),
        (REPAIRED.replace("x.shape[0]", "2"), False, True, True, "eval mode"),
        (REPAIRED.replace("return x, x.shape[0]", "return x"), False, True, True, "output"),
        (REPAIRED.replace("self.layers", "self.others"), False, False, False, "not built"),
        (REPAIRED.replace("x = layer(x)", "x = layer(x) + missing"), False, False, False, "raises NameError"),
    ],
)
def test_a_repair_is_judged_in_a_fresh_process(
    tmp_path: Path, repaired: str, same: bool, scripts: bool, saves: bool, words: str
) -> None:
    verdict = judged(tmp_path, repaired)
    assert (verdict["same"], verdict.get("scripts", False), verdict.get("saves", False)) == (same, scripts, saves)
    assert words in verdict["difference"]
    assert not verdict["scripted"]


def test_a_script_that_computes_something_else_is_none_before_and_after(tmp_path: Path) -> None:
    source = ORIGINAL.replace("for number in range(2):", "if scale is None:").replace("self.layers[number](x)", "x + 1")
    verdict = judged(tmp_path, source.replace("self, x):", "self, x, scale=None):"), alone=True)
    assert (verdict["same"], verdict["scripted"], verdict["scripts"]) == (True, False, False)


def judged(folder: Path, repaired: str, alone: bool = False) -> dict[str, Any]:
    original, copy, job, out = (folder / name for name in ("a.py", "b.py", "job.json", "out.jsonl"))
    original.write_text(repaired if alone else ORIGINAL)
    copy.write_text(repaired)
    told = {"original": str(original), "repaired": str(copy), "reports": [REPORT], "seconds": 20}
    job.write_text(json.dumps(told))
    subprocess.run([sys.executable, "-m", "benchmarks.repair.verification", str(job), str(out)], cwd=ROOT, check=True)
    (found,) = records.load(out)
    return found


def test_what_leaves_torchscript_is_counted_apart() -> None:
    plain = {"file": "a", "class": "A", "compiled": False, "repaired": True, "saves": True, "runs": 4, "same": True}
    plain |= {"left_to_python": False, "broken": False, "failures": [], "places": [], "first": "exact"}
    leaving = {**plain, "left_to_python": True, "saves": False}
    found = table.summary([plain, plain, leaving])
    assert "| repaired | 3 (100 %) |" in found
    assert "| … all of it compiled | 2 |" in found
    assert "| … a part left to Python, with `ignore` or `unused` | 1 |" in found
    assert "| … can be saved | 2 |" in found
