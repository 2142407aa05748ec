"""What a report claims, as numbers: draws stay within it, breaks leave it by one part, outputs are compared as told."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.parity import claims, draws


def report(**changes: Any) -> dict[str, Any]:
    """A convolution whose `fc` fixes the area, as `show --json` tells it."""
    return {
        "class": "Net",
        "status": "ok",
        "inputs": [{"name": "x", "type": "Tensor", "dtype": "float32", "dims": ["B", 3, "H", "W"]}],
        "example": {"x": {"tensor": [2, 3, 28, 28], "dtype": "float32"}},
        "symbols": {
            "B": {"min": 1, "max": None, "multiple_of": 1},
            "H": {"min": 28, "max": 29, "multiple_of": 1},
            "W": {"min": 28, "max": 29, "multiple_of": 1},
        },
        "constraints": ["16*(H//2)*(W//2) == 3136"],
        "outputs": [{"type": "Tensor", "dtype": "float32", "dims": ["B", 10]}],
        **changes,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("16*(H//2)*(W//2) == 3136", True),
        ("(H - 1)//2 + 1", 14),
        ("max(1, H - 45)", 1),
        ("H % 7 == 0 and not W == 3", True),
        ("ceil(H/3)", 10),
        ("max(L)", 9),
    ],
)
def test_expressions_of_the_contract_are_evaluated(text: str, expected: object) -> None:
    assert claims.evaluate(text, {"H": 28, "W": 29, "L": (4, 9)}) == expected


@pytest.mark.parametrize("text", ["K + 1", "H +", "__import__('os')", "H.real", "'text'"])
def test_other_expressions_are_refused(text: str) -> None:
    with pytest.raises(claims.Unreadable):
        claims.evaluate(text, {"H": 28})


def test_a_symbol_that_varies_is_no_single_number() -> None:
    with pytest.raises(claims.Ambiguous):
        claims.evaluate("2*L", {"L": (4, 9)})
    assert claims.evaluate("2*L", {"L": (4, 4)}) == 8


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"example": {"x": {"tensor": [2, 4, 28, 28], "dtype": "float32"}}}, "is [2, 4, 28, 28] in the example"),
        ({"example": {"x": {"tensor": [2, 3, 28], "dtype": "float32"}}}, "has 3 dims in the example"),
        ({"example": {"x": {"tensor": [2, 3, 28, 28], "dtype": "int64"}}}, "is int64 in the example"),
        ({"example": {"x": {"tensor": [2, 3, 30, 28], "dtype": "float32"}}}, "H = 30 is outside its range"),
        ({"constraints": ["H != W"]}, "the example breaks the claim: H != W"),
        ({"constraints": ["H == K"]}, "nothing binds `K`"),
        ({"symbols": {"B": {"min": 1}, "H": {"min": 1}}}, "`W`, which is no symbol"),
    ],
)
def test_a_report_that_contradicts_itself_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(claims.Unreadable) as caught:
        claims.read(report(**changes))
    assert words in str(caught.value)


def test_draws_are_allowed_differ_and_are_the_same_each_time() -> None:
    claim = claims.read(report())
    found = draws.allowed(claim)
    assert len(found) == draws.DRAWS
    assert all(claim.broken(draw) is None for draw in found)
    assert len({tuple(draw.items()) for draw in [claim.base, *found]}) == 5
    assert found == draws.allowed(claims.read(report()))


def test_draws_have_a_bounded_number_of_elements() -> None:
    wide = {name: {"min": 1, "max": None, "multiple_of": 1} for name in ("B", "H", "W")}
    claim = claims.read(report(symbols=wide, constraints=[]))
    assert all(draws.elements(claim, draw) <= draws.ELEMENTS for draw in draws.allowed(claim))


def test_nothing_is_drawn_where_nothing_is_free() -> None:
    fixed = [{"name": "x", "type": "Tensor", "dtype": "float32", "dims": [2, 3, 28, 28]}]
    assert draws.allowed(claims.read(report(inputs=fixed, symbols={}, constraints=[]))) == []


def test_breaks_leave_the_claim_by_one_part_each() -> None:
    claim = claims.read(report(constraints=[]))
    found = [(item.kind, item.inputs["x"]["tensor"]) for item in draws.breaks(claim)]
    assert found == [
        ("fixed dim", [2, 4, 28, 28]),
        ("fixed dim", [2, 6, 28, 28]),
        ("minimum", [2, 3, 27, 28]),
        ("maximum", [2, 3, 30, 28]),
        ("minimum", [2, 3, 28, 27]),
        ("maximum", [2, 3, 28, 30]),
        ("dtype", [2, 3, 28, 28]),
    ]


def test_an_equation_is_broken_within_the_multiples_of_its_symbols() -> None:
    symbols = {name: {"min": 2, "max": None, "multiple_of": 2} for name in ("B", "H", "W")}
    claim = claims.read(report(symbols=symbols, constraints=["H == W"]))
    broken = [item.draw for item in draws.breaks(claim) if item.kind == "equation"]
    assert broken
    for draw in broken:
        assert draw["H"] != draw["W"]
        assert all(isinstance(value, int) and value % 2 == 0 for value in draw.values())


def test_equal_fixed_sizes_of_two_inputs_are_also_moved_together() -> None:
    inputs = [{"name": name, "type": "Tensor", "dtype": "float32", "dims": [7]} for name in ("x", "y")]
    example = {name: {"tensor": [7], "dtype": "float32"} for name in ("x", "y")}
    claim = claims.read(report(inputs=inputs, example=example, symbols={}, constraints=[]))
    together = [item.inputs for item in draws.breaks(claim) if item.kind == "fixed dims together"]
    assert [{name: value["tensor"] for name, value in item.items()} for item in together] == [{"x": [8], "y": [8]}] * 2


@pytest.mark.parametrize(
    ("seen", "exact", "wrong"),
    [
        ({"tensor": [2, 10], "dtype": "float32"}, True, None),
        ({"tensor": [2, 11], "dtype": "float32"}, True, "came"),
        ({"tensor": [2, 11], "dtype": "float32"}, False, None),
        ({"tensor": [3, 10], "dtype": "float32"}, False, "came"),
        ({"tensor": [2, 10], "dtype": "float64"}, True, "float64"),
        ({"tensor": [2, 10, 1], "dtype": "float32"}, False, "came"),
        ({"tuple": [{"tensor": [2, 10], "dtype": "float32"}]}, True, None),
        ({"list": []}, True, "a list came"),
        ({"type": "None"}, True, "None came"),
    ],
)
def test_outputs_are_held_to_the_claim(seen: Any, exact: bool, wrong: str | None) -> None:
    claim = claims.read(report())
    found = claims.mismatch(claim, seen, claim.base, exact)
    assert found is None if wrong is None else found is not None and wrong in found


def test_items_of_a_list_may_differ_where_the_claim_says_so() -> None:
    item = {"type": "Tensor", "dtype": "float32", "dims": ["L", 4]}
    listed = report(
        inputs=[{"name": "x", "type": "List[Tensor]", "items": [item], "varies": ["L"]}],
        example={"x": {"list": [{"tensor": [size, 4], "dtype": "float32"} for size in (5, 8)]}},
        symbols={"L": {"min": 1, "max": None, "multiple_of": 1}},
        constraints=[],
        outputs=[{"type": "Tensor", "dtype": "float32", "dims": ["max(L)", 4]}],
    )
    claim = claims.read(listed)
    assert claim.base == {"L": (5, 8)}
    assert any(isinstance(draw["L"], tuple) for draw in draws.allowed(claim))
    assert claims.mismatch(claim, {"tensor": [8, 4], "dtype": "float32"}, claim.base) is None
    assert claims.mismatch(claim, {"tensor": [5, 4], "dtype": "float32"}, claim.base) is not None


def test_a_list_gets_as_many_items_as_the_draw_says() -> None:
    item = {"type": "Tensor", "dtype": "float32", "dims": [4]}
    listed = report(
        inputs=[{"name": "x", "type": "List[Tensor]", "items": [item]}],
        example={"x": {"list": [{"tensor": [4], "dtype": "float32"}] * 2}},
        symbols={"N": {"min": 1, "max": None, "multiple_of": 1}},
        constraints=[],
        outputs=[{"type": "Tensor", "dtype": "float32", "dims": ["N", 4]}],
    )
    claim = claims.read(listed)
    assert {len(claim.inputs(draw)["x"]["list"]) for draw in draws.allowed(claim)} >= {1, 3}
