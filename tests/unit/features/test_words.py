"""Dims, symbols, constraints and counts in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ts_shape_server.contract import dims
from ts_shape_server.contract.report import InputSpec, Report, Symbol, ValueSpec
from ts_shape_server.features import words


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (ValueSpec("Tensor", "float32", ("B", 3, "H", "W")), "Tensor (B, 3, H, W) float32"),
        (ValueSpec("Tensor", "int64", ("L",), minimum=0, maximum=99), "Tensor (L) int64 values 0–99"),
        (
            ValueSpec("Tensor", "int64", (2, "E"), minimum=0, maximum=1, most="N - 1"),
            "Tensor (2, E) int64 values 0 to N - 1",
        ),
        (ValueSpec("List[Tensor]", items=(ValueSpec("Tensor", "int64", ("L",)),)), "List[Tensor (L) int64]"),
        (
            ValueSpec("Dict[str, Tensor]", items=(ValueSpec("Tensor", None, (2,)),), keys=("mask",)),
            'Dict {"mask": Tensor (2)}',
        ),
        (ValueSpec("Optional[int]"), "Optional[int]"),
        (ValueSpec("Tensor", "float32", ()), "Tensor () float32"),
    ],
)
def test_a_value_is_spelt_with_all_that_is_known(spec: ValueSpec, text: str) -> None:
    assert words.value(spec) == text


@pytest.mark.parametrize(
    ("symbol", "text"),
    [
        (Symbol(), "any size"),
        (Symbol(28, 29), "28 or 29"),
        (Symbol(16, 16), "16"),
        (Symbol(28), "≥ 28"),
        (Symbol(4, least=1), "any size"),
        (Symbol(4, least=3), "≥ 3"),
        (Symbol(32, None, 32), "multiples of 32"),
        (Symbol(64, None, 32), "multiples of 32, from 64"),
        (Symbol(32, 96, 32), "32, 64 or 96"),
        (Symbol(4, 64), "4 to 64"),
        (Symbol(1, 10**9), "1 to 1000000000"),
    ],
)
def test_a_symbol_is_a_range_in_words(symbol: Symbol, text: str) -> None:
    assert words.symbol(symbol) == text


@pytest.mark.parametrize(
    ("text", "symbols", "shown"),
    [
        ("16*(H//2)*(W//2) == 3136", {"H": Symbol(28, 29), "W": Symbol(28, 29)}, ""),
        ("H*W == 36", {"H": Symbol(4, 9), "W": Symbol(4, 9)}, "H, W together: (4, 9), (6, 6) or (9, 4)"),
        ("H % 3 == 0", {"H": Symbol(4, 9)}, "H: 6 or 9"),
        ("H*W == 36", {"H": Symbol(1), "W": Symbol(1)}, "H*W == 36"),
        ("H > 2", {"H": Symbol(1, 100)}, "H > 2"),
        ("__import__('os').getcwd() == 1", {"H": Symbol(1, 2)}, "__import__('os').getcwd() == 1"),
    ],
)
def test_a_constraint_is_said_only_when_the_ranges_do_not_say_it(
    text: str, symbols: dict[str, Symbol], shown: str
) -> None:
    assert words.constraint(text, symbols) == shown


def test_equal_symbols_share_a_line_and_unused_ones_have_none() -> None:
    report = Report(
        "net.py",
        "Net",
        1,
        "ok",
        inputs=(InputSpec("x", ValueSpec("Tensor", "float32", ("B", 3, "H", "W")), "solved"),),
        symbols=(("B", Symbol()), ("H", Symbol(28, 29)), ("W", Symbol(28, 29)), ("L2", Symbol())),
        constraints=("16*(H//2)*(W//2) == 3136",),
    )
    assert words.symbol_lines(report) == ["B: any size", "H, W: 28 or 29"]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1000, "1 K"), (31_818, "31.8 K"), (138_357_544, "138 M"), (5 * 10**15, "5000 T")],
)
def test_counts_are_short(number: int, text: str) -> None:
    assert words.count(number) == text


@pytest.mark.parametrize(("number", "text"), [(220, "220 B"), (127_272, "124 KiB"), (1 << 20, "1 MiB")])
def test_sizes_are_short(number: int, text: str) -> None:
    assert words.size(number) == text


@pytest.mark.parametrize(
    ("text", "numbers", "result"),
    [
        ("16*(H//2)", {"H": 29}, 224),
        ("-H + 3 % 2", {"H": 1}, 0),
        ("H//0", {"H": 1}, None),
        ("H**2", {"H": 1}, None),
        ("missing", {}, None),
        ("max(H, 3)", {"H": 1}, 3),
        (7, {}, 7),
        ("((", {}, None),
    ],
)
def test_a_dim_is_computed_and_nothing_else_is(text: str, numbers: dict[str, int], result: int | None) -> None:
    assert dims.compute(text, numbers) == result


@given(st.text())
def test_no_text_breaks_the_evaluator(text: str) -> None:
    dims.compute(text, {})
    dims.holds(text, {})
    words.constraint(text, {"H": Symbol(1, 2)})


@pytest.mark.parametrize(
    ("type_", "optional", "shown"),
    [("float", True, "n: float = …"), ("Optional[int]", True, "n: Optional[int] = None"), ("int", False, "n: int")],
)
def test_a_default_is_shown_as_far_as_the_type_tells_it(type_: str, optional: bool, shown: str) -> None:
    assert words.parameter(InputSpec("n", ValueSpec(type_), "default", optional)) == shown
