"""Two reports of one class are compared field by field; times may differ."""

from __future__ import annotations

from benchmarks.steady.__main__ import differences

REPORT = {"status": "ok", "core_ms": 5, "inputs": [{"name": "x", "dims": ["B", 3]}, {"name": "y", "dims": [2]}]}


def test_times_are_no_difference() -> None:
    assert differences(REPORT, {**REPORT, "core_ms": 900}) == []


def test_a_difference_is_told_by_the_path_of_its_field() -> None:
    other = {**REPORT, "status": "failed", "inputs": [{"name": "x", "dims": ["B", 4]}, {"name": "y", "dims": [2, 2]}]}
    assert differences(REPORT, other) == ["status", "inputs[].dims[]", "inputs[].dims"]


def test_a_report_that_is_missing_is_a_difference() -> None:
    assert differences({"status": "ok"}, None) == ["all of it"]
