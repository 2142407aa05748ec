"""What is said when a value is of another kind than is needed: a list for a tensor, a tensor for a number, states."""

from __future__ import annotations

from ts_shape_server.agent.torch_says.rows import Row, row


def _tensor(pattern: str, *said: str) -> Row:
    return row("tensor-needed", pattern, *said)


def _number(pattern: str, *said: str) -> Row:
    return row("number-needed", pattern, *said)


def _states(pattern: str, *said: str) -> Row:
    return row("states-needed", pattern, *said)


def _mapping(pattern: str, *said: str) -> Row:
    return row("mapping-needed", pattern, *said)


_TENSORS_NEEDED = "cat(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor"

ROWS = (
    # A list of tensors, where one was passed.
    row("tensors-needed", r"must be tuple of Tensors, not Tensor|tuple of Tensors", _TENSORS_NEEDED),
    row("tensors-needed", r"argument 'tensors'", _TENSORS_NEEDED),
    row("tuple-needed", r"tuple", _TENSORS_NEEDED, "input must be a tuple of two tensors"),
    # A tensor, where something else was passed.
    _tensor(
        r"must be Tensor, not (?:list|tuple|dict|int|float|bool|str|NoneType)",
        "linear(): argument 'input' (position 1) must be Tensor, not list",
        "linear(): argument 'input' (position 1) must be Tensor, not int",
    ),
    _tensor(
        r"'(?:list|tuple|dict|int|float|bool|NoneType|str)' object has no attribute",
        "'list' object has no attribute 'dim'",
    ),
    _tensor(r"unsupported operand type", "unsupported operand type(s) for +: 'NoneType' and 'int'"),
    _tensor(
        r"'int' object is not (?:iterable|subscriptable)",
        "'int' object is not subscriptable",
        "'int' object is not iterable",
    ),
    _tensor(
        r"(?:list|tuple) indices must be integers",
        "list indices must be integers or slices, not tuple",
        "tuple indices must be integers or slices, not tuple",
        "list indices must be integers or slices, not str",
    ),
    _tensor(
        r"not list|not tuple|not dict",
        "embedding(): argument 'indices' (position 2) must be Tensor, not list",
        "relu(): argument 'input' (position 1) must be Tensor, not tuple",
        "relu(): argument 'input' (position 1) must be Tensor, not dict",
    ),
    # A number, where a tensor was passed.
    _number(
        r"'Tensor' object cannot be interpreted as an integer", "'Tensor' object cannot be interpreted as an integer"
    ),
    _number(
        r"only integer tensors of a single element",
        "only integer tensors of a single element can be converted to an index",
    ),
    _number(
        r"Boolean value of Tensor with more than one value",
        "Boolean value of Tensor with more than one value is ambiguous",
    ),
    _number(
        r"must be (?:int|float|bool|SymInt|tuple of ints|Number)",
        "eye(): argument 'n' (position 1) must be int, not Tensor",
        "full(): argument 'fill_value' (position 2) must be Number, not Tensor",
        "zeros(): argument 'size' (position 1) must be tuple of ints, not Tensor",
        "list indices must be integers or slices, not Tensor",
    ),
    _number(r"can't convert .* to Scalar", "can't convert a tensor of 2 elements to Scalar"),
    _number(
        r"only one element tensors can be converted", "only one element tensors can be converted to Python scalars"
    ),
    _number(
        r"a Tensor with \d+ elements cannot be converted to Scalar",
        "a Tensor with 2 elements cannot be converted to Scalar",
    ),
    _number(r"unhashable type", "unhashable type: 'list'"),
    _number(
        r"(?:arange|linspace|full|zeros|ones|randn|rand|empty|eye|one_hot)\(\)(?: received an invalid|: argument)",
        "linspace() received an invalid combination of arguments - got (int, int, Tensor), but expected one of:",
        "arange(): argument 'end' (position 1) must be Number, not Tensor",
    ),
    # The pair of states of an LSTM.
    _states(
        r"lstm(?:_cell)?\(\) received an invalid combination",
        "lstm() received an invalid combination of arguments - got (Tensor, Tensor, list, bool, int, float)",
    ),
    _states(
        r"lstm_cell\(\): argument 'hx'", "lstm_cell(): argument 'hx' (position 2) must be tuple of Tensors, not Tensor"
    ),
    _states(r"LSTM(?:Cell)?: Expected hx", "LSTMCell: Expected hx[0] to be 1D or 2D, got 3D instead"),
    _states(
        r"hx and cx should also be", "For batched 3-D input, hx and cx should also be 3-D but got (2-D, 2-D) tensors"
    ),
    # A mapping, where a tensor was passed.
    _mapping(r"no attribute '(keys|items|values|get)'", "'Tensor' object has no attribute 'keys'"),
    _mapping(r"too many indices", "too many indices for tensor of dimension 1"),
    _mapping(r"new\(\): invalid data type 'str'", "new(): invalid data type 'str'"),
    row(
        "tensor-called",
        r"Tensor' object is not callable",
        "'Tensor' object is not callable",
        "'FakeTensor' object is not callable",
    ),
    # What only the constructor can have put there.
    row(
        "stand-in-met",
        r"'(?:\w+\.)*(Identity|SimpleNamespace|int|float|str|list|dict|function|type)' object",
        "'types.SimpleNamespace' object is not callable",
        "'int' object is not subscriptable",
    ),
    row("stand-in-met", r"Identity\.forward\(\)", "Identity.forward() takes 2 positional arguments but 3 were given"),
    # Python 3.9 names no class.
    row("stand-in-met", r"^forward\(\) takes 2 positional", "forward() takes 2 positional arguments but 3 were given"),
    row("stand-in-met", r"non-iterable (int|float)", "cannot unpack non-iterable int object"),
    row("stand-in-met", r"tensor of dimension 0", "too many indices for tensor of dimension 0"),
)
