"""Where places of a text stand after it was edited. Places are marked: ``|`` a place, ``[`` and ``]`` a range."""

from __future__ import annotations

import pytest

from ts_shape_server.analysis.shifting import Replacement, Shift, shift
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range


def marked(text: str, mark: str) -> tuple[str, int]:
    at = text.index(mark)
    return text[:at] + text[at + 1 :], at


def made(before: str, after: str) -> Shift:
    return shift(SourceText(before), SourceText(after))


def check_name(before: str, after: str | None, whole: str = "") -> None:
    """The end of a name, before and after an edit; None: it is gone, and `whole` is the text after the edit."""
    old, at = marked(before, "|")
    new, there = (whole, -1) if after is None else marked(after, "|")
    edit = made(old, new)
    found = edit.end_of_name(*edit.before.position(at))
    assert found == (None if after is None else edit.after.position(there))


def check_range(before: str, after: str | None, whole: str = "") -> None:
    old, first = marked(before, "[")
    old, last = marked(old, "]")
    edit_text, start, end = whole, -1, -1
    if after is not None:
        edit_text, start = marked(after, "[")
        edit_text, end = marked(edit_text, "]")
    edit = made(old, edit_text)
    found = edit.range(Range(*edit.before.position(first), *edit.before.position(last)))
    assert found == (None if after is None else Range(*edit.after.position(start), *edit.after.position(end)))


def test_a_name_moves_with_its_line() -> None:
    check_name("a\nx| = f(x)\nb\n", "a\nnew\nx| = f(x)\nb\n")
    check_name("a\nx| = f(x)\nb\n", "x| = f(x)\nb\n")
    check_name("a\nx| = f(x)\n", "a\n    x| = f(x)\n")


def test_what_is_typed_behind_a_name_does_not_take_its_end_along() -> None:
    check_name("x| = f(x)\n", "x| + 1 = f(x)\n")
    check_name("x| = f(x)\n", "x| = f(x, y)\n")


def test_a_name_grows_with_what_is_typed_into_it() -> None:
    check_name("x| = f(x)\n", "xy| = f(x)\n")


def test_a_name_in_a_line_that_is_gone_is_gone() -> None:
    check_name("a\nxyz| = f(x)\nb\n", None, "a\nb\n")


def test_lines_that_stay_keep_their_places_when_the_whole_text_is_given() -> None:
    check_name("a\nb\nc\nd\nx| = 1\ne\n", "0\na\nB\nc\nd\nx| = 1\nE\n")


def test_a_range_moves_and_grows_with_what_is_typed_into_it() -> None:
    check_range("a = [self.fc](x)\n", "abc = [self.fc](x)\n")
    check_range("a = [self.fc](x)\n", "a = [self.f2c](x)\n")


def test_a_range_of_which_a_part_is_gone_is_the_rest_and_none_if_all_is() -> None:
    check_range("a = [self.fc](x)\n", "a = [self](x)\n")
    check_range("a = [self.fc](x)\n", None, "a = (x)\n")


def test_a_token_that_is_replaced_keeps_its_range() -> None:
    check_range("a = f([abc])\n", "a = f([xyz])\n")


@pytest.mark.parametrize("place, expected", [((1, 0), (1, 0)), ((1, 1), (1, 3)), ((2, 0), (2, 0))])
def test_a_known_replacement_is_used_as_it_is(place: tuple[int, int], expected: tuple[int, int]) -> None:
    edit = shift(SourceText("ab\ncd\n"), SourceText("axxb\ncd\n"), Replacement(1, 1, "xx"))
    assert edit.place(*place) == expected
