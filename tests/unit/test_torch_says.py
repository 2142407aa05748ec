"""What torch and Python say, read: every message of every row, and what the facts are."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.torch_says import people
from ts_shape_server.agent.torch_says.reading import TABLE
from ts_shape_server.agent.torch_says.rows import Row, row

MESSAGES = [(item, said) for item in TABLE for said in item.said]


@pytest.mark.parametrize(("item", "said"), MESSAGES, ids=[f"{item.kind}: {said[:60]}" for item, said in MESSAGES])
def test_a_message_is_a_complaint_of_its_kind(item: Row, said: str) -> None:
    facts = item.read(item.pattern.search(said) or pytest.fail("the pattern does not find it"))
    assert facts is not None
    assert any(complaint.facts == facts for complaint in torch_says.read_text(said).all(item.kind))


@pytest.mark.parametrize("item", TABLE, ids=[f"{item.kind}: {item.pattern.pattern[:60]}" for item in TABLE])
def test_each_alternative_of_a_pattern_is_found_in_a_message(item: Row) -> None:
    for alternative in item.pattern.pattern.split("|") if "(" not in item.pattern.pattern else ():
        assert any(re.search(alternative, said, item.pattern.flags) for said in item.said), alternative


FACTS = {
    "expected 2D or 3D input (got 4D input)": ("rank-wanted", {"ranks": (2, 3)}),
    "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [2, 5]": (
        "rank-wanted",
        {"ranks": (4, 3)},
    ),
    "Padding size 4 is not supported for 2D input tensor.": ("rank-wanted", {"ranks": (4,)}),
    "Dimension out of range (expected to be in range of [-1, 0], but got -2)": (
        "axis-out-of-range",
        {"axis": -2, "rank": 1},
    ),
    "mat1 and mat2 shapes cannot be multiplied (3x37 and 10x5)": ("layer-size-differs", {"wanted": 10, "got": 37}),
    "a and b must have same reduction dim, but got [s0, 16*s1] X [10, 5].": (
        "layer-size-differs",
        {"wanted": 10, "got": "16*s1"},
    ),
    "Expected hidden[0] size (1, 5, 4), got [1, 2, 4]": (
        "state-size-differs",
        {"wanted": (1, 5, 4), "got": (1, 2, 4)},
    ),
    "mat1 and mat2 must have the same dtype, but got Float and Half": ("dtypes-differ", {"dtypes": ("float16",)}),
    "'types.SimpleNamespace' object has no attribute 'hidden'": (
        "missing-attribute",
        {"owner": "SimpleNamespace", "name": "hidden"},
    ),
    "'ids'": ("missing-key", {"name": "ids"}),
    "f() missing 2 required keyword-only arguments: 'width' and 'height'": (
        "missing-arguments",
        {"names": ("width", "height")},
    ),
    "mode must be one of 'bilinear', 'nearest'": ("choices", {"choices": ("bilinear", "nearest")}),
    "name 'conv' is not defined": ("missing-name", {"name": "conv"}),
}


@pytest.mark.parametrize("said", FACTS)
def test_the_facts_of_a_complaint(said: str) -> None:
    kind, facts = FACTS[said]
    found = torch_says.read_text(said).get(kind)
    assert found is not None
    assert found.facts == facts


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("dtypes-differ", "mat1 and mat2 must have the same dtype, but got Long and Float"),
        ("choices", "the norm should be either of two"),
        ("missing-key", "a key is missing"),
        ("out-of-memory", "out of range"),
        ("integer-needed", "expected scalar type Float but found Long"),
        ("boolean-needed", "tensors used as indices must be long, int, byte or bool tensors"),
        ("missing-key", "aten._pack_padded_sequence.default"),
        ("rank-too-high", "'lengths' argument should be a 1D CPU int64 tensor, but got 1D meta Long tensor"),
    ],
)
def test_a_message_that_is_no_such_complaint(kind: str, said: str) -> None:
    assert kind not in torch_says.read_text(said)


def test_an_unknown_kind_is_no_silent_no() -> None:
    with pytest.raises(KeyError):
        torch_says.read_text("'ids'").get("mising-key")


def test_a_row_that_finds_none_of_its_messages_does_not_load() -> None:
    with pytest.raises(ValueError, match="finds none"):
        row("rank-wanted", r"expected (\d)D", "expects three dims")


def test_an_error_that_cannot_say_what_it_is_says_nothing() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert list(torch_says.read(Broken())) == []


def test_the_causes_of_an_error_are_asked_for_values_too() -> None:
    inner = RuntimeError("The tensor has a non-zero number of elements, but its data is not allocated yet.")
    try:
        raise ValueError("cannot compute") from inner
    except ValueError as error:
        assert torch_says.needs_values(error)
    assert not torch_says.needs_values(ValueError("cannot compute"))


def test_memory_is_not_short_in_a_recursion_without_end() -> None:
    assert torch_says.out_of_memory(RuntimeError("DefaultCPUAllocator: not enough memory"))
    assert not torch_says.out_of_memory(RecursionError("DefaultCPUAllocator: not enough memory"))


def test_the_tables_are_read_without_torch() -> None:
    code = "import sys, ts_shape_server.agent.torch_says; sys.exit('torch' in sys.modules)"
    import subprocess

    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode == 0


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "Attempting to broadcast a dimension of length 4 at -1! Mismatching argument at index 1 had "
            "torch.Size([2, 4]); but expected shape should be broadcastable to [2, 8]",
            "tensors of the sizes (2, 4) and (2, 8) cannot be broadcast together",
        ),
        ("'types.SimpleNamespace' object has no attribute 'width'", "the argument that was guessed has no attribute"),
        ("expected a FakeTensor", "expected a Tensor"),
        ("expected np.ndarray (got Inert)", "expected np.ndarray (got a part of a package that is not installed)"),
    ],
)
def test_what_stands_in_for_values_is_not_named_to_people(said: str, told: str) -> None:
    assert people.for_people(said).startswith(told)
