"""What is said of sizes: two that should be one, sides that are too short, and values beyond what they point into."""

from __future__ import annotations

import re

from ts_shape_server.agent.torch_says.rows import Facts, Row, number_or_symbol, row, whole_numbers


def _pair(match: re.Match[str]) -> Facts:
    return {"wanted": number_or_symbol(match.group("wanted")), "got": number_or_symbol(match.group("got"))}


def _sizes(match: re.Match[str]) -> Facts:
    return {"wanted": whole_numbers(match.group("wanted")), "got": whole_numbers(match.group("got"))}


def _spread(match: re.Match[str]) -> Facts:
    return {
        "length": int(match.group("length")),
        "axis": int(match.group("axis")),
        "had": whole_numbers(match.group("had")),
        "wanted": whole_numbers(match.group("wanted")),
    }


def _within(match: re.Match[str]) -> Facts:
    return {
        "got": whole_numbers(match.group("got")),
        "low": int(match.group("low")),
        "high": int(match.group("high")),
    }


def _state(match: re.Match[str]) -> Facts | None:
    """The first axis on which two numbers differ."""
    wanted, got = (match.group(side).split(", ") for side in ("wanted", "got"))
    for axis, (one, other) in enumerate(zip(wanted, got) if len(wanted) == len(got) else ()):
        if one.isdigit() and other.isdigit() and one != other:
            return {"wanted": int(one), "got": int(other), "axis": axis}
    return None


def _along_axis(match: re.Match[str]) -> Facts:
    return {name: int(match.group(name)) for name in ("axis", "wanted", "got")}


def _end(match: re.Match[str]) -> Facts:
    return {"axis": int(match.group("axis")), "size": int(match.group("size"))}


def _layer(pattern: str, *said: str) -> Row:
    return row("layer-size-differs", pattern, *said, read=_pair)


def _differ(pattern: str, *said: str) -> Row:
    return row("sizes-differ", pattern, *said, read=_pair)


