"""Which classes of a file name a class in their bodies."""

from __future__ import annotations

import pytest

from ts_shape_server.analysis.evidence import makers_of
from ts_shape_server.analysis.instances import Standing
from ts_shape_server.analysis.text import SourceText

PARENT = """class Parent:
    def __init__(self, kind):
{body}
        self.net = {name}(3)
"""


@pytest.mark.parametrize(
    ("body", "name", "makers"),
    [
        ("        pass", "Net", ("Parent",)),
        ("        made = Net", "made", ("Parent",)),
        ("        for _ in kind:\n            one = two\n            two = one", "two", ()),
        (
            "        while kind:\n            if kind:\n                one = two\n"
            "            else:\n                two = one",
            "one",
            (),
        ),
    ],
    ids=["itself", "by-another-name", "swapped-in-a-loop", "swapped-in-branches"],
)
def test_a_name_is_followed_to_the_class_and_no_ring_is_followed_for_ever(
    body: str, name: str, makers: tuple[str, ...]
) -> None:
    assert makers_of(SourceText(PARENT.format(body=body, name=name)), Standing(frozenset(["Net"]))) == makers
