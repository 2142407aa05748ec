"""Dims, constraints, types and names have a grammar: what is not of it is refused before it can reach an edit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ts_shape_server.contract import dims, names, types
from ts_shape_server.contract.types import TypeTree


@pytest.mark.parametrize(
    "text",
    [
        "B",
        "?",
        "16*(H//2)*(W//2)",
        "-H + 3 % 2",
        "max(L, 3)",
        "min(L)",
        "ceil(0.5*H)",
        "floor(H/2)",
        "embedding_dim",
        "𝛼",
    ],
)
def test_a_dim(text: str) -> None:
    assert dims.is_dim(text)


@pytest.mark.parametrize(
    "text",
    [
        "B\n    import os",
        "B)\n",
        "(B +\n1)",
        "B # x",
        "B == 1",
        "x.shape",
        "x[0]",
        "'B'",
        "open(B)",
        "max()",
        "max(B, key=C)",
        "lambda: 1",
        "B if C else D",
        "B**2",
        "B, C",
        "*B",
        "True",
        " B",
        "B :=1",
        "",
        "1" * 5000,
        "(" * 300 + "B" + ")" * 300,
        "B\u2028",
    ],
)
def test_what_is_no_dim(text: str) -> None:
    assert not dims.is_dim(text)


@pytest.mark.parametrize("text", ["16*(H//2) == 3136", "H >= 3 and W != H", "not (H < W)", "0 < H <= 4", "L % 2 == 0"])
def test_a_constraint(text: str) -> None:
    assert dims.is_constraint(text)


@pytest.mark.parametrize("text", ["H == 1; x", "H == 'a'", "H in (1, 2)", "H is W", "H ==\n1", "f(H) == 1"])
def test_what_is_no_constraint(text: str) -> None:
    assert not dims.is_constraint(text)


@pytest.mark.parametrize(
    "text",
    [
        "Tensor",
        "Optional[List[Tensor]]",
        "Dict[str, Tuple[int, float]]",
        "Tuple[()]",
        "?",
        "!",
        "!numpy.ndarray",
        "!net.make.<locals>.Inner",
        "List[?]",
        "torch.device",
        "Callable[..., Tensor]",
    ],
)
def test_a_type_is_printed_as_it_is_read(text: str) -> None:
    assert str(types.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Tensor\n",
        "List[",
        "List[]",
        "List[Tensor]]",
        "List[Tensor] = 1",
        "[int]",
        "int, str",
        "int()",
        "a b",
        "'x'",
        "List[" * 99,
    ],
)
def test_what_is_no_type(text: str) -> None:
    assert types.parse(text) is None


TREES = st.recursive(
    st.builds(TypeTree, st.sampled_from(["Tensor", "int", "?", "!", "Tuple", "torch.dtype"])),
    lambda inner: st.builds(
        TypeTree, st.sampled_from(["List", "Dict", "Tuple"]), st.lists(inner, min_size=1, max_size=3).map(tuple)
    ),
)


@given(TREES)
def test_every_type_is_read_as_it_was_printed(tree: TypeTree) -> None:
    assert types.parse(str(tree)) == tree


@given(st.text())
def test_no_text_breaks_a_grammar(text: str) -> None:
    for accepts in (dims.is_dim, dims.is_constraint, types.is_type, names.is_parameter, names.is_qualified):
        if accepts(text):
            assert len(text.splitlines()) <= 1


@pytest.mark.parametrize(
    ("accepts", "good", "bad"),
    [
        (names.is_parameter, ["x", "*args", "**kwargs"], ["***x", "x y", "", "x\n", "1"]),
        (names.is_qualified, ["Net", "Net.Inner", "make.<locals>.Net", ""], ["Net()", "a..b", "a\n", ".a", "a b"]),
        (names.is_line, ["layers.0.conv", "down 1", "a-b"], ["a\nb", "a\u2028b", "a\r"]),
    ],
)
def test_names(accepts: object, good: list[str], bad: list[str]) -> None:
    assert callable(accepts)
    assert [text for text in good if not accepts(text)] == []
    assert [text for text in bad if accepts(text)] == []
