"""Variables at the top of a file that hold a module of torch's stand for classes."""

from __future__ import annotations

import pytest

from ts_shape_server.analysis.held import calls_of_held, held_modules
from ts_shape_server.analysis.modules import find_classes
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.asked import CallArguments

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


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("layer = nn.Linear(2, 3)\nprint(layer(torch.rand(1, 2)))\n", ("layer",)),
        ("layer = nn.Conv2d(1, 2, 3)\nfor x in []:\n    y = layer(x)\n", ("layer",)),
        ("loss = torch.nn.MSELoss()\nif __name__ == '__main__':\n    loss(1, 2)\n", ("loss",)),
        ("layer = nn.Linear(2, 3)\n", ()),
        ("act = nn.ReLU()\n\n\ndef use(x):\n    return act(x)\n", ()),
        ("layers = nn.ModuleList([])\nlayers(1)\n", ()),
        ("weight = nn.Parameter(torch.rand(1))\nweight(1)\n", ()),
        ("layer = nn.Linear(2, 3)\nlayer = nn.Linear(3, 2)\nlayer(1)\n", ()),
        ("out = nn.functional.relu(1)\nout(1)\n", ()),
    ],
)
def test_one_layer_is_held_where_the_statements_of_the_file_call_it(code: str, names: tuple[str, ...]) -> None:
    check(code, *names)


@pytest.mark.parametrize(
    ("code", "certain"),
    [
        ("x = torch.rand(1, 2)\nm(x)\n", ["values"]),
        ("m.eval()\nwith torch.no_grad():\n    m(torch.rand(1))\n", ["values"]),
        ("for x in torch.rand(4, 2):\n    m(x)\n", ["values"]),
        ("def use(x):\n    return m(x)\n\n\nm(torch.rand(1))\n", ["values"]),
        ("try:\n    m(torch.rand(1))\nexcept RuntimeError:\n    pass\n", [""]),
        ("if flag:\n    m(torch.rand(1))\n", [""]),
        ("m[0] = nn.Tanh()\nm(torch.rand(1))\n", []),
        ("m.append(nn.Tanh())\nm(torch.rand(1))\n", []),
        ("change(m)\nm(torch.rand(1))\n", [""]),
        ("m.double()\nm(torch.rand(1))\n", [""]),
    ],
)
def test_calls_of_what_is_held_are_certain_unless_it_may_have_changed(code: str, certain: list[str]) -> None:
    found = calls_of_held("m", HEAD + "m = nn.Sequential(nn.ReLU())\n" + code, "script.py")
    assert [item.certain for item in found] == certain
    assert all(item.init == CallArguments() for item in found)