ROWS = (
    # What a layer takes, fixed when it was made, and what arrives.
    _layer(
        r"to have (?P<wanted>\S+) channels, but got (?P<got>\S+) channels",
        "Given groups=1, weight of size [8, 3, 3, 3], expected input[2, 5, 37, 41] to have 3 channels, but got 5 "
        "channels instead",
    ),
    _layer(
        r"same reduction dim, but got \[[^\]]*?(?P<got>[^,\]]+)\] X \[(?P<wanted>[^,\]]+),",
        "a and b must have same reduction dim, but got [3, 37] X [10, 5].",
        "a and b must have same reduction dim, but got [s0, 16*s1] X [10, 5].",
    ),
    _layer(
        r"shapes cannot be multiplied \(\S+?x(?P<got>\w+) and (?P<wanted>\w+)x",
        "mat1 and mat2 shapes cannot be multiplied (3x37 and 10x5)",
    ),
    _layer(
        r"should contain (?P<got>\S+) elements not (?P<wanted>\S+)", "running_mean should contain 37 elements not 9"
    ),
    _layer(
        r"input_size\. Expected (?P<wanted>\S+),? got (?P<got>\S+)",
        "input.size(-1) must be equal to input_size. Expected 12, got 37",
    ),
    _layer(
        r"weight\.shape\[0\] *\(?(?P<wanted>\d+).*input.*?(?P<got>\d+)",
        "Expected weight.shape[0] 8 to be the number of channels of the input, but got 12",
    ),
    _layer(
        r"normalized_shape=\[(?P<wanted>\d+)\].*input of size ?(?:torch\.Size\()?\[.*?(?P<got>[^,\] ]+)\]",
        "Given normalized_shape=[24], expected input with shape [*, 24], but got input of size[2, 37]",
        # On tensors without memory.
        "Given normalized_shape=[24], expected input with shape [24], but got input of size torch.Size([2, 37])",
    ),
    _layer(
        r"expected shape \[?\*, (?P<wanted>\d+)\]?.*got input of size ?\[.*?(?P<got>[^,\] ]+)\]",
        "expected shape [*, 24], but got input of size [2, 37]",
    ),
    # Two sizes that should be one, and neither needs to be a layer's.
    _differ(
        r"size of tensor a \((?P<got>\d+)\) must match the size of tensor b \((?P<wanted>\d+)\)",
        "The size of tensor a (4) must match the size of tensor b (5) at non-singleton dimension 2",
    ),
    _differ(
        r"broadcast a dimension of length (?P<got>\d+) at -3!.*broadcastable to \[\d+, (?P<wanted>\d+), \d+, \d+\]",
        "Attempting to broadcast a dimension of length 5 at -3! Mismatching argument at index 1 had "
        "torch.Size([2, 5, 4, 4]); but expected shape should be broadcastable to [2, 3, 4, 4]",
    ),
    _differ(
        r"a dimension of length (?P<got>\d+) at -2!.*broadcastable to \[\d+, (?P<wanted>\d+), \d+\]",
        "Attempting to broadcast a dimension of length 5 at -2! Mismatching argument at index 1 had "
        "torch.Size([2, 5, 4]); but expected shape should be broadcastable to [2, 3, 4]",
    ),
    _differ(
        r"a dimension of length (?P<got>\d+) at -1!.*broadcastable to \[\d+, (?P<wanted>\d+)\]",
        "Attempting to broadcast a dimension of length 5 at -1! Mismatching argument at index 1 had "
        "torch.Size([2, 5]); but expected shape should be broadcastable to [2, 4]",
    ),
    _differ(
        r"Expected size (?P<wanted>\d+) but got size (?P<got>\d+)",
        "Sizes of tensors must match except in dimension 1. Expected size 4 but got size 6 for tensor number 1 in the "
        "list.",
    ),
    _differ(
        r"equal to batch_size, but got (?P<got>\d+) \(batch_size=(?P<wanted>\d+)\)",
        "Expected `len(lengths)` to be equal to batch_size, but got 3 (batch_size=2)",
    ),
    _layer(
        r"inconsistent (?:hidden|input)_size: got (?P<got>\d+),? expected (?P<wanted>\d+)",
        "input has inconsistent input_size: got 16 expected 1",
        "hidden0 has inconsistent hidden_size: got 7, expected 6",
    ),
    # What a cell is given is a step of what comes in, mostly: another form of that may mend it.
    row(
        "step-size-differs",
        r"inconsistent input_size: got (?P<got>\d+),? expected (?P<wanted>\d+)",
        "input has inconsistent input_size: got 2 expected 7",
        read=_pair,
    ),
    _layer(
        r"last_dim = (?P<got>\d+), and weight\.size\(1\) = (?P<wanted>\d+)",
        "Shape mismatch for NestedTensor Linear: Expected input's (a nested tensor) 'last_dim' to equal "
        "'weight.size(1), but got: last_dim = 16, and weight.size(1) = 9",
    ),
    _differ(
        r"[Ss]hape mismatch(?! for NestedTensor).*?\b(?P<wanted>\d+)\b.*?\b(?P<got>\d+)\b",
        "shape mismatch: value tensor of shape [2] cannot be broadcast to indexing result of shape [3]",
    ),
    _differ(
        r"expected [^\[]*?\b(?P<wanted>\d+)\b.*? got .*?\b(?P<got>\d+)\b",
        "expected 3 inputs, got 2",
        "was expecting embedding dimension of 16, but expected 16 and got 17",
    ),
    # Tensors that are put beside each other or added, and differ in a side.
    row(
        "side-differs",
        r"must match except in dimension \d+\. Expected (?P<wanted>\d+) in dimension \d+ but got (?P<got>\d+)",
        "Sizes of tensors must match except in dimension 1. Expected 4 in dimension 2 but got 6 for tensor number 1 in "
        "the list",
        read=_pair,
    ),
    # On tensors without memory, torch 2.2.
    row(
        "side-differs",
        r"must match except in dimension \d+\. Expected (?P<wanted>\d+) but got (?P<got>\d+) for",
        "Sizes of tensors must match except in dimension 1. Expected 4 but got 6 for tensor number 1 in the list",
        read=_pair,
    ),
    row(
        "sides-added-differ",
        r"size of tensor a \((?P<wanted>\d+)\) must match the size of tensor b \((?P<got>\d+)\) at non-singleton "
        r"dimension [2-5]",
        "The size of tensor a (4) must match the size of tensor b (5) at non-singleton dimension 3",
        read=_pair,
    ),
    row(
        "broadcast-differs",
        r"broadcast a dimension of length (?P<length>\d+) at -(?P<axis>\d)!.*? had (?:torch\.Size\()?"
        r"\[(?P<had>[\d, ]+)\].*?broadcastable to (?:torch\.Size\()?\[(?P<wanted>[\d, ]+)\]",
        "Attempting to broadcast a dimension of length 5 at -1! Mismatching argument at index 1 had "
        "torch.Size([2, 3, 4, 5]); but expected shape should be broadcastable to [2, 3, 4, 4]",
        read=_spread,
    ),
    row(
        "value-differs",
        r"Value is not broadcastable with batch_shape\+event_shape: torch\.Size\(\[(?P<got>[\d, ]+)\]\) vs "
        r"torch\.Size\(\[(?P<wanted>[\d, ]+)\]\)",
        "Value is not broadcastable with batch_shape+event_shape: torch.Size([2, 16]) vs torch.Size([2]).",
        read=_sizes,
    ),
    row(
        "values-wanted",
        r"Tensor of shape \((?P<got>[\d, ]+)\)\) to be within the support "
        r"\(IntegerInterval\(lower_bound=(?P<low>-?\d+), upper_bound=(?P<high>\d+)\)",
        "Expected value argument (Tensor of shape (2,)) to be within the support (IntegerInterval(lower_bound=0, "
        "upper_bound=4)) of the distribution Categorical(logits: torch.Size([2, 5])), but found invalid values:",
        read=_within,
    ),
    row(
        "mask-differs",
        r"shape of the mask \[(?P<got>[\d, ]+)\] at index \d does not match the shape of the indexed tensor "
        r"\[(?P<wanted>[\d, ]+)\]",
        "The shape of the mask [2, 16] at index 1 does not match the shape of the indexed tensor [2, 3, 7] at index 1",
        read=_sizes,
    ),
    # Masks of attention, for pairs of places and for the places of each item.
    row(
        "mask-differs",
        r"attn_mask is torch\.Size\(\[(?P<got>[\d, ]+)\]\), but should be \((?P<wanted>[\d, ]+)\)",
        "The shape of the 2D attn_mask is torch.Size([2, 8]), but should be (2, 2).",
        read=_sizes,
    ),
    row(
        "padding-mask-differs",
        r"key_padded_mask\.shape\[(?P<axis>\d)\] to be (?P<wanted>\d+), but got (?P<got>\d+)",
        "Expected key_padded_mask.shape[0] to be 16, but got 2",
        read=_along_axis,
    ),
    row(
        "mask-differs",
        r"key_padding_mask shape of \((?P<wanted>[\d, ]+)\), but got torch\.Size\(\[(?P<got>[\d, ]+)\]\)",
        "expecting key_padding_mask shape of (2, 8), but got torch.Size([8, 2])",
        read=_sizes,
    ),
    # A loss, and what it is compared to.
    row(
        "target-differs",
        r"target size \(torch\.Size\(\[(?P<got>[\d, ]*)\]\)\) that is different to the input size "
        r"\(torch\.Size\(\[(?P<wanted>[\d, ]*)\]\)\)",
        "Using a target size (torch.Size([64])) that is different to the input size (torch.Size([64, 1])) is "
        "deprecated. Please ensure they have the same size.",
        read=_sizes,
    ),
    row(
        "target-differs",
        r"input batch_size \((?P<wanted>\d+)\) to match target batch_size \((?P<got>\d+)\)",
        "Expected input batch_size (10) to match target batch_size (256).",
        read=_sizes,
    ),
    row(
        "equal-sizes-needed",
        r"shape|same|match|equal|size of tensor|broadcast",
        "stack expects each tensor to be equal size, but got [2, 3] at entry 0 and [2, 4] at entry 1",
        "the batch number of src and tgt must be equal",
        "The size of tensor a (4) must match the size of tensor b (5) at non-singleton dimension 2",
        "Using a target size (torch.Size([2])) that is different to the input size is deprecated. Please ensure they "
        "have the same size.",
        "shape mismatch: value tensor of shape [2] cannot be broadcast to indexing result of shape [3]",
        any_case=True,
    ),
    row(
        "state-batch-differs",
        r"Input batch size (?P<wanted>\d+) doesn't match hidden\d? ?batch size (?P<got>\d+)",
        "Input batch size 8 doesn't match hidden0 batch size 2",
        read=_pair,
    ),
    row(
        "state-size-differs",
        r"Expected hidden(?:\[\d\])? size \((?P<wanted>[\d, ]+)\), got \[(?P<got>[\d, ]+)\]",
        "Expected hidden[0] size (1, 5, 4), got [1, 2, 4]",
        "Expected hidden size (1, 5, 4), got [1, 2, 4]",
        read=_sizes,
    ),
    # As a run on symbols says it: sizes that are no symbols are those of the layer, and of what `forward` makes.
    row(
        "state-never-fits",
        r"Expected hidden(?:\[\d\])? size \((?P<wanted>[^)]+)\), got \[(?P<got>[^\]]+)\]",
        "Expected hidden[0] size (2, s0, 20), got [1, s0, 20]",
        read=_state,
    ),
    # What comes out would have no pixels, what is normalised is one value.
    row(
        "too-small",
        r"can't be greater than actual input",
        "Calculated padded input size per channel: (4 x 4). Kernel size: (7 x 7). Kernel size can't be greater than "
        "actual input size",
    ),
    row(
        "too-small",
        r"more than 1 (?:spatial element|value per channel)",
        "Expected more than 1 value per channel when training, got input size torch.Size([1, 9])",
        "Expected more than 1 spatial element when training, got input size torch.Size([1, 9, 1, 1])",
    ),
    row("too-small", r"smaller than kernel size", "padded input size (1) is smaller than kernel size (5)"),
    row(
        "too-small",
        r"should be less than the corresponding input dimension",
        "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding (5, 5) at "
        "dimension 3 of input [2, 3, 4, 4]",
    ),
    row(
        "too-small",
        r"expected 0 < n_fft <",
        "stft(torch.FloatTensor[2, 16], n_fft=48, hop_length=12, win_length=48) : expected 0 < n_fft < 16, but got "
        "n_fft=48",
    ),
    row("too-small", r"must have non-zero size", "max_pool2d: input must have non-zero size"),
    row("too-small", r"Expected .* non-zero size", "Expected a tensor with non-zero size"),
    row(
        "too-small",
        r"too small",
        "Given input size: (3x4x4). Calculated output size: (3x0x0). Output size is too small",
        "The input image is too small",
    ),
    # Windows and patches: what an author's own check says of sides.
    row("sides-wrong", r"divisible", "Image dimensions must be divisible by the patch size.", any_case=True),
    row(
        "sides-wrong",
        r"(?:image|input|img) size",
        "Input image size (64*64) doesn't match model (224*224).",
        any_case=True,
    ),
    row(
        "sides-wrong",
        r"height|width|resolution|window(?!=)",
        "Input image height (64) doesn't match model (224)",
        "expected the width to be 224",
        "the resolution of the input is wrong",
        "input feature has wrong size for the window",
        any_case=True,
    ),
    # Values that point beyond what they point into.
    row(
        "beyond-the-end",
        r"index \d+ is out of bounds for dimension (?P<axis>\d) with size (?P<size>\d+)",
        "index 12 is out of bounds for dimension 1 with size 8",
        read=_end,
    ),
    # A list of modules.
    row(
        "modules-too-few",
        r"^index (?P<count>\d+) is out of range$",
        "index 4 is out of range",
        read=lambda match: {"count": int(match.group("count"))},
    ),
    row("index-out-of-range", r"out of (?:range|bounds)", "index out of range in self", any_case=True),
    row(
        "index-out-of-range",
        r"out of DATA bounds",
        "INDICES element is out of DATA bounds, id=9 axis_dim=3",
    ),
    row("index-out-of-range", r"index .* is invalid", "index 9 is invalid for axis 0", any_case=True),
    row("index-out-of-range", r"must be smaller than num_classes", "Class values must be smaller than num_classes."),
    # Lengths that may be too long for what they are the lengths of.
    row("too-long", r"is invalid for input of size", "shape '[2, 7]' is invalid for input of size 24"),
    row("too-long", r"out of (?:range|bounds)", "index 7 is out of bounds for dimension 0 with size 3"),
    row("too-long", r"exceeds dimension size", "start (0) + length (9) exceeds dimension size (8)."),
    row("too-long", r"must be less than", "lengths must be less than 8"),
    row(
        "sorted-needed",
        r"must be sorted in decreasing order",
        "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
        "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you do "
        "not need ONNX exportability.",
    ),
    row(
        "positive-needed",
        r"[Ll]ength of all samples has to be greater than 0",
        "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0",
    ),
)
