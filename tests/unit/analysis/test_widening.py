"""Types that several runs saw in one place become the narrowest that takes them all."""

from __future__ import annotations

import pytest

from ts_shape_server.analysis.widening import widened


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["Tensor", "Tensor"], "Tensor"),
        (["Tensor", "None"], "Optional[Tensor]"),
        (["None", "Tensor", "Optional[Tensor]"], "Optional[Tensor]"),
        (["int", "float", "int"], "float"),
        (["Optional[int]", "float"], "Optional[float]"),
        (["List[int]", "List[float]"], "List[float]"),
        (["Tuple[Tensor, int]", "Tuple[Tensor, None]"], "Tuple[Tensor, Optional[int]]"),
        (["Dict[str, Tensor]", "Dict[str, Tensor]"], "Dict[str, Tensor]"),
        (["Tensor", "List[Tensor]"], None),
        (["Tuple[int]", "Tuple[int, int]"], None),
        (["int", "str"], None),
        ([], None),
    ],
)
def test_types_are_widened(kinds: list[str], expected: str | None) -> None:
    assert widened(kinds) == expected
