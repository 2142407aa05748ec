"""Names that a decorator hides from TorchScript are one reason, at the decorator, however many they are."""

from __future__ import annotations

from typing import Any

from repairs import check as repaired

from ts_shape_server.agent import script

DECORATED = """
import math


class Net(nn.Module):
    {}
    def forward(self, x):
        y = F.softmax(x, -1)
        return y * math.pi + torch.relu(y)
"""
OWN = """
def logged(function):
    import functools

    @functools.wraps(function)
    def inner(*args):
        return function(*args)

    return inner
"""


def kinds(load: Any, source: str) -> list[str]:
    run, context = load(source)
    found = script.examine(run, context).script
    assert found.ok is not None
    return [item.kind for item in found.failures]


def test_names_that_a_decorator_of_torch_hides_are_one_reason(load: Any) -> None:
    run, context = load(DECORATED.format("@torch.no_grad()"))
    (failure,) = script.examine(run, context).script.failures
    assert failure.kind == "decorator-hides-names"
    assert failure.location is not None
    line = context.source.split("\n")[failure.location.range.line - 1]
    assert line.strip() == "@torch.no_grad()"


def test_a_decorator_of_the_same_file_hides_nothing(load: Any) -> None:
    assert "decorator-hides-names" not in kinds(load, OWN + DECORATED.format("@logged"))


def test_a_name_of_the_function_itself_is_not_hidden(load: Any) -> None:
    source = "class Net(nn.Module):\n    @torch.no_grad()\n    def forward(self, x):\n        return x + x.shape[0]\n"
    assert kinds(load, source) == ["no-grad-left-out"]


def test_the_function_enters_the_context_itself(tmp_path: Any) -> None:
    repaired(tmp_path, DECORATED.format("@torch.no_grad()"), "        with torch.no_grad():\n            y = F.softmax")
