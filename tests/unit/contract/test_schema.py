"""A dataclass is its own schema: what it declares is read, written, checked and capped, and nothing else is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from ts_shape_server.contract import schema
from ts_shape_server.contract.schema import ContractError, entry


@dataclass(frozen=True)
class Leaf:
    number: int
    text: str = field(default="", metadata=entry("words", omitted=True))


@dataclass(frozen=True)
class Tree:
    version: int = field(default=3, init=False)
    name: str
    kind: Literal["oak", "elm"] = "oak"
    leaf: Leaf | None = None
    leaves: tuple[Leaf, ...] = ()
    trees: tuple[Tree, ...] = field(default=(), metadata=entry(omitted=True))
    named: tuple[tuple[str, Leaf], ...] = field(default=(), metadata=entry("by.name", omitted=True))
    low: int | None = field(default=None, metadata=entry("limits.low", omitted=True))
    high: int | None = field(default=None, metadata=entry("limits.high", omitted=True))
    mean: int | None = field(default=None, metadata=entry("limits.mean", omitted=True, alone=True))
    other: Leaf = field(default=Leaf(0), metadata=entry(nullable=True, renamed={"number": "count"}))


@dataclass(frozen=True)
class Grown:
    height: float
    leaf: Leaf = field(metadata=entry(inlined=True))


PLAIN = {"version": 3, "name": "a", "kind": "oak", "leaf": None, "leaves": [], "other": {"count": 0}}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Tree("a"), PLAIN),
        (Tree("a", leaf=Leaf(1, "w")), {**PLAIN, "leaf": {"number": 1, "words": "w"}}),
        (Tree("a", trees=(Tree("b"),)), {**PLAIN, "trees": [{**PLAIN, "name": "b"}]}),
        (Tree("a", named=(("x", Leaf(2)),)), {**PLAIN, "by": {"name": {"x": {"number": 2}}}}),
        (Tree("a", high=4), {**PLAIN, "limits": {"low": None, "high": 4}}),
        (Tree("a", high=4, mean=2), {**PLAIN, "limits": {"low": None, "high": 4, "mean": 2}}),
        (Tree("a", other=Leaf(7)), {**PLAIN, "other": {"count": 7}}),
        (Grown(1.5, Leaf(2, "w")), {"height": 1.5, "number": 2, "words": "w"}),
    ],
)
def test_an_object_is_written_as_declared_and_read_back(value: Any, written: dict[str, Any]) -> None:
    assert schema.write(value) == written
    assert schema.read(type(value), written) == value


def test_keys_stand_in_the_order_of_the_fields() -> None:
    assert list(schema.write(Tree("a"))) == list(PLAIN)


@pytest.mark.parametrize(
    ("changed", "value"),
    [
        ({"unknown": 1}, Tree("a")),
        ({"other": None}, Tree("a")),
        ({"limits": None}, Tree("a")),
        ({"version": 9}, Tree("a")),
    ],
)
def test_what_is_left_out_or_unknown_is_the_default(changed: dict[str, Any], value: Tree) -> None:
    assert schema.read(Tree, {**PLAIN, **changed}) == value
    assert schema.read(Tree, {"name": "a"}) == Tree("a")


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"name": 1}, "`name` is no text"),
        ({"name": "x" * (schema.MAXIMUM_TEXT + 1)}, "`name` is too long"),
        ({"kind": "ash"}, "`kind` is none of oak, elm: 'ash'"),
        ({"version": True}, "`version` is no number"),
        ({"leaf": []}, "`leaf` is no object"),
        ({"leaf": {}}, "`leaf.number` is missing"),
        ({"leaves": {}}, "`leaves` is no list"),
        ({"leaves": [{"number": 1}, {"number": 1.0}]}, "`leaves[1].number` is no number"),
        ({"leaves": [{"number": 1}] * (schema.MAXIMUM_ITEMS + 1)}, "`leaves` is too long"),
        ({"by": {"name": {"x": {"number": None}}}}, "`by.name.x.number` is no number"),
        ({"limits": []}, "`limits.low` stands in no object"),
        ({"other": {"number": 1}}, "`other.count` is missing"),
    ],
)
def test_what_is_wrong_is_told_with_the_path_to_it(changed: dict[str, Any], problem: str) -> None:
    with pytest.raises(ContractError) as raised:
        schema.read(Tree, {**PLAIN, **changed})
    assert str(raised.value) == problem


def test_what_nests_without_end_is_refused() -> None:
    nested: dict[str, Any] = PLAIN
    for _ in range(schema.MAXIMUM_DEPTH + 1):
        nested = {**PLAIN, "trees": [nested]}
    with pytest.raises(ContractError, match="nested too deeply"):
        schema.read(Tree, nested)


def test_a_field_that_no_json_can_hold_is_found_when_the_class_is_first_used() -> None:
    @dataclass(frozen=True)
    class Odd:
        place: set

    with pytest.raises(TypeError, match="cannot hold"):
        schema.read(Odd, {})
