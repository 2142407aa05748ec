"""The rows of other things that the text of a refusal tells, which rules ask for by kind."""

from __future__ import annotations

import re

from ts_shape_server.agent.torch_says.compiler_reading import EXPECTED, VARIANT, row, signatures, variants
from ts_shape_server.agent.torch_says.rows import Row

MENTIONS: tuple[Row, ...] = (
    row(
        "expected-types",
        EXPECTED.pattern,
        "aten::dropout(Tensor input, float p, bool train) -> Tensor:\n"
        "Expected a value of type 'float' for argument 'p' but instead found type 'int'.",
        read=variants,
    ),
    row(
        "argument-missing",
        r"missing value for argument",
        "join() is missing value for argument 'parts'. Declaration: join(Tensor parts) -> Tensor",
    ),
    row(
        "too-many-arguments",
        r"Expected at most",
        "join(Tensor x) -> Tensor:\nExpected at most 1 arguments but found 2 positional arguments.",
    ),
    row(
        "signatures-printed",
        VARIANT.pattern,
        "join(Tensor x) -> Tensor:\nExpected at most 1 arguments but found 2 positional arguments.",
        read=signatures,
    ),
    row(
        "python-call",
        r"Could not export Python function call '(?P<name>[^']*)'",
        "Could not export Python function call 'SwishOp'. Remove calls to Python functions before export. Did you "
        "forget to add @script or @script_method annotation?",
    ),
    row("begins-with-call", r"\A\s*(?P<callee>\w+)\(", "join(Tensor x) -> Tensor:\nExpected at most 1 arguments"),
    row("name-of-ours", r"\bts_shape_\d+\b", "undefined value ts_shape_3"),
    row("none-or-optional", r"NoneType|Optional\[", "'Optional[Tensor]' object is not subscriptable"),
    row(
        "optional-types",
        r"'(?P<first>Optional\[[^']*\])'",
        "'Optional[Tensor]' object has no attribute or method 'shape'.",
        read=lambda match: {"types": tuple(dict.fromkeys(re.findall(r"'(Optional\[[^']*\])'", match.string)))},
    ),
    row("equality-operator", r"aten::(?:ne|eq)\b|Tensor\? ", "aten::ne.Tensor(Tensor self, Tensor other) -> Tensor:"),
    row("for-argument", r"for argument", "missing value for argument 'parts'"),
    row("any-type", r"\bAny\b", "'Any' object has no attribute or method 'mean'."),
    row(
        "device-type",
        r"type Device|type torch\.device|torch\.device",
        "if-expression's true branch has type Device but false branch has type str",
    ),
    row("generator-expression", r"GeneratorExp", "GeneratorExp aren't supported"),
    row("reversed-overload", r"^reversed\(", "reversed(str[] self) -> str[]:"),
    row(
        "tuple-slice",
        r"tuple slice indices must be integer constants",
        "tuple slice indices must be integer constants",
    ),
    row("list-append", r"aten::append", "aten::append.t(t[](a!) self, t(c -> *) el) -> t[](a!):"),
    row(
        "sparse-product",
        r"aten::spmm",
        "Unknown builtin op: aten::spmm.",
    ),
    row("is-tensor", r"is_tensor", "Unknown builtin op: aten::is_tensor."),
    row("default-value", r"default value", 'Expected a default value of type Tensor (inferred) on parameter "how".'),
    row(
        "weak-reference",
        r"weak reference",
        "cannot create weak reference to 'numpy.ufunc' object",
    ),
    row(
        "parametrization-active",
        r"Parametrization is not working with scripting",
        "Parametrization is not working with scripting.",
    ),
    row(
        "mixed-numbers",
        r"expected Float, Complex, Int, or Bool",
        "Input must be of ints, floats, or bools, got Tensor: expected Float, Complex, Int, or Bool type",
    ),
)
