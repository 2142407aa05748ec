"""A config class that needs values for some fields is built by what the fields are called and annotated as."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import pytest
from torch import nn

from ts_shape_server.agent.infer.constructor import arguments
from ts_shape_server.agent.infer.guesses.portable import SIMPLE_NAMESPACE


class Head(NamedTuple):
    num_classes: int


# Annotations are values here, as in a file without the import from the future.
WordsConfig = dataclasses.make_dataclass(
    "WordsConfig", [("vocab_size", int), ("kind", Literal["gru", "lstm"]), ("hidden", int, 20)]
)
Whole = dataclasses.make_dataclass("Whole", [("head", Head), ("width", int)])


def _refuse(self: Any) -> None:
    raise ValueError(self.vocab_size)


Refusing = dataclasses.make_dataclass("Refusing", [("vocab_size", int)], namespace={"__post_init__": _refuse})


class Tokens:
    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size


Tree = dataclasses.make_dataclass("Tree", [("left", "Tree"), ("vocab_size", int), ("right", "Tree")])

for made in (WordsConfig, Whole, Refusing, Tree):
    made.__module__ = __name__
NAMESPACE: Mapping[str, Any] = {item.__name__: item for item in (WordsConfig, Head, Whole, Refusing, Tokens, Tree)}


def planned(annotation: Any) -> str:
    class Net(nn.Module):
        def __init__(self, config: Any) -> None:
            super().__init__()
            self.embed = nn.Embedding(config.vocab_size, 4)

    Net.__init__.__annotations__["config"] = annotation
    return arguments.plan(Net, {}, arguments.PROFILES[0], NAMESPACE)["config"]


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        pytest.param(WordsConfig, "WordsConfig(vocab_size=100, kind='gru')", id="by name, and the first choice"),
        pytest.param("WordsConfig", "WordsConfig(vocab_size=100, kind='gru')", id="an annotation that is a text"),
    ],
)
def test_fields_without_default_are_guessed(annotation: Any, expected: str) -> None:
    assert planned(annotation) == expected


def test_a_field_of_the_same_class_is_none() -> None:
    assert planned(Tree) == "Tree(left=None, vocab_size=100, right=None)"


@pytest.mark.parametrize(
    "annotation",
    [
        pytest.param(Refusing, id="it refuses the values"),
        pytest.param(Tokens, id="it is no class of records"),
        pytest.param(Whole, id="it lacks what is read"),
    ],
)
def test_another_class_is_not_made_up(annotation: Any) -> None:
    assert planned(annotation).startswith(SIMPLE_NAMESPACE)


def test_a_field_may_be_a_config_itself() -> None:
    class Net(nn.Module):
        def __init__(self, config: Any) -> None:
            super().__init__()
            self.fc = nn.Linear(config.width, config.head.num_classes)

    Net.__init__.__annotations__["config"] = Whole
    assert (
        arguments.plan(Net, {}, arguments.PROFILES[0], NAMESPACE)["config"]
        == "Whole(head=Head(num_classes=10), width=16)"
    )
