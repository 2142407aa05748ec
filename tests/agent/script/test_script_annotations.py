"""The types that a run shows are those that TorchScript needs, and only what it lacks is called needed."""

from __future__ import annotations

from typing import Any

import pytest

from ts_shape_server.agent import script
from ts_shape_server.contract import schema

TENSOR = {"tensor": [2, 3]}


def check(load: Any, source: str, expected: dict[str, str], **inputs: Any) -> None:
    """`expected`: ``owner.function.name`` (an attribute: ``owner..name``) to type, with a ``!`` where it is needed."""
    run, context = load(source, **inputs)
    found = schema.write(script.examine(run, context))["annotations"]
    actual = {
        f"{item['owner']}.{item['function']}.{item['name']}": item["type"] + ("!" if item["needed"] else "")
        for item in found
    }
    assert actual == expected


PARAMETERS = """
class Inner(nn.Module):
    def scale(self, x, by, how="sum"):
        return x * by, how

    def forward(self, x, mask=None):
        return self.scale(x, 2)[0] if mask is None else x

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Inner()

    def forward(self, parts: List[Tensor], table: Dict[str, Tensor], flag=True):
        return [self.inner(part) for part in parts], self.inner(table["a"], parts[0])
"""
ATTRIBUTES = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.sizes = []
        self.hidden = None
        self.depth = 3
        self.names = ["a"]

    def forward(self, x):
        self.sizes.append(x.shape[0])
        self.hidden = x
        return x
"""
SPELLED_OTHERWISE = """
class Net(nn.Module):
    def forward(self, x: "Float[Tensor, 'b c']", n: int = 3, h: Tensor = None, parts: list = []) -> Tensor:
        return x
"""
NESTED = """
def make():
    class Hidden(nn.Module):
        def forward(self, x, n):
            return x + n
    return Hidden

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = make()()

    def forward(self, x):
        return self.part(x, 1)
"""


@pytest.mark.parametrize(
    ("source", "inputs", "expected"),
    [
        (
            PARAMETERS,
            {"example": {"parts": {"list": [TENSOR, TENSOR]}, "table": {"dict": {"a": TENSOR}}}},
            {
                "Net.forward.parts": "List[Tensor]",
                "Net.forward.table": "Dict[str, Tensor]",
                "Net.forward.flag": "bool!",
                "Net.forward.return": "Tuple[List[Tensor], Tensor]",
                "Inner.forward.x": "Tensor",
                "Inner.forward.mask": "Optional[Tensor]!",
                "Inner.forward.return": "Tensor",
                "Inner.scale.x": "Tensor",
                "Inner.scale.by": "int!",
                "Inner.scale.how": "str!",
                "Inner.scale.return": "Tuple[Tensor, str]",
            },
        ),
        (
            ATTRIBUTES,
            {},
            {
                "Net.forward.x": "Tensor",
                "Net.forward.return": "Tensor",
                "Net..sizes": "List[int]!",
                "Net..hidden": "Optional[Tensor]!",
            },
        ),
        (
            SPELLED_OTHERWISE,
            {},
            {
                "Net.forward.x": "Tensor!",
                "Net.forward.n": "int",
                "Net.forward.h": "Optional[Tensor]!",
                "Net.forward.parts": "List[Tensor]!",
                "Net.forward.return": "Tensor",
            },
        ),
        (
            NESTED,
            {},
            {
                "Net.forward.x": "Tensor",
                "Net.forward.return": "Tensor",
                "make.<locals>.Hidden.forward.x": "Tensor",
                "make.<locals>.Hidden.forward.n": "int!",
                "make.<locals>.Hidden.forward.return": "Tensor",
            },
        ),
    ],
    ids=["parameters", "attributes", "spelled otherwise", "nested"],
)
def test_types_come_from_the_run(load: Any, source: str, inputs: dict[str, Any], expected: dict[str, str]) -> None:
    check(load, source, expected, **inputs)


def test_a_parameter_that_the_function_gives_a_value_has_the_type_of_both(load: Any) -> None:
    source = """
class Net(nn.Module):
    def forward(self, x, hidden=None):
        if hidden is None:
            hidden = (x, x)
        return x + hidden[0]
"""
    expected = {
        "Net.forward.x": "Tensor",
        "Net.forward.hidden": "Optional[Tuple[Tensor, Tensor]]!",
        "Net.forward.return": "Tensor",
    }
    check(load, source, expected)


def test_an_annotation_of_a_function_beside_the_classes_is_read(load: Any) -> None:
    source = """
def scaled(x, times: int, bias=1):
    return x * times + bias

class Net(nn.Module):
    def forward(self, x):
        return scaled(x, 2)
"""
    expected = {"scaled.x": "Tensor", "scaled.times": "int", "scaled.bias": "int!", "scaled.return": "Tensor"}
    own = {"Net.forward.x": "Tensor", "Net.forward.return": "Tensor"}
    check(load, source, own | {f".{name}": kind for name, kind in expected.items()})
