"""Variables at the top of a file that hold an `nn.Sequential` stand for classes."""

from __future__ import annotations

import pytest

from ts_shape_server.analysis.modules import find_classes, held_modules
from ts_shape_server.analysis.text import SourceText

HEAD = "import torch\nfrom torch import nn\n\n"


def check(code: str, *names: str) -> None:
    source = SourceText(HEAD + code)
    assert [item.name for item in held_modules(source, find_classes(source)[0])] == list(names)


@pytest.mark.parametrize(
    "code",
    [
        "model = nn.Sequential(nn.ReLU())\n",
        "model = torch.nn.Sequential(nn.ReLU()).eval()\n",
        "model = nn.Sequential(\n    nn.ReLU(),\n).to('cpu').train()\n",
        "from torch.nn import Sequential as S\nmodel = S(nn.ReLU())\n",
    ],
)
def test_a_sequential_is_held(code: str) -> None:
    check(code, "model")


@pytest.mark.parametrize(
    "code",
    [
        "model = nn.ModuleList([nn.ReLU()])\n",
        "def make():\n    model = nn.Sequential(nn.ReLU())\n    return model\n",
        "model = nn.Sequential(nn.ReLU())\nmodel = nn.Sequential(nn.Tanh())\n",
        "first = second = nn.Sequential(nn.ReLU())\n",
        "class nn2:\n    Sequential = list\n\n\nmodel = nn2.Sequential([1])\n",
        "model = nn.Sequential(nn.ReLU())(torch.rand(1))\n",
    ],
)
def test_what_is_something_else_or_bound_twice_is_not(code: str) -> None:
    check(code)


def test_it_stands_at_its_name_and_changes_with_its_layers() -> None:
    def held(layer: str) -> tuple[int, str]:
        source = SourceText(HEAD + f"model = nn.Sequential({layer})\nother = 1\n")
        (item,) = held_modules(source, find_classes(source)[0])
        assert (item.line, item.name_range.column, item.name_range.end_column) == (4, 0, 5)
        return item.line, item.digest

    assert held("nn.ReLU()") == held("nn.ReLU()") != held("nn.Tanh()")
