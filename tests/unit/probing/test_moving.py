"""The lines of a kept report follow an edit, and no text makes that slow."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from ts_shape_server.contract.report import Report, ValueSpec, Variable
from ts_shape_server.probing.moving import with_text


def moved(old: str, new: str, *lines: int) -> list[int]:
    variables = tuple(Variable("x", line, ValueSpec("Tensor")) for line in lines)
    report = replace(Report("/w/net.py", "Net", 1, "ok"), variables=variables)
    return [item.line for item in with_text(report, old, new).variables]


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        pytest.param("a\nb\nc\n", "a\nb\nc\n", [1, 2, 3], id="nothing"),
        pytest.param("a\nb\nc\n", "new\na\nb\nc\n", [2, 3, 4], id="a line above"),
        pytest.param("a\nb\nc\n", "b\nc\n", [1, 1, 2], id="the first line removed"),
        pytest.param("a\nb\nc\n", "a\nnew\nb\nc\nmore\n", [1, 3, 4], id="in between and below"),
        pytest.param("a\nb\nc\n", "a\nB\nnew\nc\n", [1, 2, 4], id="a line replaced by two"),
        pytest.param("a\na\na\n", "a\na\na\na\n", [1, 2, 3], id="equal lines"),
        pytest.param("a\nb\nc\n", "c\n", [1, 2, 1], id="only the last stays"),
    ],
)
def test_lines_follow_an_edit(old: str, new: str, lines: list[int]) -> None:
    assert moved(old, new, 1, 2, 3) == lines


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("y\n" + "x\n" * 100_000, "x\n" * 100_000 + "y\n", id="equal lines"),
        pytest.param("x\ny\n" * 20_000 + "z", "z\n" + "y\nx\n" * 20_000, id="two kinds of lines"),
    ],
)
def test_a_text_made_to_be_slow_is_followed_at_once(old: str, new: str) -> None:
    began = time.process_time()
    assert len(moved(old, new, *range(1, 20_000))) == 19_999
    assert time.process_time() - began < 5
