"""An archive's report equals that of its class when dims, ranges, constraints and outputs do; names may differ."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.archives.comparison import difference
from ts_shape_server.contract import schema
from ts_shape_server.contract.report import Report


def report(names: str = "BHW", **changes: Any) -> Report:
    batch, height, width = names
    free = {"min": 1, "max": None, "multiple_of": 1}
    made = {
        "path": "net.py",
        "class": "Net",
        "line": 1,
        "status": "ok",
        "inputs": [{"name": "x", "type": "Tensor", "dtype": "float32", "dims": [batch, 3, height, width]}],
        "symbols": {width: {**free, "min": 28}, batch: free, height: {**free, "min": 28}},
        "constraints": [f"{height} % 2 == 0", f"16*{height}*{width} == 3136"],
        "outputs": [{"type": "Tensor", "dtype": "float32", "dims": [batch, f"{height}//2"]}],
    }
    return schema.read(Report, {**made, **changes})


def check(archive: Report, source: Report, words: str) -> None:
    found = difference(archive, source)
    assert words in found if words else not found


def test_names_and_the_order_of_symbols_and_constraints_do_not_matter() -> None:
    check(report("NYX", constraints=["16*Y*X == 3136", "Y % 2 == 0"]), report(), "")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "unresolved"}, "the archive is unresolved"),
        ({"inputs": [{"name": "x", "type": "Tensor", "dtype": "float32", "dims": ["B", 4, "H", "W"]}]}, "inputs: "),
        ({"inputs": [{"name": "x", "type": "Tensor", "dtype": "float64", "dims": ["B", 3, "H", "W"]}]}, "float64"),
        ({"symbols": {"B": {"min": 1, "max": 3}, "H": {"min": 28}, "W": {"min": 28}}}, "n0 1..3"),
        ({"constraints": ["H % 2 == 0"]}, "constraints: "),
        ({"outputs": [{"type": "Tensor", "dtype": "float32", "dims": ["B", "W//2"]}]}, "n2//2) float32 instead of"),
    ],
)
def test_everything_else_is_told(changes: dict[str, Any], words: str) -> None:
    check(report(**changes), report(), words)


def test_a_class_without_a_report_is_told_as_such() -> None:
    check(report(), report(status="failed"), "the class is failed")
