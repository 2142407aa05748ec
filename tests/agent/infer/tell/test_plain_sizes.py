"""A size that torch states as a long sum is told as what it is, where a claim's steps make it whole."""

from __future__ import annotations

import pytest
import sympy
from torch.utils._sympy.functions import FloorDiv, Max

from ts_shape_server.agent.infer.claims.claim import Claim, Condition, Free
from ts_shape_server.agent.infer.tell.spelling import Spelling

H, W = sympy.symbols("s0 s1", integer=True, positive=True)


def spelling(height: Free, width: Free, base: tuple[int, int], conditions: tuple[Condition, ...] = ()) -> Spelling:
    return Spelling(Claim(base, (height, width), conditions, None), {0: "H", 1: "W"}, [base])


STEPS = spelling(Free((0,), 28, None, 16, 12), Free((1,), 28, None, 16, 12), (60, 76))
EVEN = spelling(Free((0,), 2, None, 2), Free((1,), 1, None, 1), (8, 9))
ANY = spelling(Free((0,), 1, None, 1), Free((1,), 1, None, 1), (8, 9))


@pytest.mark.parametrize(
    ("spelled", "size", "expected"),
    [
        (STEPS, 16 * FloorDiv(FloorDiv(H, 4) - 7, 4) + 2 * FloorDiv(-H, 2) + H + 40, "H + 12"),
        (STEPS, 2 * FloorDiv(FloorDiv(H, 4) - 7, 2) + FloorDiv(H, 4) + 3, "H//2 - 4"),
        (EVEN, 2 * FloorDiv(-H, 2) + H + 2 * W, "2*W"),
        (EVEN, 2 * FloorDiv(-H, 2) + H + W, "W"),
        # Not whole in the steps of the claim, or of two dims: it stays.
        (ANY, 2 * FloorDiv(H, 2) + FloorDiv(H, 3) + 1, "H//3 + 2*(H//2) + 1"),
        (ANY, FloorDiv(H, 2) + FloorDiv(W, 2) + 1, "H//2 + W//2 + 1"),
        # A size that grows like this up to a bound is no line, however far away that is.
        (ANY, Max(H, 100000) + 2 * FloorDiv(W, 2) + W, "2*(W//2) + max(100000, H) + W"),
    ],
)
def test_a_sum_is_told_as_a_line_where_it_is_one(spelled: Spelling, size: sympy.Expr, expected: str) -> None:
    assert spelled.dim(size) == expected


@pytest.mark.parametrize(
    ("minimum", "expected"),
    [(32, []), (31, ["max(1, H//32)*max(1, W//32) == (H//32)*(W//32)"])],
)
def test_a_condition_that_the_ranges_settle_is_not_told(minimum: int, expected: list[str]) -> None:
    sides = [FloorDiv(side, 32) for side in (H, W)]
    stated = sympy.Eq(Max(1, sides[0]) * Max(1, sides[1]), sides[0] * sides[1])
    condition = Condition(stated, (0, 1), lambda sizes: True)
    ranges = Free((0,), minimum, None, 1), Free((1,), minimum, None, 1)
    assert spelling(*ranges, (64, 64), (condition,)).constraints() == expected
