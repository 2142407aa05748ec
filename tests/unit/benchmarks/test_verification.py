"""Reports are run from their JSON alone: a true one is sound, a false one is told by the step that shows it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.parity import records, verdicts

ROOT = Path(__file__).parents[3]
SOURCE = """
import torch
from torch import nn
from a_package_that_nobody_has import missing
from _paritybench_helpers import _mock_config

cfg = _mock_config()

class Scale(nn.Module):
    def __init__(self, features=4):
        super().__init__()
        self.layer = nn.Linear(features, 3)

    def forward(self, x):
        return self.layer(x.cuda())

class Wide(nn.Module):
    def forward(self, x):
        return x.flatten(1)

class Stood(nn.Module):
    def forward(self, x):
        return missing(x)

class Ends(nn.Module):
    def forward(self, x):
        import os
        os._exit(3)

class Never(nn.Module):
    def forward(self, x):
        while True:
            pass

TESTCASES = [
    (Scale, lambda: ([], {'features': 5}), lambda: ([torch.rand([2, 5])], {}), True),
    (Scale, lambda: ([], {}), lambda: ([torch.rand([2, 5])], {}), False),
    (Wide, lambda: ([], {}), lambda: ([4], {}), True),
    (Gone, lambda: ([], {}), lambda: ([], {}), True),
]
"""
NAME = "test_corpus.py"
FREE = {"min": 1, "max": None, "multiple_of": 1}


def record(name: str, dims: Sequence[int | str], outputs: Sequence[int | str], **changes: Any) -> dict[str, Any]:
    seen = [item if isinstance(item, int) else 4 + number for number, item in enumerate(dims)]
    report = {
        "class": name,
        "status": "ok",
        "init": {"args": {}},
        "inputs": [{"name": "x", "type": "Tensor", "dtype": "float32", "dims": list(dims)}],
        "example": {"x": {"tensor": seen, "dtype": "float32"}},
        "symbols": {item: FREE for item in dims if isinstance(item, str)},
        "constraints": [],
        "outputs": [{"type": "Tensor", "dtype": "float32", "dims": list(outputs)}],
        **changes,
    }
    return {"file": NAME, "class": name, "report": report, "core_seconds": 0.0}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The verdict of each case, from one run: each in a file of its own, for a file has one report a class."""
    folder = tmp_path_factory.mktemp("corpus")
    for name, (given, _) in CASES.items():
        (folder / f"{name}.py").write_text(SOURCE)
        records.append(folder / "results.jsonl", {**given, "file": f"{name}.py"})
        records.append(folder / "results.jsonl", {"file": f"{name}.py", "done": True})
    records.append(folder / "results.jsonl", {**CASES["true"][0], "file": "end.py"})
    arguments = ["--corpus", folder, "--results", folder / "results.jsonl", "--out", folder / "out.jsonl"]
    run_module("verification", *map(str, arguments), "--limit-seconds", "2")
    return {f"{item['file'].removesuffix('.py')} {item['class']}": item for item in records.load(folder / "out.jsonl")}


def run_module(name: str, *arguments: str) -> str:
    command = [sys.executable, "-m", f"benchmarks.parity.{name}", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "true": (record("Scale", ["B", 4], ["B", 3]), "sound"),
    "output of another size": (record("Scale", ["B", 4], ["B", 2]), "example-shape"),
    "example that does not run": (record("Scale", ["B", 5], ["B", 3]), "example-run"),
    "size that is not free": (record("Scale", ["B", "F"], ["B", 3], example={"x": {"tensor": [2, 4]}}), "draw-run"),
    "size that does not follow": (record("Wide", [4, 5, "C"], [4, 30]), "draw-shape"),
    "constructor refuses": (
        record("Scale", ["B", 4], ["B", 3], init={"args": {"width": {"expr": "4"}}}),
        "example-build",
    ),
    "name of nobody's": (
        record("Scale", ["B", 4], ["B", 3], init={"args": {"features": {"expr": "agent.four"}}}),
        "example-init",
    ),
    "no such class": (record("Other", ["B", 4], ["B", 3]), "example-load"),
    "package that is missing": (record("Stood", ["B", 4], ["B", 3]), "example-run"),
    "end": (record("Ends", ["B", 4], ["B", 3]), "example-run"),
    "narrow": (
        record(
            "Wide",
            [4, "F"],
            [4, "F"],
            symbols={"F": {"min": 4, "max": 8, "multiple_of": 2}},
            example={"x": {"tensor": [4, 6]}},
        ),
        "sound",
    ),
    "no end": (record("Never", ["B", 4], ["B", 3]), "limit"),
}


@pytest.mark.parametrize("name", CASES)
def test_each_report_gets_the_verdict_that_it_deserves(judged: dict[str, dict[str, Any]], name: str) -> None:
    given, verdict = CASES[name]
    assert judged[f"{name} {given['class']}"]["verdict"] == verdict


def test_a_process_that_ends_costs_its_own_report_alone(judged: dict[str, dict[str, Any]]) -> None:
    assert judged["end Scale"]["verdict"] == "sound"


def test_a_claim_is_tight_if_breaking_it_fails(judged: dict[str, dict[str, Any]]) -> None:
    tight, loose = verdicts.claims_of(judged["true Scale"]), verdicts.claims_of(judged["narrow Wide"])
    assert tight == {("fixed dim", "x: dim 1 is 4"): True, ("dtype", "x: float32"): True}
    assert loose == {
        ("fixed dim", "x: dim 0 is 4"): False,
        ("minimum", "F >= 4"): False,
        ("maximum", "F <= 8"): False,
        ("multiple", "F is a multiple of 2"): False,
        ("dtype", "x: float32"): True,
    }


def test_the_cases_of_the_corpus_are_run_once_and_set_beside_the_reports(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(SOURCE)
    records.append(tmp_path / "results.jsonl", CASES["true"][0])
    records.append(tmp_path / "results.jsonl", record("Wide", ["B", 4], ["B", 4]))
    records.append(tmp_path / "results.jsonl", {"file": NAME, "done": True})
    cache = tmp_path / "cases.json"
    arguments = ["--corpus", tmp_path, "--cache", cache, "--results", tmp_path / "results.jsonl", "--half", "all"]
    table = run_module("testcases", *map(str, arguments))
    assert "classes with a case        3" in table
    assert "the corpus' deducer        1 (50.0 %)" in table
    assert "only the tool              1" in table
    cache.write_text(cache.read_text().replace('"Scale": ""', '"Scale": "kept"'))
    assert "the corpus' deducer        0 (0.0 %)" in run_module("testcases", *map(str, arguments))
