"""The rows of what the compiler stops at, each with the messages as torch writes them, in the order of asking."""

from __future__ import annotations

from ts_shape_server.agent.torch_says.compiler_reading import (
    EXPECTED,
    argument,
    called,
    function_held,
    held,
    row,
    truth,
    valued,
    variants,
)
from ts_shape_server.agent.torch_says.rows import Row

_OWNER = r"Module '(?P<owner>[^']*)' has no attribute '(?P<attribute>[^']*)'"

REFUSALS: tuple[Row, ...] = (
    row(
        "dict-key-type",
        r"Cannot create dict for key type '(?P<type>[^']*)'",
        "Cannot create dict for key type 'Scalar', only int, float, complex, Tensor, device and string keys are "
        "supported",
    ),
    row(
        "variadic",
        r"variable number of arguments",
        "Compiled functions can't take variable number of arguments or use keyword-only arguments with defaults",
    ),
    row(
        "no-matching-overload",
        r"Arguments for call are not valid",
        "Arguments for call are not valid.\nThe following variants are available:\n  \n"
        "  aten::sigmoid(Tensor self) -> Tensor:\n"
        "  Expected a value of type 'Tensor' for argument 'self' but instead found type 'NoneType'.\n  \n"
        "  aten::sigmoid.out(Tensor self, *, Tensor(a!) out) -> Tensor(a!):\n"
        "  Expected a value of type 'Tensor' for argument 'self' but instead found type 'NoneType'.\n\n"
        "The original call is",
        read=variants,
    ),
    row(
        "list-length-unknown",
        r"cannot statically infer the expected size of a list",
        "cannot statically infer the expected size of a list in this context",
    ),
    row(
        "attribute-unsupported",
        _OWNER + r" \(This attribute exists on the Python module, but we failed to convert Python type: "
        r"'(?P<type>[^']*)'",
        "Module 'Net' has no attribute 'sizes' (This attribute exists on the Python module, but we failed to convert "
        "Python type: 'list' to a TorchScript type. List trace inputs must have elements. Its type was inferred; try "
        "adding a type annotation for the attribute.)",
        read=held,
    ),
    row(
        "attribute-function",
        _OWNER + r" \(This function exists",
        "Module 'Lambda' has no attribute 'act' (This function exists as an attribute on the Python module, but we "
        "failed to compile it to a TorchScript function. \nThe error stack is reproduced here:\n"
        "Expected a single top-level function: /home/me/net.py:101)",
        read=function_held,
    ),
    row(
        "attribute-missing",
        _OWNER + r"(?! \(This (?:attribute|function) exists)",
        "Module 'Net' has no attribute 'more'",
    ),
    row(
        "method-unknown",
        r"'(?P<type>[^']*)' object has no attribute or method '(?P<attribute>[^']*)'",
        "'Tensor' object has no attribute or method 'numpy'.",
    ),
    row(
        "module-list-index",
        r"Expected integer literal for index",
        "Expected integer literal for index but got a variable or non-integer. ModuleList/Sequential indexing is only "
        "supported with integer literals.",
    ),
    row(
        "module-dict-index",
        r"Unable to extract string literal index",
        "Unable to extract string literal index. ModuleDict indexing is only supported with string literals.",
    ),
    row("class-instantiated", r"Cannot instantiate class '(?P<name>[^']*)'", "Cannot instantiate class 'Softmax'"),
    row(
        "legacy-variable",
        r"Class (?P<name>Variable) does not have an __init__",
        "Class Variable does not have an __init__ function defined",
    ),
    row(
        "class-instantiated",
        r"Class (?P<name>\w+) does not have an __init__",
        "Class Softmax does not have an __init__ function defined",
    ),
    row(
        "hook-class",
        r"^'(?P<name>\w+)' object has no attribute '__name__'",
        "'WeightNorm' object has no attribute '__name__'",
    ),
    row(
        "hook-unannotated",
        r"^(?P<which>Pre-hook|Hook) '(?P<name>[^']*)' on (?:module )?'?(?P<module>\w+)'? ",
        "Pre-hook 'before' on module 'Linear' expected the input argument to be typed as a Tuple but found type: "
        "'Tensor' instead.",
    ),
    row(
        "hook-lambda",
        r"^Expected a single top-level function: (?P<path>.+):(?P<line>\d+)$",
        "Expected a single top-level function: /home/me/net.py:10",
        read=lambda match: {"path": match.group("path"), "line": int(match.group("line"))},
    ),
    row(
        "constructor-source-missing",
        r"Failed to get source for <function (?P<name>[\w.]+)\.__init__",
        "Failed to get source for <function Resized.__init__ at 0x7f13bf9b7380> using inspect.getsource",
    ),
    row(
        "class-opaque",
        r"^type object '(?P<name>\w+)' has no attribute '__globals__'",
        "type object 'Rearrange' has no attribute '__globals__'",
    ),
    row(
        "callable-unsupported",
        r"cannot create weak reference to '(?P<type>[^']*)' object",
        "cannot create weak reference to 'numpy.ufunc' object",
    ),
    row(
        "constant-unsupported",
        r"'(?P<type>[^']*)' object in attribute '(?P<owner>\w+)\.(?P<attribute>\w+)' is not a valid constant",
        "'numpy.int64' object in attribute 'Conv2d.in_channels' is not a valid constant.",
    ),
    row(
        "module-annotation",
        r"Expected inferred type to be interface type for '(?P<name>\w+)'",
        "Expected inferred type to be interface type for 'block'",
    ),
    row(
        "callable-argument",
        r"arg_types\.size\(\) == param_names\.size\(\)",
        'arg_types.size() == param_names.size() INTERNAL ASSERT FAILED at "init.cpp":120, please report a bug',
    ),
    row(
        "configuration-type",
        r"Expected IntList but got|expected bool|isIntList\(\)",
        "Expected IntList but got GenericList",
    ),
    row(
        "attribute-first-set",
        r"Tried to set nonexistent attribute: (?P<attribute>\w+)",
        "Tried to set nonexistent attribute: last. Did you forget to initialize it in __init__()?",
    ),
    row(
        "attribute-cast",
        r"Could not cast attribute '(?P<attribute>\w+)' to type (?P<type>[\w.]+?):? ",
        "Could not cast attribute 'updater' to type __torch__.m.Redraw: Could not cast attribute 'instance' to type "
        "Tensor: Unable to cast ModuleList() to Tensor",
    ),
    row(
        "attribute-assignment",
        r"Tried to set an attribute: (?P<attribute>\w+) on a non-class: (?P<type>.*?)$",
        "Tried to set an attribute: requires_grad on a non-class: Tensor",
    ),
    row(
        "augmented-assignment",
        r"unsupported kind of augmented assignment: (?P<name>\w+)",
        "unsupported kind of augmented assignment: FloorDiv",
    ),
    row(
        "assignment-target",
        r"unexpected expression on left-hand side of assignment",
        "unexpected expression on left-hand side of assignment",
    ),
    row(
        "not-subscriptable",
        r"'(?P<type>[^']*)' object is not subscriptable",
        "'Optional[List[int]]' object is not subscriptable",
    ),
    row(
        "tuple-index-range",
        r"Tuple index out of range\. Tuple is length (?P<length>\d+)",
        "Tuple index out of range. Tuple is length 0 and index is 0",
    ),
    row(
        "tensor-index-type",
        r"indexing tensor with unsupported index type '(?P<type>[^']*)'",
        "Unsupported operation: indexing tensor with unsupported index type 'List[int]'. Only ints, slices, lists and "
        "tensors are supported",
    ),
    row(
        "unpack-count",
        r"need (?P<wanted>\d+) values to unpack but found only (?P<found>\d+)",
        "need 3 values to unpack but found only 2",
    ),
    row(
        "multidimensional-index",
        r"attempted to use multidimensional indexing on a non-tensor",
        "Unsupported operation: attempted to use multidimensional indexing on a non-tensor type",
    ),
    row(
        "source-missing",
        r"Can't get source for",
        "Can't get source for <function made at 0x7f>. TorchScript requires source access in order to carry out "
        "compilation, make sure original .py files are available.",
    ),
    row("class-as-value", r"Python type cannot be used as a value", "Python type cannot be used as a value"),
    row(
        "builtin-unsupported",
        r"Python builtin (?P<name><.*?>) is currently not supported",
        "Python builtin <built-in function arange> is currently not supported in Torchscript",
    ),
    row(
        "python-value",
        r"python value of type '(?P<type>[^']*)' cannot be used as a value",
        "python value of type 'int' cannot be used as a value. Perhaps it is a closed over global variable? If so, "
        "please consider passing it in as an argument or use a local varible instead.",
    ),
    row(
        "default-without-type",
        r"Expected a default value of type (?P<expected>.*?) on parameter \"(?P<name>\w+)\"",
        'Expected a default value of type Tensor (inferred) on parameter "how".Because "how" was not annotated with an '
        "explicit type it is assumed to be type 'Tensor'.",
    ),
    row(
        "return-types",
        r"Previous return statement returned a value of type (?P<first>.*?) but this return statement returns a value "
        r"of type (?P<second>.*?)$",
        "Previous return statement returned a value of type Tuple[Tensor, Tensor] but this return statement returns a "
        "value of type Tensor",
    ),
    row(
        "return-annotation",
        r"Return value was annotated as having type (?P<first>.*?) but is actually of type (?P<second>.*?)$",
        "Return value was annotated as having type Tensor but is actually of type Tuple[Tensor, Tensor]",
    ),
    row(
        "truth-value",
        r"Could not cast value of type (?P<type>\S.*?) to bool",
        "Could not cast value of type Optional[Tensor] to bool",
        "Could not cast value of type __torch__.torch.nn.modules.linear.Linear to bool",
        read=truth,
    ),
    row("tolist-type", r"Expected type hint for result of tolist", "Expected type hint for result of tolist()"),
    row(
        "getattr-name",
        r"getattr's second argument must be a string literal",
        "getattr's second argument must be a string literal",
    ),
    row(
        "nested-function",
        r"function definitions aren't supported",
        "function definitions aren't supported",
    ),
    row("try-block", r"try blocks aren't supported", "try blocks aren't supported"),
    row("local-import", r"import statements aren't supported", "import statements aren't supported"),
    row("lambda", r"Lambda aren't supported", "Lambda aren't supported"),
    row("global-statement", r"global variables aren't supported", "global variables aren't supported"),
    row("generator", r"(?P<what>Yield|YieldFrom) aren't supported", "Yield aren't supported"),
    row("set-comprehension", r"SetComp aren't supported", "SetComp aren't supported"),
    row("set", r"\bSet aren't supported", "Set aren't supported"),
    row("assert-message", r"assert cannot be|Assert aren't supported", "Assert aren't supported"),
    row(
        "loop-else",
        r"else branches of \w+ loops aren't supported",
        "else branches of for loops aren't supported",
    ),
    row(
        "raise-value",
        r"^NotImplemented is not a callable object|^exceptions must derive from BaseException",
        "exceptions must derive from BaseException",
    ),
    row(
        "with-after-return",
        r"uses\(\)\.empty\(\) INTERNAL ASSERT",
        'outputs_[i]->uses().empty() INTERNAL ASSERT FAILED at "torch/csrc/jit/ir/ir.cpp":1289, please report a bug to '
        "PyTorch.",
    ),
    row(
        "compiler-crash",
        r"INTERNAL ASSERT FAILED",
        '!seen_default_arg || arg.kwarg_only() INTERNAL ASSERT FAILED at "aten/src/ATen/core/function_schema.h":342, '
        "please report a bug to PyTorch. Non-default positional argument follows default argument.",
    ),
    row("statement-unsupported", r"(?P<what>[\w ]+?) aren't supported", "GeneratorExp aren't supported"),
    row(
        "comprehension-condition",
        r"Comprehension ifs are not supported",
        "Comprehension ifs are not supported yet",
    ),
    row(
        "comprehension-nested",
        r"Only a single generator is currently supported",
        "Only a single generator is currently supported",
    ),
    row("keyword-expansion", r"keyword-arg expansion is not supported", "keyword-arg expansion is not supported"),
    row("dict-expansion", r"Dict expansion", "Dict expansion ** is not supported"),
    row("f-string", r"JoinedStr", "Don't support conversion in JoinedStr"),
    row(
        "range-type",
        r"all inputs of range must be ints, found (?P<type>.*?) in argument (?P<number>\d+)",
        "all inputs of range must be ints, found Tensor (inferred) in argument 0",
    ),
    row(
        "branch-types",
        r"(?:^|Type mismatch: )(?P<name>\w+) is set to type (?P<first>.*?) in the true branch and type "
        r"(?P<second>.*?) in the false branch",
        "Type mismatch: out is set to type Tensor in the true branch and type List[Tensor] in the false branch",
    ),
    row(
        "conditional-types",
        r"if-expression's true branch has type (?P<first>.*?) but false branch has type (?P<second>.*?)$",
        "if-expression's true branch has type Tensor (inferred) but false branch has type List[Tensor]",
    ),
    row(
        "branch-undefined",
        r"^(?P<name>\w+) is not defined in the (?P<which>true|false) branch",
        "part is not defined in the false branch",
    ),
    row(
        "variable-type-changed",
        r"Variable '(?P<name>\w+)' previously had type (?P<first>.*?) but is now being assigned to a value of type "
        r"(?P<second>.*?)$",
        "Variable 'total' previously had type int but is now being assigned to a value of type float",
    ),
    row(
        "attribute-type",
        r"Wrong type for attribute assignment\. Expected (?P<first>.*?) but got (?P<second>.*?)$",
        "Wrong type for attribute assignment. Expected NoneType but got Tensor (inferred)",
    ),
    row(
        "container-item-type",
        r"Could not match type (?P<got>.*?) to t in argument 'el'.*matched to type (?P<held>.*?) is",
        "aten::append.t(t[](a!) self, t(c -> *) el) -> t[](a!):\n"
        "Could not match type int to t in argument 'el': Type variable 't' previously matched to type Tensor is "
        "matched to type int.",
    ),
    row("type-unknown", r"Unknown type name '(?P<name>.*?)'", "Unknown type name 'Float[Tensor, 'b c']'"),
    row("type-unknown", r"Unknown type constructor (?P<name>[\w.]+)", "Unknown type constructor Float"),
    row(
        "argument-type",
        EXPECTED.pattern,
        "Random.uniform(Tensor self, Tensor a, Tensor b) -> Tensor 0:\n"
        "Expected a value of type 'Tensor' for argument 'self' but instead found type 'float'.",
        read=argument,
    ),
    row("name-undefined", r"undefined value (?P<name>\w+)", "undefined value conv"),
    row(
        "tuple-length-unknown",
        r"(?P<type>[^\n]*?) cannot be used as a tuple",
        "List[Tensor] cannot be used as a tuple",
    ),
    row(
        "not-callable",
        r"cannot call a value of type '(?P<type>[^']*)'",
        "cannot call a value of type 'Tensor'",
        read=called,
    ),
    row(
        "value-unsupported",
        r"(?P<type>\w+) cannot be used as a value",
        "builtin cannot be used as a value",
        "LegacyTensorConstructor cannot be used as a value",
        read=valued,
    ),
    row("attribute-unknown", r"object has no attribute (?P<attribute>\w+)", "object has no attribute shape_of"),
    row(
        "hasattr-target",
        r"hasattr's first argument must be an object or NamedTuple, got (?P<type>\w+)",
        "hasattr's first argument must be an object or NamedTuple, got a normal Tensor instead",
    ),
    row(
        "type-unknown",
        r"Unsupported annotation (?P<name>.*?) could not be resolved",
        "Unsupported annotation typing.Callable could not be resolved because it could not be resolved",
    ),
    row(
        "type-unknown",
        r"Expression of type \w+ cannot be used in a type expression",
        "Expression of type dot cannot be used in a type expression",
    ),
    row(
        "python-iterable",
        r"python value of type '(?P<type>[^']*)' cannot be used as an iterable",
        "python value of type 'EnumMeta' cannot be used as an iterable",
    ),
    row(
        "module-zip",
        r"Can not iterate over a module list or tuple with a value that does not have a statically",
        "Can not iterate over a module list or tuple with a value that does not have a statically determinable length",
    ),
    row(
        "attribute-lookup",
        r"attribute lookup is not defined on (?:python value of type ')?(?P<type>[\w.]+)",
        "attribute lookup is not defined on python value of type 'module'",
        "attribute lookup is not defined on builtin",
    ),
    row("operator-unknown", r"Unknown builtin op: aten::(?P<name>\w+)", "Unknown builtin op: aten::is_tensor."),
    row(
        "mutable-default",
        r"Mutable default parameters",
        "Mutable default parameters are not supported because Python binds them to the function and they persist "
        "across function calls.",
    ),
)
