"""What is said of the number of dims: which ranks are taken, one more or one less, an axis that is not there."""

from __future__ import annotations

import re

from ts_shape_server.agent.torch_says.rows import Facts, Row, row


def _smaller_first(match: re.Match[str]) -> Facts:
    return {"ranks": tuple(int(rank) for rank in match.groups() if rank)}


def _larger_first(match: re.Match[str]) -> Facts:
    """The larger of two is the one with a batch."""
    return {"ranks": tuple(int(rank) for rank in match.groups() if rank)[::-1]}


def _of_padding(match: re.Match[str]) -> Facts:
    """Padding of n sides is for n / 2 axes beside batch and channels."""
    return {"ranks": (int(match.group(1)) // 2 + 2,)}


def _vector(match: re.Match[str]) -> Facts:
    return {"ranks": (1,)}


def _batched_states(match: re.Match[str]) -> Facts:
    return {"ranks": (3,)}


def _between(match: re.Match[str]) -> Facts | None:
    wanted, got = int(match.group("wanted")), int(match.group("got"))
    return {"wanted": wanted, "got": got} if got > wanted else None


def _below(match: re.Match[str]) -> Facts | None:
    wanted, got = int(match.group("wanted")), int(match.group("got"))
    return {"wanted": wanted, "got": got} if got < wanted else None


def _differing(match: re.Match[str]) -> Facts | None:
    wanted, got = int(match.group("wanted")), int(match.group("got"))
    return {"wanted": wanted, "got": got} if got != wanted else None


def _axis(match: re.Match[str]) -> Facts:
    """The axis, and how many dims there are."""
    return {"axis": int(match.group("axis")), "rank": int(match.group("rank"))}


def _wanted(pattern: str, *said: str) -> Row:
    return row("rank-wanted", pattern, *said, read=_larger_first)


ROWS = (
    # The ranks that would be taken, the likeliest first.
    row(
        "rank-wanted",
        r"Padding size (\d+) is not supported",
        "Padding size 4 is not supported for 2D input tensor.\nSupported combinations for non-constant padding:",
        read=_of_padding,
    ),
    # torch 2.2, which does not say what was padded.
    row(
        "rank-wanted",
        r"Only 2D, 3D, 4D, 5D padding with non-constant padding",
        "Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now",
        read=lambda match: {"ranks": (4, 3, 5)},
    ),
    # A normalisation's smaller rank is a batch of vectors; elsewhere the smaller one has no batch.
    row(
        "rank-wanted",
        r"expected (\d)D or (\d)D input \(got",
        "expected 2D or 3D input (got 4D input)",
        read=_smaller_first,
    ),
    _wanted(
        r"[Ee]xpected (\d)D(?: \(unbatched\))?,? or (\d)D(?: \(batched\))?",
        "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [2, 5]",
        "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:[2, 3, 4]",
    ),
    _wanted(
        r"(\d)D or (\d)D target tensor expected",
        "0D or 1D target tensor expected, multi-target not supported, got 4D",
    ),
    _wanted(r"expected (\d)D (?:or (\d)D )?input", "expected 4D input (got 2D input)"),
    _wanted(
        r"[Ee]xpected \S+ to be (\d)D or (\d)D",
        "LSTM: Expected input to be 2D or 3D, got 4D instead",
        "LSTMCell: Expected hx[0] to be 1D or 2D, got 4D instead",
    ),
    # torch up to 2.1.
    _wanted(r"[Ii]nput must have (\d) dimensions", "input must have 3 dimensions, got 2"),
    _wanted(r"not enough values to unpack \(expected (\d)", "not enough values to unpack (expected 4, got 2)"),
    _wanted(r"too many values to unpack \(expected (\d)", "too many values to unpack (expected 2)"),
    _wanted(
        r"is not equal to len\(dims\) = (\d)",
        "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
        "ordering of dimensions i.e. input.dim() = 3 is not equal to len(dims) = 4",
    ),
    _wanted(r"must be a (\d)-?D tensor", "batch1 must be a 3D tensor"),
    # torch up to 2.1.
    _wanted(r"(\d)-?[dD] (?:\(batched\) )?(?:tensor|input|inputs) expected", "3D tensor expected for input"),
    _wanted(
        r"[Ee]xpected (?:a |input to be )?(\d)-?D(?: tensor)?",
        "stft(torch.FloatTensor[2, 3, 8], n_fft=4, hop_length=1) : expected a 1D or 2D tensor",
        "Number of dimensions of tensors must match.  Expected 3-D tensors, but got 2-D for tensor number 1 in the "
        "list",
    ),
    _wanted(r"expected (\d)-dimensional", "Expected 2 to 3 dimensions, but expected 4-dimensional input"),
    _wanted(r"must be (\d)-?D\b", "a must be 2D"),
    _wanted(r"expects a tensor with <= (\d) dimensions", "t() expects a tensor with <= 2 dimensions, but self is 3D"),
    _wanted(r"Supports 1D or (\d)D tensors", "diag(): Supports 1D or 2D tensors. Got 3D"),
    _wanted(
        r"subscripts in the equation \((\d)\)",
        "einsum(): the number of subscripts in the equation (3) does not match the number of dimensions (2) for "
        "operand 0 and no ellipsis was given",
    ),
    _wanted(r"only supported for (\d)-?D", "linalg: this is only supported for 2-D tensors"),
    _wanted(
        r"has to be (?:a )?(\d)D (?:or (\d)D )?Tensor",
        "input has to be 1D or 2D Tensor, but got Tensor of dimension 4",
        "offsets has to be a 1D Tensor",
    ),
    # einops.
    _wanted(
        r"expected (\d+) dims\. Received",
        'Error while processing rearrange-reduction pattern "b -> b 1".\n Input tensor shape: torch.Size([2, 3]). '
        "Additional info: {}.\n Wrong shape: expected 1 dims. Received 2-dim tensor.",
    ),
    _wanted(
        r"must be (\d) or (\d)(?: dim|, but got)",
        "prob_dist must be 1 or 2 dim",
        "The probability distributions dimensions must be 1 or 2, but got 4",
    ),
    # diffusers.
    _wanted(r"should be a (\d)d-array", "Timesteps should be a 1d-array."),
    _wanted(r"(\d)D tensors expected, but got", "1D tensors expected, but got 4D and 4D tensors"),
    row(
        "rank-wanted",
        r"Index should have dimension (\d) or (\d)",
        "Index should have dimension 1 or 0 (got 4)",
        read=_smaller_first,
    ),
    # The states of a recurrent layer have the dims of its input, and both a batch.
    row(
        "rank-wanted",
        r"(?:hx|hx and cx) should also be \d-D but got",
        "For batched 3-D input, hx and cx should also be 3-D but got (4-D, 4-D) tensors",
        "For unbatched 2-D input, hx should also be 2-D but got 4-D tensor",
        read=_batched_states,
    ),
    row(
        "rank-wanted",
        r"expected `key` and `value` to be \d-D but found",
        "For batched (3-D) `query`, expected `key` and `value` to be 3-D but found 4-D and 4-D tensors respectively",
        read=_batched_states,
    ),
    row(
        "rank-wanted",
        r"Index is supposed to be a vector",
        "index_select(): Index is supposed to be a vector",
        read=_vector,
    ),
    # What is put beside each other has not as many dims: `wanted` are those of the first, `got` those of another.
    row(
        "ranks-differ",
        r"must match\. +Expected (?P<wanted>\d)-D tensors, but got (?P<got>\d)-D",
        "Number of dimensions of tensors must match.  Expected 3-D tensors, but got 2-D for tensor number 1 in the "
        "list",
        read=_differing,
    ),
    row(
        "ranks-differ",
        r"same number of dimensions: got (?P<wanted>\d) and (?P<got>\d)",
        "Tensors must have same number of dimensions: got 3 and 2",
        read=_differing,
    ),
    row(
        "rank-too-high",
        r"Expected input to be \d?D? ?(?:or )?(?P<wanted>\d)D, got (?P<got>\d)D",
        "LSTM: Expected input to be 2D or 3D, got 4D instead",
        "GRU: Expected input to be 2D or 3D, got 4D instead",
        "LSTMCell: Expected input to be 1D or 2D, got 3D instead",
        read=_between,
    ),
    # All inputs have so many dims too many, or one of them.
    row(
        "rank-too-high",
        r"should be a (?P<wanted>\d)D .*?\bgot (?P<got>\d)D",
        "'lengths' argument should be a 1D CPU int64 tensor, but got 2D cpu Long tensor",
        read=_between,
    ),
    # What was made of inputs has too few dims, so all of them have, or one of them.
    row(
        "rank-too-low",
        r"input\.dim\(\) = (?P<got>\d) is not equal to len\(dims\) = (?P<wanted>\d)",
        "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
        "ordering of dimensions i.e. input.dim() = 3 is not equal to len(dims) = 4",
        read=_below,
    ),
    row(
        "axis-out-of-range",
        r"Dimension out of range \(expected to be in range of \[-(?P<rank>\d), \d\], but got (?P<axis>-?\d+)",
        "Dimension out of range (expected to be in range of [-2, 1], but got 2)",
        "Dimension out of range (expected to be in range of [-1, 0], but got -2)",
        read=_axis,
    ),
    row("more-dims-needed", r"too many indices for tensor", "too many indices for tensor of dimension 1"),
    row("more-dims-needed", r"tuple index out of range", "tuple index out of range"),
    row("more-dims-needed", r"not enough values to unpack", "not enough values to unpack (expected 4, got 2)"),
    # A convolution calls its input a batch of one where the batch is missing.
    row(
        "more-dims-needed",
        r"expected input\[1, ",
        "Given groups=1, weight of size [8, 3, 3, 3], expected input[1, 2, 5, 6] to have 3 channels, but got 2 "
        "channels instead",
    ),
    row(
        "fewer-dims-needed",
        r"repeat dims can not be smaller",
        "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor",
    ),
    row(
        "fewer-dims-needed",
        r"must be greater or equal to the number of dim",
        "expand(torch.FloatTensor{[2, 3, 4, 5]}, size=[2, 3]): the number of sizes provided (2) must be greater or "
        "equal to the number of dimensions in the tensor (4)",
    ),
    row(
        "rank-too-high",
        r"sizes provided \((?P<wanted>\d)\) must be greater or equal to the number of dimensions in the tensor "
        r"\((?P<got>\d)\)",
        "expand(torch.FloatTensor{[2, 3, 4, 5]}, size=[2, 3]): the number of sizes provided (2) must be greater or "
        "equal to the number of dimensions in the tensor (4)",
        read=_between,
    ),
    row("fewer-dims-needed", r"too many values to unpack", "too many values to unpack (expected 2)"),
    row(
        "vector-needed",
        r"'lengths' argument should be",
        "'lengths' argument should be a 1D CPU int64 tensor, but got 2D cpu Long tensor",
    ),
    row("vector-needed", r"cannot be converted to Scalar", "a Tensor with 2 elements cannot be converted to Scalar"),
    row(
        "vector-needed",
        r"only integer tensors of a single element",
        "only integer tensors of a single element can be converted to an index",
    ),
    row("vector-needed", r"iteration over a 0-d tensor", "iteration over a 0-d tensor"),
    # An index is one dim short of what it points into, or has one too many.
    row(
        "index-rank-differs",
        r"Index tensor must have the same number of dimensions",
        "Index tensor must have the same number of dimensions as input tensor",
    ),
    row("index-rank-differs", r"Expected target size \[", "Expected target size [2, 4], got [2, 5]"),
    row("scalar-indexed", r"tensor of dimension 0", "too many indices for tensor of dimension 0"),
)
