"""What each refusal of the compiler is in words: from the kind of torch's complaint to a sentence.

A sentence may use the facts of the complaint, `{code}` (the source that torch marks) and `{function}`. What it uses,
and the facts of the complaint, are the facts of the refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Union

from ts_shape_server.agent.script import attribute_sentences, sentences
from ts_shape_server.agent.script.problem import CompilerProblem, RefusalSearch
from ts_shape_server.agent.script.sentences import Told
from ts_shape_server.agent.torch_says.rows import Complaint

Sentence = Union[str, Callable[[Complaint, CompilerProblem, RefusalSearch], Told]]


@dataclass(frozen=True)
class Wording:
    """`independent`: it is a reason of its own even where the expression reads a value that an edit made up."""

    sentence: Sentence
    independent: bool = False


TABLE: Mapping[str, Wording] = {
    "variadic": Wording(sentences.variadic, independent=True),
    "no-matching-overload": Wording(sentences.no_variant),
    "dict-key-type": Wording(sentences.key_type, independent=True),
    "list-length-unknown": Wording(
        "`{code}` has no fixed length for TorchScript, so it cannot be unpacked or starred: take its items by index"
    ),
    "attribute-unsupported": Wording(attribute_sentences.failed_attribute, independent=True),
    "attribute-function": Wording(attribute_sentences.function_attribute, independent=True),
    "attribute-missing": Wording(attribute_sentences.missing_attribute, independent=True),
    "method-unknown": Wording(attribute_sentences.no_attribute),
    "module-list-index": Wording(
        "`{code}`: a ModuleList can only be indexed by a literal in TorchScript: loop over it, with `enumerate` or "
        "`zip`",
        independent=True,
    ),
    "module-dict-index": Wording(
        "`{code}`: a ModuleDict can only be indexed by a literal in TorchScript: loop over its `items()`",
        independent=True,
    ),
    "class-instantiated": Wording(
        "`{name}` is built in `{function}`, which TorchScript cannot do: build it in `__init__`", independent=True
    ),
    "legacy-variable": Wording(
        "`Variable` has been a Tensor since torch 0.4, and TorchScript does not know it: take it out", independent=True
    ),
    "hook-class": Wording(
        "a `{name}` hook cannot be compiled: take it out before, with `remove_weight_norm` or `remove_spectral_norm`"
    ),
    "hook-unannotated": Wording(sentences.hook),
    "hook-lambda": Wording(sentences.lambda_hook),
    "constructor-source-missing": Wording(
        "`{name}` has a constructor that Python writes itself, as a dataclass has, and TorchScript needs its source: "
        "return a `NamedTuple`, a tuple or a dict instead, or write `__init__` out"
    ),
    "class-opaque": Wording(
        "`{name}` is a class that TorchScript cannot look into: move its use to a `@torch.jit.ignore` method"
    ),
    "callable-unsupported": Wording(
        "`{code}` calls a `{type}`, which TorchScript lacks: use the torch equivalent or a `@torch.jit.ignore` method",
        independent=True,
    ),
    "constant-unsupported": Wording("`{attribute}` of this `{owner}` is a `{type}`: make it a plain Python number"),
    "module-annotation": Wording(
        "the class annotates `{name}` with a type that TorchScript does not take for a module: take the annotation out"
    ),
    "callable-argument": Wording(
        "`{code}` gets a function or module as an argument, for which TorchScript has no type: make it an attribute"
    ),
    "configuration-type": Wording(
        "a number in this module's configuration has another type than its operator takes (a float or list for an int)"
    ),
    "attribute-first-set": Wording(attribute_sentences.first_set, independent=True),
    "attribute-cast": Wording(
        "`self.{attribute}` is a Python `{type}`, which TorchScript cannot take over: keep values that it has, or name "
        "the attribute in `__jit_ignored_attributes__` where no method that is compiled reads it",
        independent=True,
    ),
    "attribute-assignment": Wording(attribute_sentences.attribute_set, independent=True),
    "augmented-assignment": Wording(
        "TorchScript has no such augmented assignment ({name}): write it out as `a = a … b`", independent=True
    ),
    "assignment-target": Wording(
        "TorchScript cannot assign to `{code}`: unpack into a plain tuple of names", independent=True
    ),
    "not-subscriptable": Wording("`{code}`: the compiler sees `{type}`, which cannot be indexed"),
    "tuple-index-range": Wording("`{code}`: the tuple has {length} items"),
    "tensor-index-type": Wording("`{code}`: a Tensor cannot be indexed with `{type}` in TorchScript"),
    "unpack-count": Wording("`{code}` unpacks {wanted} values, and the compiler sees {found}"),
    "multidimensional-index": Wording("`{code}`: only Tensors take several indices in TorchScript", independent=True),
    "source-missing": Wording(
        "`{code}` has no source that TorchScript could read: move it to a `@torch.jit.ignore` method", independent=True
    ),
    "class-as-value": Wording(sentences.class_as_value, independent=True),
    "builtin-unsupported": Wording(
        "`{code}` calls a Python builtin that TorchScript lacks: use the torch equivalent or a "
        "`@torch.jit.ignore` method",
        independent=True,
    ),
    "python-value": Wording(
        "`{code}` is a Python `{type}`, which cannot be a value in TorchScript: make it an attribute, a `Final` "
        "constant or a parameter",
        independent=True,
    ),
    "default-without-type": Wording(
        "`{name}` is taken for a Tensor because it has no annotation, and its default is not a Tensor: annotate it"
    ),
    "return-types": Wording("`{function}` returns `{second}` here and `{first}` elsewhere: TorchScript needs one type"),
    "return-annotation": Wording("`{function}` is annotated to return `{first}` and returns `{second}`"),
    "truth-value": Wording(
        "`{code}` is `{type}` and TorchScript has no truth value for it: compare it, with `is not None` or `len(…) > 0`"
    ),
    "tolist-type": Wording("`tolist` needs a type in TorchScript: write `name: List[…] = {code}()`", independent=True),
    "getattr-name": Wording(
        "`getattr` needs a literal name in TorchScript: loop over an `nn.ModuleList` instead", independent=True
    ),
    "nested-function": Wording("a function cannot be defined inside `{function}`: move it out", independent=True),
    "try-block": Wording("TorchScript has no `try`: move it to a `@torch.jit.ignore` method", independent=True),
    "local-import": Wording("an import cannot stand in `{function}`: move it to the top of the file", independent=True),
    "lambda": Wording("TorchScript has no lambda: write the expression out or name a function", independent=True),
    "global-statement": Wording("TorchScript has no `global`: keep the value in an attribute", independent=True),
    "generator": Wording("TorchScript has no generators: collect a list and return it", independent=True),
    "set-comprehension": Wording("TorchScript has no sets: use a list or a dict", independent=True),
    "set": Wording("TorchScript has no sets: use a list or a dict", independent=True),
    "assert-message": Wording("this `assert` cannot be compiled: simplify its message", independent=True),
    "loop-else": Wording(
        "TorchScript has no `else` of a loop: set a flag in the loop and test it afterwards", independent=True
    ),
    "raise-value": Wording(
        "only an exception can be raised, and `NotImplemented` is not one: raise `NotImplementedError`",
        independent=True,
    ),
    "with-after-return": Wording(
        "torch's compiler fails on a `with` that comes after a `return`: let `{function}` return once, at its end",
        independent=True,
    ),
    "compiler-crash": Wording(
        "torch's compiler fails in itself on `{function}`: write it in simpler statements, or move a part of it to a "
        "`@torch.jit.ignore` method",
        independent=True,
    ),
    "statement-unsupported": Wording("TorchScript has no {what}", independent=True),
    "comprehension-condition": Wording("TorchScript has no `if` in a comprehension: write a loop", independent=True),
    "comprehension-nested": Wording("TorchScript takes one `for` in a comprehension: write a loop", independent=True),
    "keyword-expansion": Wording("TorchScript does not support `**` in a call: name the arguments", independent=True),
    "dict-expansion": Wording("TorchScript does not support `{{**…}}`: build the dict key by key", independent=True),
    "f-string": Wording(
        "in an f-string TorchScript takes only plain `{{name}}` fields: format with `.format` or leave it out",
        independent=True,
    ),
    "range-type": Wording("`{code}` needs ints, and the compiler sees `{type}`"),
    "branch-types": Wording(
        "`{name}` is `{first}` after one branch and `{second}` after the other: TorchScript needs one type"
    ),
    "conditional-types": Wording("`{code}` is `{first}` or `{second}`: TorchScript needs one type"),
    "branch-undefined": Wording("`{name}` has no value where this branch is not taken: give it one before"),
    "variable-type-changed": Wording(sentences.reassigned),
    "attribute-type": Wording(
        "the attribute is `{first}` to TorchScript and gets `{second}`: annotate it in the class with what it holds"
    ),
    "container-item-type": Wording(
        "the list holds `{held}` to TorchScript (an empty list is a List[Tensor]) and gets `{got}`: annotate it"
    ),
    "type-unknown": Wording(sentences.no_type, independent=True),
    "argument-type": Wording(sentences.schema),
    "name-undefined": Wording(sentences.undefined),
    "tuple-length-unknown": Wording(
        "`{code}` is `{type}` to TorchScript, whose length it does not know: it cannot be unpacked or looped over"
    ),
    "not-callable": Wording(sentences.not_callable),
    "value-unsupported": Wording(sentences.no_value, independent=True),
    "attribute-unknown": Wording("`{code}`: TorchScript knows no `{attribute}` there", independent=True),
    "hasattr-target": Wording(
        "`hasattr` works only on objects in TorchScript, and `{code}` is `{type}`: use `isinstance`", independent=True
    ),
    "python-iterable": Wording(
        "TorchScript cannot loop over a Python `{type}` from outside the function: make it an attribute",
        independent=True,
    ),
    "module-zip": Wording(
        "`{code}` pairs modules with values whose number TorchScript does not know: loop with `enumerate` and index "
        "the values",
        independent=True,
    ),
    "attribute-lookup": Wording(
        "`{code}`: TorchScript cannot look into a Python `{type}`: take what is needed in `__init__`", independent=True
    ),
    "operator-unknown": Wording("TorchScript has no operator `{name}`", independent=True),
    "mutable-default": Wording(sentences.mutable_default, independent=True),
}
