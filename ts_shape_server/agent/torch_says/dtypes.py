"""What is said of dtypes: integers for an index, flags for a mask, and the dtype of weights that a tensor meets."""

from __future__ import annotations

import re

from ts_shape_server.agent.torch_says.rows import Facts, Row, row

_OTHER_FLOATS = {
    "float16": re.compile(r"\b(?:c10::)?Half(?:Tensor)?\b|float16", re.IGNORECASE),
    "bfloat16": re.compile(r"BFloat16", re.IGNORECASE),
    "float64": re.compile(r"\bDouble(?:Tensor)?\b|float64", re.IGNORECASE),
}


def _named(match: re.Match[str]) -> Facts | None:
    """Floating dtypes other than the usual one that the message names: a module may be of them."""
    names = tuple(dtype for dtype, pattern in _OTHER_FLOATS.items() if pattern.search(match.string))
    return {"dtypes": names} if names else None


def _integer(pattern: str, *said: str) -> Row:
    return row("integer-needed", pattern, *said, any_case=True)


def _boolean(pattern: str, *said: str) -> Row:
    return row("boolean-needed", pattern, *said, any_case=True)


def _float(pattern: str, *said: str) -> Row:
    return row("float-needed", pattern, *said, any_case=True)


ROWS = (
    _integer(
        r"scalar types?: Long, Int",
        "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
        "torch.FloatTensor instead (while checking arguments for embedding)",
    ),
    _integer(
        r"expected (?:\w+ )?(?:target |scalar type )?(?:dtype to be )?Long",
        "expected scalar type Long but found Float",
        "expected Long but found Float",
        "expected target dtype to be Long or Byte, but got Float",
    ),
    _integer(
        r"tensors used as indices must be long", "tensors used as indices must be long, int, byte or bool tensors"
    ),
    _integer(r"Expected dtype int64", "scatter(): Expected dtype int64 for index"),
    _integer(r"index tensor to have scalar type", "Expected index tensor to have scalar type Long"),
    _integer(r"'indices' to have", "Expected tensor for argument #1 'indices' to have one of the following types"),
    _integer(
        r"only (?:valid|applicable) to index",
        "one_hot is only applicable to index tensor of type LongTensor.",
    ),
    _integer(r"IndexTensor", "Expected object of type IndexTensor but found type torch.FloatTensor"),
    _integer(
        r"\w+\(\): Expected dtype",
        "gather(): Expected dtype int32/int64 for index",
        "index_select(): Expected dtype int32 or int64 for index",
    ),
    _integer(r"expected indices to be long or int", "expected indices to be long or int, got torch.float32"),
    _integer(r"0D or 1D target tensor expected", "0D or 1D target tensor expected, multi-target not supported"),
    _boolean(
        r"(?<!or )bool(?:ean)? (?:mask|tensor)",
        "where expected condition to be a boolean tensor, but got a tensor with dtype Float",
    ),
    _boolean(r"expected predicate to be bool", "expected predicate to be bool, got torch.float32"),
    _boolean(r"Mask must be bool", "Mask must be bool or uint8"),
    _boolean(r"expected BoolTensor for mask", "masked_select: expected BoolTensor for mask"),
    _boolean(r"expected .*mask.* Bool", "expected the mask to be of type Bool"),
    _boolean(r"only supports boolean masks", "masked_fill_ only supports boolean masks, but got mask with dtype float"),
    _boolean(r"dtype bool", "expected mask dtype bool"),
    _float(
        r"not implemented for '(?:Long|Int|Bool)'",
        "\"softmax_lastdim_kernel_impl\" not implemented for 'Long'",
    ),
    _float(
        r"result type (?:Float|torch\.float32) can't be cast",
        "result type Float can't be cast to the desired output type Long",
    ),
    _float(r"must be floating point", "Input dtype must be floating point"),
    _float(
        r"Subtraction, the `-` operator, with (?:a bool tensor|two bool tensors) is not supported",
        "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use "
        "the `~` or `logical_not()` operator instead.",
        "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
        "operator instead.",
    ),
    _float(
        r"must be either a floating point",
        "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: Long",
    ),
    _float(r"to have floating point type", "Expected theta to have floating point type, but got torch.int64"),
    _float(
        r"expected scalar type (?:torch\.)?Float",
        "expected scalar type Float but found Long",
        "expected scalar type torch.float32 but found torch.int64",
    ),
    _float(r"should be the same", "Input type (long int) and bias type (float) should be the same"),
    _float(
        r"(?:mat1 and mat2 must|expected m1 and m2 to) have the same dtype",
        "mat1 and mat2 must have the same dtype, but got Long and Float",
        "expected m1 and m2 to have the same dtype, but got: float != long int",
    ),
    _float(r"inputs must share same datatype", "mixed dtype (CPU): all inputs must share same datatype."),
    _float(r"got: (?:long|int|bool)", "Expected a floating point tensor, got: long"),
    _float(r"only support floating", "std and var only support floating point and complex dtypes"),
    _float(
        r"can only calculate the mean of floating", "Can only calculate the mean of floating types. Got Long instead."
    ),
    row(
        "dtypes-differ",
        r"expected (?:scalar type|dtype)|same dtype|should be the same|but found|but got|does not match weight dtype",
        "mat1 and mat2 must have the same dtype, but got Float and Double",
        "Input type (float) and bias type (c10::Half) should be the same",
        "RNN input dtype (torch.float32) does not match weight dtype (torch.float16). Convert input: ...",
        read=_named,
        any_case=True,
    ),
    row("complex-needed", r"complex", "view_as_real is only supported for complex tensors", any_case=True),
)
