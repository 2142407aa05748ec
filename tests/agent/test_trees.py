"""Nested values are walked from left to right, and a value that holds itself ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ts_shape_server.agent import trees


@dataclass
class Pair:
    first: Any
    second: Any


def test_lists_tuples_and_dicts_are_walked_in_their_order() -> None:
    assert list(trees.leaves([1, (2, {"a": 3, "b": [4]}), None])) == [1, 2, 3, 4, None]


def test_a_dataclass_is_a_leaf_unless_its_fields_are_asked_for() -> None:
    pair = Pair(1, [2])
    assert list(trees.leaves([pair])) == [pair]
    assert list(trees.leaves([pair], fields=True)) == [1, 2]


def test_what_is_deeper_than_asked_is_taken_whole() -> None:
    assert list(trees.leaves([[1], 2], depth=1)) == [[1], 2]


def test_a_list_that_holds_itself_ends() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert list(trees.leaves(endless)) == [endless]


def test_tensors_are_found_among_other_values() -> None:
    one, two = torch.ones(1), torch.ones(2)
    assert [item.numel() for item in trees.tensors({"a": one, "b": [3, (two,)]})] == [1, 2]
