"""A type is read as the compiler prints it, whatever spelling it chooses."""

from __future__ import annotations

import pytest

from ts_shape_server.agent.torch_says.type_texts import type_tree


@pytest.mark.parametrize(
    ("printed", "spelled"),
    [
        ("Tensor (inferred)", "Tensor"),
        ("int[]", "List[int]"),
        ("int[2]", "List[int]"),
        ("Tensor?", "Optional[Tensor]"),
        ("int[]?", "Optional[List[int]]"),
        ("Tensor?[]", "List[Optional[Tensor]]"),
        ("Tensor[][]", "List[List[Tensor]]"),
        ("Dict[str, int[]]", "Dict[str, List[int]]"),
        ("Union[int[], Tensor]", "Union[List[int], Tensor]"),
        ("(int, Tensor)", "Tuple[int, Tensor]"),
        ("Tuple[int, (Tensor, Tensor)]", "Tuple[int, Tuple[Tensor, Tensor]]"),
        ("()", "Tuple[()]"),
        ("Tuple[]", "Tuple[()]"),
        ("list[int]", "List[int]"),
        ("NoneType", "None"),
        ("Optional[Tensor].", "Optional[Tensor]"),
        ("torch.device", "torch.device"),
    ],
)
def test_a_printed_type_is_read(printed: str, spelled: str) -> None:
    assert str(type_tree(printed)) == spelled


@pytest.mark.parametrize("printed", ["a normal Tensor", "", "List[", "Tensor]", "int[]] and more"])
def test_a_text_that_is_no_type_is_none(printed: str) -> None:
    assert type_tree(printed) is None
