"""Inlay hints and code lenses: where they stand and what they say."""

from __future__ import annotations

import ast
from dataclasses import replace

import pytest
from sample_reports import CNN, FAILED, LISTS, tensor

from ts_shape_server.analysis.places import ClassPlace, Stored, stored_names
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range
from ts_shape_server.contract.report import Report, Variable
from ts_shape_server.features.hints import hints
from ts_shape_server.features.known import Known
from ts_shape_server.features.lenses import lens_title, lenses

TEXT = """
class SimpleCNN(nn.Module):
    def forward(self, x):
        "é"; h = self.conv(x)
        h = relu(h)
        a, b = self.pool(
            h,
        )
        for step in h:
            h = h + 1
        return h
"""
NAME = Range(2, 6, 2, 15)
ALL = Range(1, 0, 99, 0)
PLACE = ClassPlace("SimpleCNN", NAME, {"x": (Range(3, 22, 3, 23), None)})
REPORT = replace(
    CNN,
    variables=(
        Variable("h", 4, tensor("B", 16)),
        Variable("h", 5, tensor("B", 16)),
        Variable("a", 6, tensor("B", 8)),
        Variable("b", 8, tensor("B", 4)),
        Variable("h", 10, tensor("B", 16)),
        Variable("h", 10, tensor("B", 17)),
    ),
)


def names(text: str) -> list[Stored]:
    return stored_names(SourceText(text), ast.parse(text))


def check(mode: str, *expected: tuple[int, int, str], fresh: bool = True, place: ClassPlace = PLACE) -> None:
    known = {"SimpleCNN": Known("SimpleCNN", REPORT, fresh=fresh)}
    found = hints(names(TEXT), [place], known, mode, ALL)  # type: ignore[arg-type]
    assert [(item.line, item.column, item.label) for item in found] == list(expected)


def test_hints_stand_after_the_name_where_the_shape_changes() -> None:
    check(
        "changed",
        (3, 23, ": (B, 3, H, W)"),
        (4, 14, ": (B, 16)"),
        (6, 9, ": (B, 8)"),
        (6, 12, ": (B, 4)"),
        (10, 13, ": (B, 16) or (B, 17)"),
    )


def test_all_means_every_assignment() -> None:
    check(
        "all",
        (3, 23, ": (B, 3, H, W)"),
        (4, 14, ": (B, 16)"),
        (5, 9, ": (B, 16)"),
        (6, 9, ": (B, 8)"),
        (6, 12, ": (B, 4)"),
        (10, 13, ": (B, 16) or (B, 17)"),
    )


def test_no_hints_when_off_stale_or_skipped() -> None:
    check("off")
    check("all", fresh=False)
    check("all", place=replace(PLACE, skip=True))


def test_only_the_lines_in_sight_have_hints() -> None:
    known = {"SimpleCNN": Known("SimpleCNN", REPORT, fresh=True)}
    assert [item.line for item in hints(names(TEXT), [PLACE], known, "all", Range(4, 0, 5, 0))] == [4, 5]


@pytest.mark.parametrize(
    ("known", "title"),
    [
        (Known("N", CNN, fresh=True), "(B, 3, H, W) → (B, 10) · 31.8 K · script ✓"),
        (Known("N", LISTS, fresh=True), "[(L), …] → (2, 5) · 31.8 K · script ✗ 2 reasons, trace ✓"),
        (Known("N", FAILED, fresh=True), "forward fails: `self.conv2` takes 32 channels, 16 arrive"),
        (Known("N", CNN, running=True), "probing…"),
        (Known("N", CNN), ""),
        (Known("N", replace(FAILED, status="timeout", reason=None), fresh=True), "took too long"),
    ],
)
def test_a_lens_says_the_class_in_one_line(known: Known, title: str) -> None:
    assert lens_title(known) == title


@pytest.mark.parametrize(("report", "actions"), [(CNN, ["report", "export"]), (FAILED, ["report"]), (None, [])])
def test_only_what_runs_can_be_exported(report: Report | None, actions: list[str]) -> None:
    known = {"SimpleCNN": Known("SimpleCNN", report, fresh=report is not None)}
    assert [item.action for item in lenses([PLACE], known)] == actions
