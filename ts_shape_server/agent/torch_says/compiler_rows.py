"""The rows of the compiler's messages, with each message as torch writes it: `REFUSALS`, in the order in which they are
asked, are what it stops at, `MENTIONS` other things that the same text tells.
"""

from __future__ import annotations

import re

from ts_shape_server.agent.torch_says.rows import Facts, Reader, Row

LONGEST_FACT = 200


def readable(text: str) -> str:
    """Types and names as they are written, without torch's manglings."""
    text = re.sub(r"__torch__\.(?:[\w<>]+\.)*(?:___torch_mangle_\d+\.)?(\w+)", r"\1", text)
    text = re.sub(r" ?\(of Python compilation unit at: \w+\)", "", text)
    return text.replace(" (inferred)", "").replace("NoneType", "None").strip()


def _groups(match: re.Match[str]) -> Facts:
    return {name: readable(text)[:LONGEST_FACT] for name, text in match.groupdict().items() if text is not None}


def _row(kind: str, pattern: str, *said: str, read: Reader = _groups) -> Row:
    return Row(kind, re.compile(pattern, re.MULTILINE | re.DOTALL), said, read)


_EXPECTED = re.compile(
    r"Expected a value of type '(?P<expected>.*?)' for argument '(?P<argument>\w+)' but instead found type "
    r"'(?P<got>.*?)'",
    re.DOTALL,
)
_VARIANT = re.compile(r"^\s*(?P<name>[\w:.]+)\((?P<parameters>.*)\) -> .*:\s*$", re.MULTILINE)
_CALLEE = re.compile(r"^\s*(?:aten::|prim::)?(\w+)(?:\.\w+)?\(", re.MULTILINE)


def _argument(match: re.Match[str]) -> Facts:
    """The first argument that does not fit, and the function that is called."""
    callees = _CALLEE.findall(match.string)
    inferred = "(inferred)" in match.group("expected")
    return {**_groups(match), "callee": callees[-1] if callees else "", "inferred": int(inferred)}


def _variants(match: re.Match[str]) -> Facts:
    """Every argument that fits no variant: what was wanted, what came, and where the argument stands among those of its
    variant (-1 if that is not told); `first` is 1 where the variant begins with `self`.
    """
    found: list[tuple[str, str, str, int, int, int]] = []
    for item in _EXPECTED.finditer(match.string):
        variants = list(_VARIANT.finditer(match.string, 0, item.start()))
        names = _parameters(variants[-1].group("parameters")) if variants else []
        position = names.index(item.group("argument")) if item.group("argument") in names else -1
        expected, argument, got = (readable(item.group(name)) for name in ("expected", "argument", "got"))
        found.append((expected, argument, got, position, len(names), int(names[:1] == ["self"])))
    columns = zip(*found)
    facts: dict[str, tuple[str, ...] | tuple[int, ...]] = dict(
        zip(("expected", "arguments", "got", "positions", "counts", "first"), columns)
    )
    unknown = dict.fromkeys(re.findall(r"Unknown keyword argument '(\w+)'", match.string))
    return {**facts, "unknown": tuple(unknown)}


def _signatures(match: re.Match[str]) -> Facts:
    return {"callees": tuple(dict.fromkeys(item.group("name") for item in _VARIANT.finditer(match.string)))}


