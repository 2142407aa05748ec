"""Torch's messages and what they mean: a table from patterns to sentences, the frequent ones first.

A sentence may use the groups of its pattern, `{code}` (the source that torch marks) and `{function}`. What it uses, and
the groups, are the facts of the refusal.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Union

from ts_shape_server.agent.script import sentences
from ts_shape_server.agent.script.problem import Problem, Search
from ts_shape_server.agent.script.sentences import Told

Sentence = Union[str, Callable[["re.Match[str]", Problem, Search], Told]]


@dataclass(frozen=True)
class Row:
    """`kind` is the id of the refusal. `independent`: it is a reason of its own even where the expression reads a value
    that an edit made up.
    """

    kind: str
    pattern: re.Pattern[str]
    sentence: Sentence
    independent: bool = False


def _row_of(kind: str, pattern: str, sentence: Sentence, independent: bool = False) -> Row:
    return Row(kind, re.compile(pattern, re.MULTILINE | re.DOTALL), sentence, independent)


TABLE: tuple[Row, ...] = (
    _row_of("variadic", r"variable number of arguments", sentences.variadic, independent=True),
    _row_of("no-matching-overload", r"Arguments for call are not valid", sentences.no_variant),
    _row_of(
        "list-length-unknown",
        r"cannot statically infer the expected size of a list",
        "`{code}` has no fixed length for TorchScript, so it cannot be unpacked or starred: take its items by index",
    ),
    _row_of(
        "attribute-unsupported",
        r"Module '(?P<owner>[^']*)' has no attribute '(?P<attribute>[^']*)' "
        r"\(This attribute exists on the Python module, but we failed to convert Python type: '(?P<type>[^']*)'",
        sentences.failed_attribute,
        independent=True,
    ),
    _row_of(
        "attribute-function",
        r"Module '(?P<owner>[^']*)' has no attribute '(?P<attribute>[^']*)' \(This function exists",
        sentences.function_attribute,
        independent=True,
    ),
    _row_of(
        "attribute-missing",
        r"Module '(?P<owner>[^']*)' has no attribute '(?P<attribute>[^']*)'",
        sentences.missing_attribute,
        independent=True,
    ),
    _row_of(
        "method-unknown",
        r"'(?P<type>[^']*)' object has no attribute or method '(?P<attribute>[^']*)'",
        sentences.no_attribute,
        independent=False,
    ),
    _row_of(
        "module-list-index",
        r"Expected integer literal for index",
        "a ModuleList can only be indexed by a literal in TorchScript: loop over it, with `enumerate` or `zip`",
        independent=True,
    ),
    _row_of(
        "module-dict-index",
        r"Unable to extract string literal index",
        "a ModuleDict can only be indexed by a literal in TorchScript: loop over its `items()`",
        independent=True,
    ),
    _row_of(
        "class-instantiated",
        r"Cannot instantiate class '(?P<name>[^']*)'",
        "`{name}` is built in `{function}`, which TorchScript cannot do: build it in `__init__`",
        independent=True,
    ),
    _row_of(
        "legacy-variable",
        r"Class Variable does not have an __init__",
        "`Variable` has been a Tensor since torch 0.4, and TorchScript does not know it: take it out",
        independent=True,
    ),
    _row_of(
        "class-instantiated",
        r"Class (?P<name>\w+) does not have an __init__",
        "`{name}` is built or called as a class in `{function}`, which TorchScript cannot do: build it in `__init__`",
        independent=True,
    ),
    _row_of(
        "hook-class",
        r"^'(?P<name>\w+)' object has no attribute '__name__'",
        "a `{name}` hook cannot be compiled: take it out before, with `remove_weight_norm` or `remove_spectral_norm`",
    ),
    _row_of(
        "hook-unannotated",
        r"^(?P<which>Pre-hook|Hook) '(?P<name>[^']*)' on (?:module )?'?(?P<module>\w+)'? .*$",
        sentences.hook,
    ),
    _row_of(
        "hook-lambda",
        r"^Expected a single top-level function: (?P<path>.+):(?P<line>\d+)$",
        sentences.lambda_hook,
    ),
    _row_of(
        "class-opaque",
        r"^type object '(?P<name>\w+)' has no attribute '__globals__'",
        "`{name}` is a class that TorchScript cannot look into: move its use to a `@torch.jit.ignore` method",
    ),
    _row_of(
        "callable-unsupported",
        r"cannot create weak reference to '(?P<type>[^']*)' object",
        "`{code}` calls a `{type}`, which TorchScript lacks: use the torch equivalent or a `@torch.jit.ignore` method",
        independent=True,
    ),
    _row_of(
        "constant-unsupported",
        r"'(?P<type>[^']*)' object in attribute '(?P<owner>\w+)\.(?P<attribute>\w+)' is not a valid constant",
        "`{attribute}` of this `{owner}` is a `{type}`: make it a plain Python number",
    ),
    _row_of(
        "module-annotation",
        r"Expected inferred type to be interface type for '(?P<name>\w+)'",
        "the class annotates `{name}` with a type that TorchScript does not take for a module: take the annotation out",
    ),
    _row_of(
        "callable-argument",
        r"arg_types\.size\(\) == param_names\.size\(\)",
        "`{code}` gets a function or module as an argument, for which TorchScript has no type: make it an attribute",
    ),
    _row_of(
        "configuration-type",
        r"Expected IntList but got|expected bool|isIntList\(\)",
        "a number in this module's configuration has another type than its operator takes (a float or list for an int)",
    ),
    _row_of(
        "attribute-first-set",
        r"Tried to set nonexistent attribute: (?P<name>\w+)",
        sentences.first_set,
        independent=True,
    ),
    _row_of(
        "attribute-assignment",
        r"Tried to set an attribute: (?P<name>\w+) on a non-class: (?P<type>.*?)$",
        sentences.attribute_set,
        independent=True,
    ),
    _row_of(
        "augmented-assignment",
        r"unsupported kind of augmented assignment: (?P<name>\w+)",
        "TorchScript has no such augmented assignment ({name}): write it out as `a = a … b`",
        independent=True,
    ),
    _row_of(
        "assignment-target",
        r"unexpected expression on left-hand side of assignment",
        "TorchScript cannot assign to `{code}`: unpack into a plain tuple of names",
        independent=True,
    ),
    _row_of(
        "not-subscriptable",
        r"'(?P<type>[^']*)' object is not subscriptable",
        "`{code}`: the compiler sees `{type}`, which cannot be indexed",
    ),
    _row_of(
        "tuple-index-range",
        r"Tuple index out of range\. Tuple is length (?P<length>\d+)",
        "`{code}`: the tuple has {length} items",
    ),
    _row_of(
        "tensor-index-type",
        r"indexing tensor with unsupported index type '(?P<type>[^']*)'",
        "`{code}`: a Tensor cannot be indexed with `{type}` in TorchScript",
    ),
    _row_of(
        "unpack-count",
        r"need (?P<wanted>\d+) values to unpack but found only (?P<found>\d+)",
        "`{code}` unpacks {wanted} values, and the compiler sees {found}",
    ),
    _row_of(
        "multidimensional-index",
        r"attempted to use multidimensional indexing on a non-tensor",
        "`{code}`: only Tensors take several indices in TorchScript",
        independent=True,
    ),
    _row_of(
        "source-missing",
        r"Can't get source for",
        "`{code}` has no source that TorchScript could read: move it to a `@torch.jit.ignore` method",
        independent=True,
    ),
    _row_of(
        "class-as-value",
        r"Python type cannot be used as a value",
        sentences.class_as_value,
        independent=True,
    ),
    _row_of(
        "builtin-unsupported",
        r"Python builtin (?P<name><.*?>) is currently not supported",
        "`{code}` calls a Python builtin that TorchScript lacks: use the torch equivalent or a "
        "`@torch.jit.ignore` method",
        independent=True,
    ),
    _row_of(
        "python-value",
        r"python value of type '(?P<type>[^']*)' cannot be used as a value",
        "`{code}` is a Python `{type}`, which is no value in TorchScript: make it an attribute, a `Final` constant or "
        "a parameter",
        independent=True,
    ),
    _row_of(
        "default-without-type",
        r"Expected a default value of type (?P<expected>.*?) on parameter \"(?P<name>\w+)\"",
        "`{name}` is taken for a Tensor because it has no annotation, and its default is none: annotate it",
    ),
    _row_of(
        "return-types",
        r"Previous return statement returned a value of type (?P<first>.*?) but this return statement returns a value "
        r"of type (?P<second>.*?)$",
        "`{function}` returns `{second}` here and `{first}` elsewhere: TorchScript needs one type",
    ),
    _row_of(
        "return-annotation",
        r"Return value was annotated as having type (?P<first>.*?) but is actually of type (?P<second>.*?)$",
        "`{function}` is annotated to return `{first}` and returns `{second}`",
    ),
    _row_of(
        "truth-value",
        r"Could not cast value of type (?P<type>.*?) to bool",
        "`{code}` is `{type}` and TorchScript has no truth value for it: compare it, with `is not None` or "
        "`len(…) > 0`",
    ),
    _row_of(
        "tolist-type",
        r"Expected type hint for result of tolist",
        "`tolist` needs a type in TorchScript: write `name: List[…] = {code}()`",
        independent=True,
    ),
    _row_of(
        "getattr-name",
        r"getattr's second argument must be a string literal",
        "`getattr` takes a literal name only in TorchScript: loop over an `nn.ModuleList` instead",
        independent=True,
    ),
    _row_of(
        "nested-function",
        r"function definitions aren't supported",
        "a function cannot be defined inside `{function}`: move it out",
        independent=True,
    ),
    _row_of(
        "try-block",
        r"try blocks aren't supported",
        "TorchScript has no `try`: move it to a `@torch.jit.ignore` method",
        independent=True,
    ),
    _row_of(
        "local-import",
        r"import statements aren't supported",
        "an import cannot stand in `{function}`: move it to the top of the file",
        independent=True,
    ),
    _row_of(
        "lambda",
        r"Lambda aren't supported",
        "TorchScript has no lambda: write the expression out or name a function",
        independent=True,
    ),
    _row_of(
        "global-statement",
        r"global variables aren't supported",
        "TorchScript has no `global`: keep the value in an attribute",
        independent=True,
    ),
    _row_of(
        "generator",
        r"(?P<what>Yield|YieldFrom) aren't supported",
        "TorchScript has no generators: collect a list and return it",
        independent=True,
    ),
    _row_of(
        "set",
        r"SetComp aren't supported|Set aren't supported",
        "TorchScript has no sets: use a list or a dict",
        independent=True,
    ),
    _row_of(
        "assert-message",
        r"assert cannot be|Assert aren't supported",
        "this `assert` cannot be compiled: simplify its message",
        independent=True,
    ),
    _row_of(
        "loop-else",
        r"else branches of \w+ loops aren't supported",
        "TorchScript has no `else` of a loop: set a flag in the loop and test it afterwards",
        independent=True,
    ),
    _row_of(
        "raise-value",
        r"^NotImplemented is not a callable object|^exceptions must derive from BaseException",
        "only an exception can be raised, and `NotImplemented` is none: raise `NotImplementedError`",
        independent=True,
    ),
    _row_of(
        "with-after-return",
        r"uses\(\)\.empty\(\) INTERNAL ASSERT",
        "torch's compiler fails on a `with` that comes after a `return`: let `{function}` return once, at its end",
        independent=True,
    ),
    _row_of(
        "compiler-crash",
        r"INTERNAL ASSERT FAILED",
        "torch's compiler fails in itself on `{function}`: write it in simpler statements, or move a part of it to a "
        "`@torch.jit.ignore` method",
        independent=True,
    ),
    _row_of(
        "statement-unsupported", r"(?P<what>[\w ]+?) aren't supported", "TorchScript has no {what}", independent=True
    ),
    _row_of(
        "comprehension-condition",
        r"Comprehension ifs are not supported",
        "TorchScript has no `if` in a comprehension: write a loop",
        independent=True,
    ),
    _row_of(
        "comprehension-nested",
        r"Only a single generator is currently supported",
        "TorchScript takes one `for` in a comprehension: write a loop",
        independent=True,
    ),
    _row_of(
        "keyword-expansion",
        r"keyword-arg expansion is not supported",
        "`**` in a call has no meaning in TorchScript: name the arguments",
        independent=True,
    ),
    _row_of(
        "dict-expansion",
        r"Dict expansion",
        "`{{**…}}` has no meaning in TorchScript: build the dict key by key",
        independent=True,
    ),
    _row_of(
        "f-string",
        r"JoinedStr",
        "TorchScript takes plain `{{name}}` fields only in an f-string: format with `.format` or leave it out",
        independent=True,
    ),
    _row_of(
        "range-type",
        r"all inputs of range must be ints, found (?P<type>.*?) in argument (?P<number>\d+)",
        "`{code}` needs ints, and the compiler sees `{type}`",
    ),
    _row_of(
        "branch-types",
        r"(?:^|Type mismatch: )(?P<name>\w+) is set to type (?P<first>.*?) in the true branch and type "
        r"(?P<second>.*?) in the false branch",
        "`{name}` is `{first}` after one branch and `{second}` after the other: TorchScript needs one type",
    ),
    _row_of(
        "conditional-types",
        r"if-expression's true branch has type (?P<first>.*?) but false branch has type (?P<second>.*?)$",
        "`{code}` is `{first}` or `{second}`: TorchScript needs one type",
    ),
    _row_of(
        "branch-undefined",
        r"^(?P<name>\w+) is not defined in the (?P<which>true|false) branch",
        "`{name}` has no value where this branch is not taken: give it one before",
    ),
    _row_of(
        "variable-type-changed",
        r"Variable '(?P<name>\w+)' previously had type (?P<first>.*?) but is now being assigned to a value of type "
        r"(?P<second>.*?)$",
        sentences.reassigned,
    ),
    _row_of(
        "attribute-type",
        r"Wrong type for attribute assignment\. Expected (?P<first>.*?) but got (?P<second>.*?)$",
        "the attribute is `{first}` to TorchScript and gets `{second}`: annotate it in the class with what it holds",
    ),
    _row_of(
        "container-item-type",
        r"Could not match type (?P<got>.*?) to t in argument 'el'.*matched to type (?P<held>.*?) is",
        "the list holds `{held}` to TorchScript (an empty list is a List[Tensor]) and gets `{got}`: annotate it",
    ),
    _row_of(
        "type-unknown",
        r"Unknown type name '(?P<name>.*?)'",
        "`{name}` is no type to TorchScript: use plain types such as `Tensor`",
        independent=True,
    ),
    _row_of(
        "type-unknown",
        r"Unknown type constructor (?P<name>[\w.]+)",
        "`{name}` is no type to TorchScript: use plain types such as `Tensor`",
        independent=True,
    ),
    _row_of(
        "argument-type",
        r"Expected a value of type '(?P<expected>.*?)' for argument '(?P<argument>\w+)' but instead found type "
        r"'(?P<got>.*?)'",
        sentences.schema,
    ),
    _row_of("name-undefined", r"undefined value (?P<name>\w+)", sentences.undefined),
    _row_of(
        "tuple-length-unknown",
        r"(?P<type>[^\n]*?) cannot be used as a tuple",
        "`{code}` is `{type}` to TorchScript, whose length it does not know: it cannot be unpacked or looped over",
    ),
    _row_of("not-callable", r"cannot call a value of type '(?P<type>[^']*)'", sentences.not_callable),
    _row_of(
        "value-unsupported",
        r"(?P<type>\w+) cannot be used as a value",
        sentences.no_value,
        independent=True,
    ),
    _row_of(
        "attribute-unknown",
        r"object has no attribute (?P<attribute>\w+)",
        "`{code}`: TorchScript knows no `{attribute}` there",
        independent=True,
    ),
    _row_of(
        "hasattr-target",
        r"hasattr's first argument must be an object or NamedTuple, got (?P<type>\w+)",
        "`hasattr` asks objects only in TorchScript, and `{code}` is `{type}`: use `isinstance`",
        independent=True,
    ),
    _row_of(
        "type-unknown",
        r"Unsupported annotation (?P<name>.*?) could not be resolved",
        "`{name}` is no type to TorchScript: use plain types such as `Tensor`",
        independent=True,
    ),
    _row_of(
        "type-unknown",
        r"Expression of type \w+ cannot be used in a type expression",
        "`{code}` is no type to TorchScript: use plain types such as `Tensor`",
        independent=True,
    ),
    _row_of(
        "python-iterable",
        r"python value of type '(?P<type>[^']*)' cannot be used as an iterable",
        "a Python `{type}` from outside cannot be looped over in TorchScript: make it an attribute",
        independent=True,
    ),
    _row_of(
        "module-zip",
        r"Can not iterate over a module list or tuple with a value that does not have a statically",
        "`{code}` pairs modules with values whose number TorchScript does not know: loop with `enumerate` and index "
        "the values",
        independent=True,
    ),
    _row_of(
        "attribute-lookup",
        r"attribute lookup is not defined on (?:python value of type ')?(?P<type>[\w.]+)",
        "`{code}`: TorchScript cannot look into a Python `{type}`: take what is needed in `__init__`",
        independent=True,
    ),
    _row_of(
        "operator-unknown",
        r"Unknown builtin op: aten::(?P<name>\w+)",
        "TorchScript has no operator `{name}`",
        independent=True,
    ),
    _row_of(
        "mutable-default",
        r"Mutable default parameters",
        sentences.mutable_default,
        independent=True,
    ),
)
