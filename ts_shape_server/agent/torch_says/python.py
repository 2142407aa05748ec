"""What Python says of names, attributes, keys, counts and kinds: most of it is about a constructor's arguments."""

from __future__ import annotations

import re

from ts_shape_server.agent.torch_says.rows import Facts, Row, row

MOST_CHOICES = 3


def _name(match: re.Match[str]) -> Facts:
    return {"name": match.group(1)}


def _attribute(match: re.Match[str]) -> Facts:
    return {"owner": match.group(1), "name": match.group(2)}


def _count(match: re.Match[str]) -> Facts:
    return {"wanted": int(match.group(1))}


def _missing(match: re.Match[str]) -> Facts:
    return {"names": tuple(re.findall(r"'(\w+)'", match.group(1)))}


def _choices(match: re.Match[str]) -> Facts | None:
    texts = tuple(re.findall(r"'([\w-]+)'", match.string)[:MOST_CHOICES])
    return {"choices": texts} if texts else None


def _sequence(pattern: str, *said: str) -> Row:
    return row("sequence-needed", pattern, *said)


def _count_needed(pattern: str, *said: str) -> Row:
    return row("plain-number-needed", pattern, *said)


ROWS = (
    row("missing-name", r"name '(\w+)' is not defined", "name 'inplace_abn' is not defined", read=_name),
    row(
        "missing-name",
        r"free variable '(\w+)' referenced before",
        "free variable 'width' referenced before assignment in enclosing scope",
        read=_name,
    ),
    row(
        "missing-attribute",
        r"'(?:\w+\.)*(\w+)' object has no attribute '(\w+)'",
        "'types.SimpleNamespace' object has no attribute 'hidden'",
        "'int' object has no attribute 'lower'",
        read=_attribute,
    ),
    row(
        "missing-module-attribute",
        r"^module '([\w.]+)' has no attribute '(\w+)'",
        "module 'torch' has no attribute 'rfft'",
        "module 'torch.nn' has no attribute 'relu'",
        read=_attribute,
    ),
    # As `KeyError` shows it; as a mapping tells it that is asked for attributes.
    row("missing-key", r"^['\"]([\w.]+)['\"]$", "'ids'", read=_name),
    row("missing-key", r"^([A-Za-z_]\w*)$", "ids", read=_name),
    # As TorchScript's interpreter tells it.
    row("missing-key", r"(?:^|Error: )KeyError: ([A-Za-z_]\w*)\s*$", "KeyError: ids", read=_name),
    row(
        "missing-arguments",
        r"missing \d+ required (?:positional|keyword-only) arguments?: (.*)",
        "Linear.__init__() missing 1 required positional argument: 'out_features'",
        "f() missing 2 required keyword-only arguments: 'width' and 'height'",
        read=_missing,
    ),
    row("none-met", r"None", "unsupported operand type(s) for +: 'Tensor' and 'NoneType'"),
    row("identity-met", r"Identity", "'Identity' object is not subscriptable"),
    row("not-callable", r"not callable", "'int' object is not callable"),
    row(
        "forward-missing",
        r"Module \[(\w+)\] is missing the required \"forward\" function",
        'Module [ModuleList] is missing the required "forward" function',
        read=_name,
    ),
    row("too-few-values", r"not enough values", "not enough values to unpack (expected 3, got 2)"),
    row("too-many-values", r"too many values to unpack", "too many values to unpack (expected 2)"),
    row(
        "count-wanted",
        r"unpack \(expected (\d)",
        "not enough values to unpack (expected 3, got 2)",
        "too many values to unpack (expected 2)",
        read=_count,
    ),
    row("item-missing", r"index out of range", "list index out of range", "tuple index out of range"),
    _sequence(
        r"not (?:iterable|subscriptable)", "'int' object is not iterable", "'Identity' object is not subscriptable"
    ),
    _sequence(r"no len", "object of type 'int' has no len()"),
    _sequence(
        r"must be an iterable|with an iterable",
        "f() argument after * must be an iterable, not int",
        "ModuleList.extend should be called with an iterable, but got int",
    ),
    _sequence(r"cannot unpack", "cannot unpack non-iterable int object"),
    row("mapping-spread", r"must be a mapping", "dict() argument after ** must be a mapping, not int"),
    row(
        "tensor-argument-needed",
        r"must be (?:a )?Tensor|expected Tensor|not a Tensor|is not a tensor",
        "relu(): argument 'input' (position 1) must be Tensor, not int",
        "expected Tensor as element 0 in argument 0, but got int",
    ),
    row(
        "tensor-argument-needed",
        r"to buffer '\w+' \(torch Tensor or None required\)",
        "cannot assign 'int' object to buffer 'laplacian' (torch Tensor or None required)",
    ),
    row("array-needed", r"np\.ndarray", "expected np.ndarray (got int)"),
    row(
        "table-needed",
        r"^Embeddings parameter is expected to be 2-dimensional",
        "Embeddings parameter is expected to be 2-dimensional",
    ),
    row(
        "module-needed",
        r"is not a Module subclass",
        "int is not a Module subclass",
        "torch.nn.modules.activation.ReLU is not a Module subclass",
    ),
    row("module-needed", r"not an? (?:nn\.)?Module", "backbone is not a Module"),
    # Where a module is called, or taken apart, that stands for one that nobody gave.
    row("no-module", r"Identity\.forward\(\)", "Identity.forward() takes 2 positional arguments but 3 were given"),
    row("no-module", r"^forward\(\) takes 2 positional", "forward() takes 2 positional arguments but 3 were given"),
    row("no-module", r"'Identity' object", "'Identity' object has no attribute 'in_features'"),
    row("no-module", r"is not a Module subclass", "int is not a Module subclass"),
    row(
        "no-module",
        r"'(?:\w+\.)*(?:int|list|SimpleNamespace)' object is not callable",
        "'types.SimpleNamespace' object is not callable",
    ),
    _count_needed(
        r"'(?:list|tuple|Identity|SimpleNamespace|type|str|NoneType|bool|float)' object cannot be interpreted",
        "'list' object cannot be interpreted as an integer",
    ),
    _count_needed(r"unsupported operand", "unsupported operand type(s) for %: 'list' and 'int'"),
    _count_needed(
        r"must be (?:int|float|tuple of ints)", "empty(): argument 'size' (position 1) must be tuple of ints, not str"
    ),
    _count_needed(
        r"empty\(\)",
        "empty(): argument 'size' failed to unpack the object at pos 2 with error "
        '"type must be tuple of ints,but got str"',
    ),
    _count_needed(r"not supported between", "'<' not supported between instances of 'str' and 'int'"),
    _count_needed(r"can't multiply", "can't multiply sequence by non-int of type 'float'"),
    _count_needed(r"must be real number", "must be real number, not list"),
    _count_needed(r"bad operand", "bad operand type for unary -: 'list'"),
    _count_needed(r"should be of type int", "input_size should be of type int, got: str"),
    row(
        "text-needed",
        r"expected str|must be str",
        "sequence item 0: expected str instance, int found",
        "must be str, not int",
    ),
    row("text-needed", r"has no attribute '(?:lower|upper|split)'", "'int' object has no attribute 'lower'"),
    row("text-needed", r"startswith", "'int' object has no attribute 'startswith'"),
    # The texts that an author's own check lists as those it takes.
    row(
        "choices",
        r"\b(?:in|of|either|support\w*|choose\w*|expected|allowed|valid)\b",
        "mode must be one of 'bilinear', 'nearest'",
        "norm should be either 'bn' or 'gn'",
        read=_choices,
    ),
    # A value that was looked up by its name, and is none.
    row("unknown-choice", r"^(?:ReLU\(\)|Identity\(\)|<class .*>|\d+)$", "ReLU()", "<class 'torch.nn.ReLU'>", "16"),
)
