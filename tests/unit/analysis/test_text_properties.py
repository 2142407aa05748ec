"""Positions and edits for any text: what a client counts, what is written and taken back; and dims as computed."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract import dims
from ts_shape_server.contract.places import Range, TextEdit

TEXTS = st.text(st.sampled_from("ab \t\r\n\x0c\u2028é𝒳\ud800\ufeff"), max_size=40)
ALIKE = settings(deadline=None, derandomize=True, suppress_health_check=[*HealthCheck])
"""The same on each machine, and however busy it is."""
ENCODINGS = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
UNIT = {"utf-8": 1, "utf-16": 2, "utf-32": 4}


def told(text: str, offset: int, encoding: str) -> tuple[int, int]:
    """The line and character of a place by the words of the protocol: lines end at LF, CR LF and CR."""
    before = text[:offset]
    if text[offset - 1 : offset + 1] == "\r\n":
        # Within a line end is at its beginning.
        before = text[: offset - 1]
    lines = re.split("\r\n|\r|\n", before)
    encoded = lines[-1].encode(ENCODINGS[encoding], "surrogatepass")
    return len(lines) - 1, len(encoded) // UNIT[encoding]


@pytest.mark.parametrize("encoding", ENCODINGS)
@ALIKE
@given(text=TEXTS, data=st.data())
def test_a_place_is_what_the_protocol_says_and_comes_back(encoding: str, text: str, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, len(text)))
    source = SourceText(text)
    line, column = source.position(offset)
    client = source.to_client(line, column, encoding)
    assert client == told(text, offset, encoding)
    assert source.from_client(*client, encoding) == (line, column)


@ALIKE
@given(text=TEXTS, line=st.integers(-3, 60), character=st.integers(-3, 200), encoding=st.sampled_from([*ENCODINGS]))
def test_any_position_of_a_client_is_in_the_text(text: str, line: int, character: int, encoding: str) -> None:
    source = SourceText(text)
    found = source.from_client(line, character, encoding)
    assert source.position(source.offset(*found)) == found


def placed(source: SourceText, cuts: Iterable[int], texts: Iterable[str]) -> list[TextEdit]:
    """Edits between pairs of places, in order."""
    places = [source.position(cut) for cut in sorted(cuts)]
    pairs = zip(places[::2], places[1::2], strict=False)
    return [TextEdit(Range(*start, *end), text) for (start, end), text in zip(pairs, texts, strict=False)]


def undone(source: SourceText, edits: Iterable[TextEdit]) -> list[TextEdit]:
    """The edits of the changed text that take these back."""
    after = SourceText(source.apply(edits))
    found, moved = [], 0
    for edit in edits:
        start = source.offset(edit.range.line, edit.range.column)
        end = source.offset(edit.range.end_line, edit.range.end_column)
        first, last = after.position(start + moved), after.position(start + moved + len(edit.text))
        # A place within a line end that an edit has made is none that an edit can name.
        assume(after.offset(*first) == start + moved and after.offset(*last) == start + moved + len(edit.text))
        found.append(TextEdit(Range(*first, *last), source.text[start:end]))
        moved += len(edit.text) - (end - start)
    return found


@ALIKE
@given(text=TEXTS, texts=st.lists(TEXTS, min_size=3, max_size=3), data=st.data())
def test_edits_are_made_where_they_say_and_can_be_taken_back(text: str, texts: list[str], data: st.DataObject) -> None:
    source = SourceText(text)
    cuts = data.draw(st.lists(st.integers(0, len(text)), min_size=6, max_size=6))
    edits = placed(source, cuts, texts)
    made = source.apply(edits)
    assert source.apply(reversed(edits)) == made or len({edit.range for edit in edits}) < len(edits)
    expected, last = "", 0
    for edit in edits:
        expected += text[last : source.offset(edit.range.line, edit.range.column)] + edit.text
        last = source.offset(edit.range.end_line, edit.range.end_column)
    assert made == expected + text[last:]
    assert SourceText(made).apply(undone(source, edits)) == text


DIMS = st.recursive(
    st.sampled_from(["B", "H", "W", "1", "2", "7"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "%"]), inner).map(lambda item: f"({''.join(item)})"),
        st.tuples(st.sampled_from(["max", "min"]), inner, inner).map(lambda item: f"{item[0]}({item[1]}, {item[2]})"),
        inner.map(lambda item: f"-{item}"),
    ),
    max_leaves=12,
)


@ALIKE
@given(DIMS, st.integers(-9, 99), st.integers(-9, 99), st.integers(-9, 99))
def test_a_dim_comes_to_what_python_computes(expression: str, b: int, h: int, w: int) -> None:
    """The test may ask Python: it has made the expression itself."""
    assert dims.is_dim(expression)
    assert set(dims.names(expression)) <= {"B", "H", "W", "max", "min"}
    sizes = {"B": b, "H": h, "W": w}
    try:
        expected = eval(expression, {"max": max, "min": min, **sizes})
    except ZeroDivisionError:
        expected = None
    assert dims.compute(expression, sizes) == expected
    if expected is not None:
        assert dims.holds(f"{expression} == {expected}", sizes) is True
        assert dims.holds(f"{expression} > {expected}", sizes) is False
