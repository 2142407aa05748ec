"""A menu that a person opens waits for fixes whose trials are under way, and for nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ts_shape_server.contract.places import Range
from ts_shape_server.lsp import menu


class Trials:
    """A document whose classes are tried one after the other, each with the next piece of news."""

    path = "net.py"

    def __init__(self, *names: str) -> None:
        self._left = list(names)
        self.news_heard = 0

    @property
    def busy(self) -> bool:
        return bool(self._left)

    def known(self, name: str) -> Any:
        return SimpleNamespace(current="report")

    def was_tried(self, name: str) -> bool:
        return name not in self._left

    async def news(self, seconds: float) -> bool:
        self.news_heard += 1
        self._left.pop(0)
        return True


FINDINGS = (
    SimpleNamespace(class_name="First", range=Range(3, 0, 3, 9)),
    SimpleNamespace(class_name="Second", range=Range(7, 0, 7, 9)),
)
SERVER: Any = SimpleNamespace(session=SimpleNamespace(findings=lambda path: FINDINGS))


@pytest.mark.parametrize(
    ("line", "heard"),
    [
        pytest.param(3, 1, id="for the class of the finding"),
        pytest.param(7, 2, id="for a class that comes later"),
        pytest.param(5, 0, id="not where nothing is underlined"),
    ],
)
async def test_the_menu_waits_for_the_classes_that_are_underlined_there(line: int, heard: int) -> None:
    document: Any = Trials("First", "Second", "Third")
    await menu.tried(SERVER, document, Range(line, 0, line, 0))
    assert document.news_heard == heard


async def test_the_menu_opens_at_once_where_nothing_is_under_way() -> None:
    document: Any = Trials()
    await menu.tried(SERVER, document, Range(3, 0, 3, 0))
    assert document.news_heard == 0
