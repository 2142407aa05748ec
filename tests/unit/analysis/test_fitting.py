"""Two sizes that disagree are made to agree where one of them is written: in the layer that takes, or that gives."""

from __future__ import annotations

import pytest

from ts_shape_server.analysis.fitting import fitted
from ts_shape_server.analysis.modules import find_classes
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.report import Disagreement, Failure

HEAD = "from torch import nn\n\nclass Net(nn.Module):\n    def __init__(self, width=16):\n        super().__init__()\n"
FORWARD = "\n    def forward(self, x):\n        return self.b(self.a(x))\n"


def check(body: str, sizes: Disagreement, expected: dict[str, str]) -> None:
    """`expected` maps each title to a line that the change writes; other titles fail."""
    text = HEAD + "".join(f"        {line}\n" for line in body.split("\n")) + FORWARD
    source = SourceText(text)
    made = fitted(source, find_classes(source)[0], "Net", Failure("shape-mismatch", "", sizes=sizes))
    assert [item.title for item in made] == list(expected)
    for item in made:
        assert expected[item.title] in source.apply(item.edits).split("\n")


@pytest.mark.parametrize(
    ("body", "sizes", "expected"),
    [
        (
            "self.a = nn.Conv2d(3, 16, 3)\nself.b = nn.Conv2d(32, 64, 3)",
            Disagreement(32, 16, "b", "a"),
            {
                "Set `in_channels=16` in `b`": "        self.b = nn.Conv2d(16, 64, 3)",
                "Set `out_channels=32` in `a`": "        self.a = nn.Conv2d(3, 32, 3)",
            },
        ),
        (
            "self.a = nn.Conv2d(3, width, 3)\nself.b = nn.BatchNorm2d(num_features=32)",
            Disagreement(32, 16, "b", "a"),
            {"Set `num_features=width` in `b`": "        self.b = nn.BatchNorm2d(num_features=width)"},
        ),
        (
            "self.a = nn.Flatten()\nself.b = nn.Linear(16 * 8 * 8, 10)",
            Disagreement(1024, 784, "b", ""),
            {
                "Flatten what goes into `b`": "        return self.b(torch.flatten(self.a(x), 1))",
                "Set `in_features=784` in `b`": "        self.b = nn.Linear(784, 10)",
            },
        ),
        (
            "self.a = nn.Sequential(\n    nn.Linear(8, 16),\n    nn.ReLU(),\n    nn.Linear(32, 4),\n)\nself.b = X()",
            Disagreement(32, 16, "a.2", "a.1"),
            {
                "Flatten what goes into `a.2`": "            nn.Flatten(),",
                "Set `in_features=16` in `a.2`": "            nn.Linear(16, 4),",
                "Set `out_features=32` in `a.0`": "            nn.Linear(8, 32),",
            },
        ),
        (
            "self.a = nn.Sequential(nn.Flatten(), nn.Linear(in_features=width, out_features=4))\nself.b = X()",
            Disagreement(16, 784, "a.1", "a.0"),
            {
                "Set `in_features=width * 7 * 7` in `a.1`": "        self.a = nn.Sequential(nn.Flatten(), "
                "nn.Linear(in_features=width * 7 * 7, out_features=4))"
            },
        ),
        (
            "self.a = nn.Linear(9, 16 * 14 * 14)\nself.b = nn.GRU(16 * 14 * 14, 10)",
            Disagreement(3136, 4096),
            {"Set `input_size=4096` in `b`": "        self.b = nn.GRU(4096, 10)"},
        ),
        (
            "self.a = nn.Linear(8, width)\nself.b = nn.Linear(*sizes)",
            Disagreement(32, 16, "b", "a"),
            {"Flatten what goes into `b`": "        return self.b(torch.flatten(self.a(x), 1))"},
        ),
        (
            "self.a = nn.Flatten()\nself.b = nn.Linear(in_features=width, out_features=10)",
            Disagreement(16, 784, "b", ""),
            {
                "Flatten what goes into `b`": "        return self.b(torch.flatten(self.a(x), 1))",
                "Set `in_features=width * 7 * 7` in `b`": "        self.b = nn.Linear(in_features=width * 7 * 7, "
                "out_features=10)",
            },
        ),
        ("self.a = nn.Linear(8, 2 * width)\nself.b = nn.GroupNorm(4, width)", Disagreement(32, 16, "b", "a"), {}),
    ],
    ids=[
        "channels",
        "a name is kept",
        "features",
        "in a Sequential",
        "flattened already",
        "an unnamed layer",
        "starred",
        "a parameter",
        "from names",
    ],
)
def test_a_size_is_set_where_it_is_written(body: str, sizes: Disagreement, expected: dict[str, str]) -> None:
    check(body, sizes, expected)
