"""Other expressions for one constructor argument: a list, a number, a mapping, a text, a tensor, a module."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent.infer.constructor.arguments import Sizes, list_of, namespace_expression
from ts_shape_server.agent.infer.constructor.moves.move import Refusal, argument_move
from ts_shape_server.agent.infer.constructor.moves.plans import IDENTITY
from ts_shape_server.agent.infer.facts.uses import required

PLAIN_OWNERS = frozenset({"int", "float", "str", "list", "NoneType", "Identity", "bool"})
"""Kinds of values that stand for what a constructor takes, where nothing is known of it."""
MOST_CLASSES = 3
NAMED_IN = {
    "torch.nn": "ReLU",
    "torch": "relu",
    "torch.nn.functional": "relu",
    "torch.nn.modules.activation": "ReLU",
    "torch.optim": "SGD",
}
"""What a name that is looked up in a module of torch may be."""


@argument_move
def several(name: str, expression: str, refusal: Refusal) -> Iterator[str]:
    """What is gone through or taken apart is a list.

    before: widths='16'
    says: TypeError: 'int' object is not iterable
    after: widths='[16, 16, 16, 16]'
    """
    if "sequence-needed" in refusal.said:
        if expression == IDENTITY:
            yield "nn.Sequential(nn.Identity(), nn.Identity())"
        yield list_of(name.lower(), Sizes(refusal.profile))
        yield f"({refusal.size}, {refusal.size})"
        yield f"({refusal.size}, {refusal.size}, {refusal.size})"


@argument_move
def more_items(name: str, expression: str, refusal: Refusal) -> Iterator[str]:
    """A list has as many items as are taken out of it.

    before: widths='(16, 16)'
    says: IndexError: tuple index out of range
    after: widths='[16, 16, 16]'
    """
    if ("item-missing" in refusal.said or "too-few-values" in refusal.said) and expression[:1] in "[(":
        yield f"[{', '.join([str(refusal.size)] * 8)}]"
        yield f"[{', '.join([str(refusal.size)] * 3)}]"


@argument_move
def fewer_items(name: str, expression: str, refusal: Refusal) -> Iterator[str]:
    """What is unpacked into two or three names has as many items.

    before: size='[16, 16, 16, 16]'
    says: ValueError: too many values to unpack (expected 2)
    after: size='(16, 16)'
    """
    if "too-many-values" in refusal.said:
        yield f"({refusal.size}, {refusal.size})"
        yield f"({refusal.size}, {refusal.size}, {refusal.size})"


@argument_move
def several_of_it(name: str, expression: str, refusal: Refusal) -> Iterator[str]:
    """What becomes a tensor that is indexed was a list of numbers.

    before: weight='0.1'
    says: IndexError: too many indices for tensor of dimension 0
    after: weight='[0.1, 0.1, 0.1]'
    """
    if "scalar-indexed" in refusal.said and re.fullmatch(r"[\d.]+", expression):
        yield f"[{expression}, {expression}, {expression}]"


@argument_move
def mapping_of_numbers(name: str, expression: str, refusal: Refusal) -> Iterator[str]:
    """What is asked for its items is a mapping.

    before: heads='16'
    says: AttributeError: 'int' object has no attribute 'items'
    after: heads="{'a': 1, 'b': 2}"
    """
    missed = refusal.said.get("missing-attribute")
    if missed is not None and missed.name("name") in ("items", "keys", "values", "get"):
        yield "{'a': 1, 'b': 2}"


@argument_move
def no_keywords(name: str, expression: str, refusal: Refusal) -> Iterator[str]:
    """What is passed on by ``**`` may be empty.

    before: options='16'
    says: TypeError: Linear() argument after ** must be a mapping, not int
    after: options='{}'
    """
    if "mapping-spread" in refusal.said:
        yield "{}"


@argument_move
def one_of_choices(name: str, expression: str, refusal: Refusal) -> Iterator[str]:
    """An author's own check lists the texts that it takes.

    before: mode='16'
    says: ValueError: mode must be one of 'bilinear', 'nearest'
    after: mode="'bilinear'"
    """
    choices = refusal.said.get("choices")
    if choices is not None:
        yield from map(repr, choices.names("choices"))


@argument_move
def name_of_activation(name: str, expression: str, refusal: Refusal) -> Iterator[str]:
    """What was looked up in a table of names is a name.

    before: act='nn.ReLU()'
    says: KeyError: ReLU()
    after: act="'relu'"
    """
    if "unknown-choice" in refusal.said:
        yield "'relu'"


@argument_move
def name_of_layer(name: str, expression: str, refusal: Refusal) -> Iterator[str]:
    """What is looked up in torch by its name is the name of something that torch has.

    before: act="'x'"
    says: AttributeError: module 'torch.nn' has no attribute 'x'
    after: act="'ReLU'"
    """
    missed = refusal.said.get("missing-module-attribute")
    if missed is not None and expression == repr(missed.name("name")) and missed.name("owner") in NAMED_IN:
        yield repr(NAMED_IN[missed.name("owner")])


@argument_move
def number_of_axis(name: str, expression: str, refusal: Refusal) -> Iterator[str]:
    """A number that is an axis is a small one.

    before: dim='16'
    says: IndexError: Dimension out of range (expected to be in range of [-2, 1], but got 16)
    after: dim='1'
    """
    if "axis-out-of-range" in refusal.said and expression.isdigit():
        yield from ("0", "1", "-1")


@argument_move
def something_to_call(name: str, expression: str, refusal: Refusal) -> Iterator[str]:
    """What is called in a constructor is a class of modules, or a function that makes one.

    before: norm='16'
    says: TypeError: 'int' object is not callable
    after: norm='nn.Identity'
    """
    if "not-callable" in refusal.said:
        yield from _classes(refusal.namespace)
        yield "nn.Identity"
        yield "nn.ReLU"
        yield "(lambda *args, **kwargs: nn.Identity())"


@argument_move
def instance_of_class(name: str, expression: str, refusal: Refusal) -> Iterator[str]:
    """What is asked for what only an instance gives is an instance of a module, and no class.

    before: backbone='nn.Identity'
    says: TypeError: Module.children() missing 1 required positional argument: 'self'
    after: backbone='nn.Identity()'
    """
    missing = refusal.said.get("missing-arguments")
    if missing is not None and "self" in missing.names("names") and re.fullmatch(r"[A-Za-z_][\w.]*", expression):
        yield IDENTITY
        yield "nn.Sequential(nn.Identity(), nn.Identity())"


@argument_move
def array(name: str, expression: str, refusal: Refusal) -> Iterator[str]:
    """What is made a tensor from an array of numpy's is one: a table of weights most often.

    before: weights='16'
    says: TypeError: expected np.ndarray (got int)
    after: weights='torch.ones(16, 16).numpy()'
    """
    if "array-needed" in refusal.said:
        yield f"torch.ones({refusal.size}, {refusal.size}).numpy()"
        yield f"torch.ones({refusal.size}).numpy()"


@argument_move
def table(name: str, expression: str, refusal: Refusal) -> Iterator[str]:
    """What an embedding is made from is a table of two dims.

    before: vectors='torch.ones(16)'
    says: AssertionError: Embeddings parameter is expected to be 2-dimensional
    after: vectors='torch.ones(16, 16)'
    """
    if "table-needed" in refusal.said and expression != "None":
        yield f"torch.ones({refusal.size}, {refusal.size})"


@argument_move
def owner_of_attribute(name: str, expression: str, refusal: Refusal) -> Iterator[str]:
    """What is asked for an attribute that tensors have is a tensor, else an object that has it.

    before: anchors='16'
    says: AttributeError: 'int' object has no attribute 'shape'
    after: anchors='torch.ones(16)'
    """
    missed = refusal.said.get("missing-attribute")
    if missed is None or missed.name("owner") not in PLAIN_OWNERS:
        return
    if hasattr(torch.Tensor, missed.name("name")):
        yield f"torch.ones({refusal.size})"
        yield f"torch.ones({refusal.size}, {refusal.size})"
    else:
        yield namespace_expression([missed.name("name")], refusal.profile)


@argument_move
def constant_tensor(name: str, expression: str, refusal: Refusal) -> Iterator[str]:
    """What a buffer is made of is a tensor.

    before: anchors='16'
    says: TypeError: relu(): argument 'input' (position 1) must be Tensor, not int
    after: anchors='torch.ones(16, 16)'
    """
    if "tensor-argument-needed" in refusal.said:
        yield f"torch.ones({refusal.size}, {refusal.size})"
        yield f"torch.ones({refusal.size})"


@argument_move
def module(name: str, expression: str, refusal: Refusal) -> Iterator[str]:
    """What is put into a list of modules is one, or several.

    before: backbone='16'
    says: TypeError: int is not a Module subclass
    after: backbone='nn.Identity()'
    """
    if "module-needed" in refusal.said:
        yield IDENTITY
        yield "[nn.Identity()]"


@argument_move
def plain_number(name: str, expression: str, refusal: Refusal) -> Iterator[str]:
    """What is counted with is a number.

    before: depth='nn.Identity()'
    says: TypeError: 'Identity' object cannot be interpreted as an integer
    after: depth='16'
    """
    if "plain-number-needed" in refusal.said:
        yield str(refusal.size)
        yield "0.1"


@argument_move
def text(name: str, expression: str, refusal: Refusal) -> Iterator[str]:
    """What is read as a text is one: most often the name of an activation.

    before: act='16'
    says: AttributeError: 'int' object has no attribute 'lower'
    after: act="'relu'"
    """
    if "text-needed" in refusal.said:
        yield "'relu'"


def _classes(namespace: Mapping[str, Any]) -> Iterator[str]:
    """The file's own module classes that take sizes, the first few."""
    own = namespace.get("__name__")
    found = [
        name
        for name, value in namespace.items()
        if isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == own and required(value)
    ]
    yield from found[:MOST_CLASSES]


ALL = (
    several,
    more_items,
    fewer_items,
    several_of_it,
    mapping_of_numbers,
    no_keywords,
    one_of_choices,
    name_of_activation,
    name_of_layer,
    number_of_axis,
    something_to_call,
    instance_of_class,
    array,
    table,
    owner_of_attribute,
    constant_tensor,
    module,
    plain_number,
    text,
)
