"""Shapes are read as people write them, and prose in brackets is none."""

from __future__ import annotations

import pytest

from ts_shape_server.agent.infer.facts import pragmas
from ts_shape_server.agent.infer.guesses import shape_text, values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(B, C, H, W)", "(B, C, H, W)"),
        ("Tensor of shape (batch, seq_len, 512)", "(batch, seq_len, 512)"),
        ("shape [B, T, 1].", "(B, T, 1)"),
        (r":math:`(N, C_{in}, H_{in}, W_{in})` or :math:`(C_{in}, H_{in}, W_{in})`", "(N, C_in, H_in, W_in)"),
        (r":math:`(C, L)` or :math:`(N, C, L)`", "(N, C, L)"),
        (r":math:`(\text{batch}, \text{seq\_len})`", "(batch, seq_len)"),
        (":math:`(N, *)`", "(N, ...)"),
        (":math:`(*, H_{in})` where", "(..., H_in)"),
        ("B x C x H x W", "(B, C, H, W)"),
        ("[N × T × D]", "(N, T, D)"),
        ("(batch size, sequence length, embed dim)", "(batch_size, sequence_length, embed_dim)"),
        ("(num_windows*B, N, C)", "(num_windows*B, N, C)"),
        ("shape (L,)", "(L,)"),
        ("labels with shape (num_classes)", "(num_classes,)"),
        ("the shape of it (see)", None),
        ("of shape (int)", None),
        ("(bs, c, h, w) -> (bs, out)", "(bs, c, h, w)"),
        ("of size (foo, bar)", "(foo, bar)"),
        ("(torch.Tensor, optional): mask", None),
        ("(int, float)", None),
        ("(see, above)", None),
        ("(e.g., a, b)", None),
        ("(True, False)", None),
        ("(x, y) coordinates", None),
        ("a 3 x 3 kernel", None),
        ("(h_0, c_0)", None),
        ("(B, ((((", None),
    ],
)
def test_a_shape_in_prose(text: str, expected: str | None) -> None:
    found = shape_text.first(text)
    assert (None if found is None else shape_text.spelled(found)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("batch 1 28 28", "(batch, 1, 28, 28)"),
        ("*batch c h", "(..., c, h)"),
        ("... 8", "(..., 8)"),
        ("#b rows=4 _", "(b, 4, ?)"),
        ("b t*2", "(b, t*2)"),
        ("(B, 3, H, W)", "(B, 3, H, W)"),
        ("", "()"),
    ],
)
def test_an_annotation_text(text: str, expected: str) -> None:
    found = shape_text.of_words(text)
    assert found is not None
    assert shape_text.spelled(found) == expected


def test_equal_names_stand_for_equal_sizes() -> None:
    names: shape_text.Names = {}
    for text, expected in (("B T C", (2, 8, 16)), ("B T 1", (2, 8, 1)), ("B 2*T", (2, 16)), ("B T+Q", (2, 16))):
        shape = shape_text.of_words(text)
        assert shape is not None
        made = shape_text.tensor(shape, "float32", (2, 8, 16) if len(shape.dims) == 3 else (2, 16), names)
        assert made is not None
        assert made.dims == expected


@pytest.mark.parametrize(
    ("text", "dims", "dtype"),
    [("(B, 3, 28, 28)", (2, 3, 28, 28), "float32"), ("(B, 7) int64", (2, 7), "int64"), ("()", (), "float32")],
)
def test_a_pragma_of_one_tensor(text: str, dims: tuple[int, ...], dtype: str) -> None:
    found = pragmas.guess(text)
    assert isinstance(found, values.TensorGuess)
    assert (found.dims, found.dtype) == (dims, dtype)


@pytest.mark.parametrize(
    ("text", "kind", "tensors"),
    [
        ("[(L, ) int64, ...]", "list", [(16,), (16,)]),
        ("((B, 3), (B, 4) bool)", "tuple", [(2, 3), (2, 4)]),
        ("{'ids': (B, 7) int64, 'mask': (B, 7)}", "dict", [(2, 7), (2, 7)]),
        ("3", "constant", []),
        ("[1, 2]", "list", []),
        ("'mean'", "constant", []),
        ("(B, 3", "none", []),
        ("{'ids': 3 +}", "none", []),
    ],
)
def test_a_pragma_of_another_structure(text: str, kind: str, tensors: list[tuple[int, ...]]) -> None:
    found = pragmas.guess(text)
    kinds = {
        values.SequenceGuess: getattr(found, "kind", ""),
        values.DictGuess: "dict",
        values.ConstantGuess: "constant",
    }
    assert kinds.get(type(found), "none") == kind
    assert [item.dims for item in values.tensors(found)] == tensors if found is not None else not tensors
