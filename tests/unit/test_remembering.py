"""What was read of the texts of an edited file does not pile up."""

from __future__ import annotations

from ts_shape_server.remembering import LEAST, Room, remembered


def test_what_was_asked_for_last_is_kept_while_there_is_room() -> None:
    room, asked = Room(), list[str]()

    @remembered(room, 100)
    def first(text: str) -> str:
        asked.append(text[:1])
        return text[:1]

    large = LEAST // 2
    for letter in "abaca":
        assert first(letter * large) == letter
    assert "".join(asked) == "abc"
    assert first("b" * large) == "b"
    assert "".join(asked) == "abcb", "there was no room for three"
    room.for_texts(LEAST)
    for letter in "abcabc":
        first(letter * large)
    assert "".join(asked)[4:] in ("c", "ac", "ca"), "there is room for three"


def test_so_many_results_are_kept() -> None:
    asked: list[str] = []

    @remembered(Room(), 2)
    def of(text: str, number: int) -> int:
        asked.append(text)
        return number

    for text in ("a", "b", "c", "c", "b", "a"):
        of(text, 1)
    assert asked == ["a", "b", "c", "a"]