def _parameters(text: str) -> list[str]:
    """The names of a schema's parameters."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign in "([") - (sign in ")]")
        if sign == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return [item.split("=")[0].split()[-1] for item in parts if item.strip() not in ("", "*")]


def _called(match: re.Match[str]) -> Facts:
    """What cannot be called; `modules` is 1 for a part of a list of modules."""
    return {**_groups(match), "modules": int(match.group("type").startswith("Tuple[__torch__"))}


def _truth(match: re.Match[str]) -> Facts:
    """`is_object` is 1 for a module or another object of a class."""
    return {**_groups(match), "is_object": int(match.group("type").startswith("__torch__"))}


def _held(match: re.Match[str]) -> Facts:
    """`empty` is 1 for a container of whose items nothing is known."""
    return {**_groups(match), "empty": int("empty" in match.string.lower())}


def _function_held(match: re.Match[str]) -> Facts:
    """`is_lambda` is 1 for a lambda; `inner` is why the function does not compile."""
    inner = match.string.split("reproduced here:", 1)[-1].strip().split("\n")[0]
    is_lambda = "single top-level function" in match.string or "<lambda>" in match.string
    return {**_groups(match), "inner": readable(inner).rstrip(":).")[:LONGEST_FACT], "is_lambda": int(is_lambda)}


_OWNER = r"Module '(?P<owner>[^']*)' has no attribute '(?P<attribute>[^']*)'"

REFUSALS: tuple[Row, ...] = (
    _row(
        "dict-key-type",
        r"Cannot create dict for key type '(?P<type>[^']*)'",
        "Cannot create dict for key type 'Scalar', only int, float, complex, Tensor, device and string keys are "
        "supported",
    ),
    _row(
        "variadic",
        r"variable number of arguments",
        "Compiled functions can't take variable number of arguments or use keyword-only arguments with defaults",
    ),
    _row(
        "no-matching-overload",
        r"Arguments for call are not valid",
        "Arguments for call are not valid.\nThe following variants are available:\n  \n"
        "  aten::sigmoid(Tensor self) -> Tensor:\n"
        "  Expected a value of type 'Tensor' for argument 'self' but instead found type 'NoneType'.\n  \n"
        "  aten::sigmoid.out(Tensor self, *, Tensor(a!) out) -> Tensor(a!):\n"
        "  Expected a value of type 'Tensor' for argument 'self' but instead found type 'NoneType'.\n\n"
        "The original call is",
        read=_variants,
    ),
    _row(
        "list-length-unknown",
        r"cannot statically infer the expected size of a list",
        "cannot statically infer the expected size of a list in this context",
    ),
    _row(
        "attribute-unsupported",
        _OWNER + r" \(This attribute exists on the Python module, but we failed to convert Python type: "
        r"'(?P<type>[^']*)'",
        "Module 'Net' has no attribute 'sizes' (This attribute exists on the Python module, but we failed to convert "
        "Python type: 'list' to a TorchScript type. List trace inputs must have elements. Its type was inferred; try "
        "adding a type annotation for the attribute.)",
        read=_held,
    ),
    _row(
        "attribute-function",
        _OWNER + r" \(This function exists",
        "Module 'Lambda' has no attribute 'act' (This function exists as an attribute on the Python module, but we "
        "failed to compile it to a TorchScript function. \nThe error stack is reproduced here:\n"
        "Expected a single top-level function: /home/me/net.py:101)",
        read=_function_held,
    ),
    _row(
        "attribute-missing",
        _OWNER + r"(?! \(This (?:attribute|function) exists)",
        "Module 'Net' has no attribute 'more'",
    ),
    _row(
        "method-unknown",
        r"'(?P<type>[^']*)' object has no attribute or method '(?P<attribute>[^']*)'",
        "'Tensor' object has no attribute or method 'numpy'.",
    ),
    _row(
        "module-list-index",
        r"Expected integer literal for index",
        "Expected integer literal for index but got a variable or non-integer. ModuleList/Sequential indexing is only "
        "supported with integer literals.",
    ),
    _row(
        "module-dict-index",
        r"Unable to extract string literal index",
        "Unable to extract string literal index. ModuleDict indexing is only supported with string literals.",
    ),
    _row("class-instantiated", r"Cannot instantiate class '(?P<name>[^']*)'", "Cannot instantiate class 'Softmax'"),
    _row(
        "legacy-variable",
        r"Class (?P<name>Variable) does not have an __init__",
        "Class Variable does not have an __init__ function defined",
    ),
    _row(
        "class-instantiated",
        r"Class (?P<name>\w+) does not have an __init__",
        "Class Softmax does not have an __init__ function defined",
    ),
    _row(
        "hook-class",
        r"^'(?P<name>\w+)' object has no attribute '__name__'",
        "'WeightNorm' object has no attribute '__name__'",
    ),
    _row(
        "hook-unannotated",
        r"^(?P<which>Pre-hook|Hook) '(?P<name>[^']*)' on (?:module )?'?(?P<module>\w+)'? ",
        "Pre-hook 'before' on module 'Linear' expected the input argument to be typed as a Tuple but found type: "
        "'Tensor' instead.",
    ),
    _row(
        "hook-lambda",
        r"^Expected a single top-level function: (?P<path>.+):(?P<line>\d+)$",
        "Expected a single top-level function: /home/me/net.py:10",
        read=lambda match: {"path": match.group("path"), "line": int(match.group("line"))},
    ),
    _row(
        "constructor-source-missing",
        r"Failed to get source for <function (?P<name>[\w.]+)\.__init__",
        "Failed to get source for <function Resized.__init__ at 0x7f13bf9b7380> using inspect.getsource",
    ),
    _row(
        "class-opaque",
        r"^type object '(?P<name>\w+)' has no attribute '__globals__'",
        "type object 'Rearrange' has no attribute '__globals__'",
    ),
    _row(
        "callable-unsupported",
        r"cannot create weak reference to '(?P<type>[^']*)' object",
        "cannot create weak reference to 'numpy.ufunc' object",
    ),
    _row(
        "constant-unsupported",
        r"'(?P<type>[^']*)' object in attribute '(?P<owner>\w+)\.(?P<attribute>\w+)' is not a valid constant",
        "'numpy.int64' object in attribute 'Conv2d.in_channels' is not a valid constant.",
    ),
    _row(
        "module-annotation",
        r"Expected inferred type to be interface type for '(?P<name>\w+)'",
        "Expected inferred type to be interface type for 'block'",
    ),
    _row(
        "callable-argument",
        r"arg_types\.size\(\) == param_names\.size\(\)",
        'arg_types.size() == param_names.size() INTERNAL ASSERT FAILED at "init.cpp":120, please report a bug',
    ),
    _row(
        "configuration-type",
        r"Expected IntList but got|expected bool|isIntList\(\)",
        "Expected IntList but got GenericList",
    ),
    _row(
        "attribute-first-set",
        r"Tried to set nonexistent attribute: (?P<attribute>\w+)",
        "Tried to set nonexistent attribute: last. Did you forget to initialize it in __init__()?",
    ),
    _row(
        "attribute-cast",
        r"Could not cast attribute '(?P<attribute>\w+)' to type (?P<type>[\w.]+?):? ",
        "Could not cast attribute 'updater' to type __torch__.m.Redraw: Could not cast attribute 'instance' to type "
        "Tensor: Unable to cast ModuleList() to Tensor",
    ),
    _row(
        "attribute-assignment",
        r"Tried to set an attribute: (?P<attribute>\w+) on a non-class: (?P<type>.*?)$",
        "Tried to set an attribute: requires_grad on a non-class: Tensor",
    ),
    _row(
        "augmented-assignment",
        r"unsupported kind of augmented assignment: (?P<name>\w+)",
        "unsupported kind of augmented assignment: FloorDiv",
    ),
    _row(
        "assignment-target",
        r"unexpected expression on left-hand side of assignment",
        "unexpected expression on left-hand side of assignment",
    ),
    _row(
        "not-subscriptable",
        r"'(?P<type>[^']*)' object is not subscriptable",
        "'Optional[List[int]]' object is not subscriptable",
    ),
    _row(
        "tuple-index-range",
        r"Tuple index out of range\. Tuple is length (?P<length>\d+)",
        "Tuple index out of range. Tuple is length 0 and index is 0",
    ),
    _row(
        "tensor-index-type",
        r"indexing tensor with unsupported index type '(?P<type>[^']*)'",
        "Unsupported operation: indexing tensor with unsupported index type 'List[int]'. Only ints, slices, lists and "
        "tensors are supported",
    ),
    _row(
        "unpack-count",
        r"need (?P<wanted>\d+) values to unpack but found only (?P<found>\d+)",
        "need 3 values to unpack but found only 2",
    ),
    _row(
        "multidimensional-index",
        r"attempted to use multidimensional indexing on a non-tensor",
        "Unsupported operation: attempted to use multidimensional indexing on a non-tensor type",
    ),
    _row(
        "source-missing",
        r"Can't get source for",
        "Can't get source for <function made at 0x7f>. TorchScript requires source access in order to carry out "
        "compilation, make sure original .py files are available.",
    ),
    _row("class-as-value", r"Python type cannot be used as a value", "Python type cannot be used as a value"),
    _row(
        "builtin-unsupported",
        r"Python builtin (?P<name><.*?>) is currently not supported",
        "Python builtin <built-in function arange> is currently not supported in Torchscript",
    ),
    _row(
        "python-value",
        r"python value of type '(?P<type>[^']*)' cannot be used as a value",
        "python value of type 'int' cannot be used as a value. Perhaps it is a closed over global variable? If so, "
        "please consider passing it in as an argument or use a local varible instead.",
    ),
    _row(
        "default-without-type",
        r"Expected a default value of type (?P<expected>.*?) on parameter \"(?P<name>\w+)\"",
        'Expected a default value of type Tensor (inferred) on parameter "how".Because "how" was not annotated with an '
        "explicit type it is assumed to be type 'Tensor'.",
    ),
    _row(
        "return-types",
        r"Previous return statement returned a value of type (?P<first>.*?) but this return statement returns a value "
        r"of type (?P<second>.*?)$",
        "Previous return statement returned a value of type Tuple[Tensor, Tensor] but this return statement returns a "
        "value of type Tensor",
    ),
    _row(
        "return-annotation",
        r"Return value was annotated as having type (?P<first>.*?) but is actually of type (?P<second>.*?)$",
        "Return value was annotated as having type Tensor but is actually of type Tuple[Tensor, Tensor]",
    ),
    _row(
        "truth-value",
        r"Could not cast value of type (?P<type>\S.*?) to bool",
        "Could not cast value of type Optional[Tensor] to bool",
        "Could not cast value of type __torch__.torch.nn.modules.linear.Linear to bool",
        read=_truth,
    ),
    _row("tolist-type", r"Expected type hint for result of tolist", "Expected type hint for result of tolist()"),
    _row(
        "getattr-name",
        r"getattr's second argument must be a string literal",
        "getattr's second argument must be a string literal",
    ),
    _row(
        "nested-function",
        r"function definitions aren't supported",
        "function definitions aren't supported",
    ),
    _row("try-block", r"try blocks aren't supported", "try blocks aren't supported"),
    _row("local-import", r"import statements aren't supported", "import statements aren't supported"),
    _row("lambda", r"Lambda aren't supported", "Lambda aren't supported"),
    _row("global-statement", r"global variables aren't supported", "global variables aren't supported"),
    _row("generator", r"(?P<what>Yield|YieldFrom) aren't supported", "Yield aren't supported"),
    _row("set-comprehension", r"SetComp aren't supported", "SetComp aren't supported"),
    _row("set", r"\bSet aren't supported", "Set aren't supported"),
    _row("assert-message", r"assert cannot be|Assert aren't supported", "Assert aren't supported"),
    _row(
        "loop-else",
        r"else branches of \w+ loops aren't supported",
        "else branches of for loops aren't supported",
    ),
    _row(
        "raise-value",
        r"^NotImplemented is not a callable object|^exceptions must derive from BaseException",
        "exceptions must derive from BaseException",
    ),
    _row(
        "with-after-return",
        r"uses\(\)\.empty\(\) INTERNAL ASSERT",
        'outputs_[i]->uses().empty() INTERNAL ASSERT FAILED at "torch/csrc/jit/ir/ir.cpp":1289, please report a bug to '
        "PyTorch.",
    ),
    _row(
        "compiler-crash",
        r"INTERNAL ASSERT FAILED",
        '!seen_default_arg || arg.kwarg_only() INTERNAL ASSERT FAILED at "aten/src/ATen/core/function_schema.h":342, '
        "please report a bug to PyTorch. Non-default positional argument follows default argument.",
    ),
    _row("statement-unsupported", r"(?P<what>[\w ]+?) aren't supported", "GeneratorExp aren't supported"),
    _row(
        "comprehension-condition",
        r"Comprehension ifs are not supported",
        "Comprehension ifs are not supported yet",
    ),
    _row(
        "comprehension-nested",
        r"Only a single generator is currently supported",
        "Only a single generator is currently supported",
    ),
    _row("keyword-expansion", r"keyword-arg expansion is not supported", "keyword-arg expansion is not supported"),
    _row("dict-expansion", r"Dict expansion", "Dict expansion ** is not supported"),
    _row("f-string", r"JoinedStr", "Don't support conversion in JoinedStr"),
    _row(
        "range-type",
        r"all inputs of range must be ints, found (?P<type>.*?) in argument (?P<number>\d+)",
        "all inputs of range must be ints, found Tensor (inferred) in argument 0",
    ),
    _row(
        "branch-types",
        r"(?:^|Type mismatch: )(?P<name>\w+) is set to type (?P<first>.*?) in the true branch and type "
        r"(?P<second>.*?) in the false branch",
        "Type mismatch: out is set to type Tensor in the true branch and type List[Tensor] in the false branch",
    ),
    _row(
        "conditional-types",
        r"if-expression's true branch has type (?P<first>.*?) but false branch has type (?P<second>.*?)$",
        "if-expression's true branch has type Tensor (inferred) but false branch has type List[Tensor]",
    ),
    _row(
        "branch-undefined",
        r"^(?P<name>\w+) is not defined in the (?P<which>true|false) branch",
        "part is not defined in the false branch",
    ),
    _row(
        "variable-type-changed",
        r"Variable '(?P<name>\w+)' previously had type (?P<first>.*?) but is now being assigned to a value of type "
        r"(?P<second>.*?)$",
        "Variable 'total' previously had type int but is now being assigned to a value of type float",
    ),
    _row(
        "attribute-type",
        r"Wrong type for attribute assignment\. Expected (?P<first>.*?) but got (?P<second>.*?)$",
        "Wrong type for attribute assignment. Expected NoneType but got Tensor (inferred)",
    ),
    _row(
        "container-item-type",
        r"Could not match type (?P<got>.*?) to t in argument 'el'.*matched to type (?P<held>.*?) is",
        "aten::append.t(t[](a!) self, t(c -> *) el) -> t[](a!):\n"
        "Could not match type int to t in argument 'el': Type variable 't' previously matched to type Tensor is "
        "matched to type int.",
    ),
    _row("type-unknown", r"Unknown type name '(?P<name>.*?)'", "Unknown type name 'Float[Tensor, 'b c']'"),
    _row("type-unknown", r"Unknown type constructor (?P<name>[\w.]+)", "Unknown type constructor Float"),
    _row(
        "argument-type",
        _EXPECTED.pattern,
        "Random.uniform(Tensor self, Tensor a, Tensor b) -> Tensor 0:\n"
        "Expected a value of type 'Tensor' for argument 'self' but instead found type 'float'.",
        read=_argument,
    ),
    _row("name-undefined", r"undefined value (?P<name>\w+)", "undefined value conv"),
    _row(
        "tuple-length-unknown",
        r"(?P<type>[^\n]*?) cannot be used as a tuple",
        "List[Tensor] cannot be used as a tuple",
    ),
    _row(
        "not-callable",
        r"cannot call a value of type '(?P<type>[^']*)'",
        "cannot call a value of type 'Tensor'",
        read=_called,
    ),
    _row("value-unsupported", r"(?P<type>\w+) cannot be used as a value", "builtin cannot be used as a value"),
    _row("attribute-unknown", r"object has no attribute (?P<attribute>\w+)", "object has no attribute shape_of"),
    _row(
        "hasattr-target",
        r"hasattr's first argument must be an object or NamedTuple, got (?P<type>\w+)",
        "hasattr's first argument must be an object or NamedTuple, got a normal Tensor instead",
    ),
    _row(
        "type-unknown",
        r"Unsupported annotation (?P<name>.*?) could not be resolved",
        "Unsupported annotation typing.Callable could not be resolved because it could not be resolved",
    ),
    _row(
        "type-unknown",
        r"Expression of type \w+ cannot be used in a type expression",
        "Expression of type dot cannot be used in a type expression",
    ),
    _row(
        "python-iterable",
        r"python value of type '(?P<type>[^']*)' cannot be used as an iterable",
        "python value of type 'EnumMeta' cannot be used as an iterable",
    ),
    _row(
        "module-zip",
        r"Can not iterate over a module list or tuple with a value that does not have a statically",
        "Can not iterate over a module list or tuple with a value that does not have a statically determinable length",
    ),
    _row(
        "attribute-lookup",
        r"attribute lookup is not defined on (?:python value of type ')?(?P<type>[\w.]+)",
        "attribute lookup is not defined on python value of type 'module'",
        "attribute lookup is not defined on builtin",
    ),
    _row("operator-unknown", r"Unknown builtin op: aten::(?P<name>\w+)", "Unknown builtin op: aten::is_tensor."),
    _row(
        "mutable-default",
        r"Mutable default parameters",
        "Mutable default parameters are not supported because Python binds them to the function and they persist "
        "across function calls.",
    ),
)

MENTIONS: tuple[Row, ...] = (
    _row(
        "expected-types",
        _EXPECTED.pattern,
        "aten::dropout(Tensor input, float p, bool train) -> Tensor:\n"
        "Expected a value of type 'float' for argument 'p' but instead found type 'int'.",
        read=_variants,
    ),
    _row(
        "argument-missing",
        r"missing value for argument",
        "join() is missing value for argument 'parts'. Declaration: join(Tensor parts) -> Tensor",
    ),
    _row(
        "too-many-arguments",
        r"Expected at most",
        "join(Tensor x) -> Tensor:\nExpected at most 1 arguments but found 2 positional arguments.",
    ),
    _row(
        "signatures-printed",
        _VARIANT.pattern,
        "join(Tensor x) -> Tensor:\nExpected at most 1 arguments but found 2 positional arguments.",
        read=_signatures,
    ),
    _row(
        "python-call",
        r"Could not export Python function call '(?P<name>[^']*)'",
        "Could not export Python function call 'SwishOp'. Remove calls to Python functions before export. Did you "
        "forget to add @script or @script_method annotation?",
    ),
    _row("begins-with-call", r"\A\s*(?P<callee>\w+)\(", "join(Tensor x) -> Tensor:\nExpected at most 1 arguments"),
    _row("name-of-ours", r"\bts_shape_\d+\b", "undefined value ts_shape_3"),
    _row("none-or-optional", r"NoneType|Optional\[", "'Optional[Tensor]' object is not subscriptable"),
    _row(
        "optional-types",
        r"'(?P<first>Optional\[[^']*\])'",
        "'Optional[Tensor]' object has no attribute or method 'shape'.",
        read=lambda match: {"types": tuple(dict.fromkeys(re.findall(r"'(Optional\[[^']*\])'", match.string)))},
    ),
    _row("equality-operator", r"aten::(?:ne|eq)\b|Tensor\? ", "aten::ne.Tensor(Tensor self, Tensor other) -> Tensor:"),
    _row("for-argument", r"for argument", "missing value for argument 'parts'"),
    _row("any-type", r"\bAny\b", "'Any' object has no attribute or method 'mean'."),
    _row(
        "device-type",
        r"type Device|type torch\.device|torch\.device",
        "if-expression's true branch has type Device but false branch has type str",
    ),
    _row("generator-expression", r"GeneratorExp", "GeneratorExp aren't supported"),
    _row("reversed-overload", r"^reversed\(", "reversed(str[] self) -> str[]:"),
    _row(
        "tuple-slice",
        r"tuple slice indices must be integer constants",
        "tuple slice indices must be integer constants",
    ),
    _row("list-append", r"aten::append", "aten::append.t(t[](a!) self, t(c -> *) el) -> t[](a!):"),
    _row(
        "sparse-product",
        r"aten::spmm",
        "Unknown builtin op: aten::spmm.",
    ),
    _row("is-tensor", r"is_tensor", "Unknown builtin op: aten::is_tensor."),
    _row("default-value", r"default value", 'Expected a default value of type Tensor (inferred) on parameter "how".'),
    _row(
        "weak-reference",
        r"weak reference",
        "cannot create weak reference to 'numpy.ufunc' object",
    ),
    _row(
        "parametrization-active",
        r"Parametrization is not working with scripting",
        "Parametrization is not working with scripting.",
    ),
    _row(
        "mixed-numbers",
        r"expected Float, Complex, Int, or Bool",
        "Input must be of ints, floats, or bools, got Tensor: expected Float, Complex, Int, or Bool type",
    ),
)

for _known in (*REFUSALS, *MENTIONS):
    if not _known.said or any(_known.pattern.search(_text) is None for _text in _known.said):
        raise ValueError(f"a row of {_known.kind} finds none of its messages: {_known.pattern.pattern}")
