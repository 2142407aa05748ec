"""Lines and columns are the protocol's, whatever signs the text has."""

import ast

import pytest

from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range, TextEdit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb", ("a", "b")),
        ("a\r\nb\rc\n", ("a", "b", "c", "")),
        ("a\x0cb\x1cc\u2028d\x85e\nf", ("a\x0cb\x1cc\u2028d\x85e", "f")),
        ("", ("",)),
    ],
)
def test_only_the_protocols_line_ends_end_lines(text: str, expected: tuple[str, ...]) -> None:
    assert SourceText(text).lines == expected


@pytest.mark.parametrize(
    ("encoding", "character"),
    [("utf-8", 8), ("utf-16", 5), ("utf-32", 4)],
)
def test_columns_count_in_the_clients_units(encoding: str, character: int) -> None:
    source = SourceText("x\ny = é😀z".replace("y = ", "y "))
    assert source.to_client(2, 4, encoding) == (1, character)
    assert source.from_client(1, character, encoding) == (2, 4)


def test_a_position_inside_a_surrogate_pair_goes_to_its_start() -> None:
    assert SourceText("😀a").from_client(0, 1, "utf-16") == (1, 0)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_positions_outside_are_held_to_the_text(encoding: str) -> None:
    source = SourceText("ab\nc")
    assert source.from_client(9, 9, encoding) == (2, 1)
    assert source.from_client(0, 9, encoding) == (1, 2)
    assert source.to_client(9, 9, encoding) == (1, 1)


def test_columns_of_the_tree_are_bytes_and_become_code_points() -> None:
    assert SourceText("é = é.x").from_ast(1, 7) == 5


def test_places_and_positions_are_each_others_inverse() -> None:
    text = "é\r\nb\r\rc😀\n"
    source = SourceText(text)
    for place in range(len(text) + 1):
        line, column = source.position(place)
        assert source.offset(line, column) == place or text[place - 1 : place + 1] == "\r\n"
    assert source.position(-5) == (1, 0)
    assert source.position(99) == (5, 0)


def test_nodes_without_a_place_have_no_range() -> None:
    with pytest.raises(ValueError, match="arguments has no place"):
        SourceText("").range_of(ast.arguments([], [], None, [], [], None, []))


def check_edits(text: str, edits: list[TextEdit], expected: str) -> None:
    assert SourceText(text).apply(edits) == expected


def test_edits_are_made_in_any_order_and_insertions_keep_theirs() -> None:
    here = Range(1, 1, 1, 1)
    check_edits("ab\r\ncd", [TextEdit(Range(2, 0, 2, 1), "X"), TextEdit(here, "1"), TextEdit(here, "2")], "a12b\r\nXd")


def test_overlapping_edits_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        SourceText("abc").apply([TextEdit(Range(1, 0, 1, 2), ""), TextEdit(Range(1, 1, 1, 3), "")])
