"""Further sizes that a claim accepts: the least of each, and one step above the example."""

from __future__ import annotations

import pytest

from ts_shape_server.agent.accepted import further
from ts_shape_server.contract.report import InputSpec, Report, Symbol, ValueSpec


def check(
    dims: tuple[int | str, ...], example: list[int], symbols: dict[str, Symbol], *expected: list[int], **more: object
) -> None:
    spec = InputSpec("x", ValueSpec("Tensor", "float32", dims))
    given = {"x": {"tensor": example, "dtype": "float32"}}
    report = Report("a.py", "Net", 1, "ok", inputs=(spec,), example=given, symbols=tuple(symbols.items()), **more)  # type: ignore[arg-type]  # fields by name
    assert further(report) == tuple({"x": {"tensor": sizes, "dtype": "float32"}} for sizes in expected)


@pytest.mark.parametrize(
    ("dims", "example", "symbols", "expected"),
    [
        (("B", 3), [2, 3], {"B": Symbol()}, [[1, 3], [3, 3]]),
        (("B", "H"), [2, 8], {"B": Symbol(), "H": Symbol(5, None, 4)}, [[1, 8], [3, 12]]),
        (("B", "2*B"), [2, 4], {"B": Symbol()}, [[1, 2], [3, 6]]),
        (("B",), [2], {"B": Symbol(2, 2)}, []),
        ((4, 3), [4, 3], {}, []),
        (("?", 3), [4, 3], {}, []),
    ],
)
def test_the_least_and_the_next_sizes_are_tried(
    dims: tuple[int | str, ...], example: list[int], symbols: dict[str, Symbol], expected: list[list[int]]
) -> None:
    check(dims, example, symbols, *expected)


def test_a_constraint_keeps_sizes_together() -> None:
    symbols = {"H": Symbol(), "W": Symbol()}
    check(("H", "W"), [4, 6], symbols, [1, 6], [5, 7], constraints=("W > H",))


def test_the_second_size_is_not_tried_again() -> None:
    second = {"x": {"tensor": [3, 3], "dtype": "float32"}}
    check(("B", 3), [2, 3], {"B": Symbol()}, [1, 3], second=second)
