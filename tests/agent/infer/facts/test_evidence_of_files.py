"""What other files and words say decides the report, in the order of evidence; what a run denies is told at its place.

Each case is the class `Net` in one file, the code of another that uses it, and what the report must say.
"""

from __future__ import annotations

import importlib.util
import itertools
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from evidence_helpers import calls_in

from ts_shape_server.agent import clock, runs
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer import report_class
from ts_shape_server.analysis.modules import find_classes, module_classes
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract import schema
from ts_shape_server.contract.asked import ClassAsked, Pinned
from ts_shape_server.contract.report import Report

HEAD = "import torch\nfrom torch import nn, Tensor\nfrom typing import *\n"
ANY = HEAD + "class Net(nn.Module):\n    def forward(self, x, mask=None):\n        return x * 2\n"
LINEAR = HEAD + (
    "class Net(nn.Module):\n    def __init__(self, width):\n        super().__init__()\n"
    "        self.fc = nn.Linear(width, 3)\n    def forward(self, x):\n        return self.fc(x)\n"
)
CONFIG = LINEAR.replace("self, width", "self, config").replace("(width", "(config.width")
USE = "import torch\nfrom torch import nn\nfrom torch.utils.data import DataLoader, Dataset\nfrom {module} import Net\n"
DATA = (
    "class Data(Dataset):\n    def __len__(self): return 9\n"
    "    def __getitem__(self, i): return {'x': torch.rand(5, 7), 'mask': torch.ones(5)}\n"
)
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """A probe silences logging in its own process; here that process is the tests'."""
    path, arguments = list(sys.path), list(sys.argv)
    yield
    logging.disable(logging.NOTSET)
    assert torch.get_default_dtype() is torch.float32
    assert (sys.path, sys.argv) == (path, arguments)


def report(tmp_path: Path, net: str, use: str = "", files: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The report of `Net` where `use` is the text of a script beside it."""
    name = f"net_{next(_numbers)}"
    path, script = tmp_path / f"{name}.py", tmp_path / "train.py"
    path.write_text(net, "utf-8")
    for other, text in (files or {}).items():
        (tmp_path / other).write_text(text, "utf-8")
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    text = use.replace("{module}", name)
    found = [*calls_in("Net", SourceText(net), str(path))]
    found += calls_in("Net", SourceText(text), str(script))
    classes, _ = find_classes(SourceText(net))
    pragmas = next(item for item in module_classes(classes, lambda base: False) if item.name == "Net").pragmas
    asked = ClassAsked("Net", 1, Pinned(dict(pragmas.init), dict(pragmas.inputs)), tuple(found))
    reports: list[Report] = []
    stages = ("example", "symbols")
    context = Context(str(path), str(tmp_path), net, vars(module), clock.now() + 40, stages=stages)
    report_class(module.Net, asked, context, reports.append)
    last = schema.write(reports[-1])
    assert schema.read(Report, last) == reports[-1]
    assert last["status"] == "ok", last["reason"]
    run = runs.from_report(module.Net, vars(module), reports[-1])
    run.call(run.build())
    return last


def dims(last: Mapping[str, Any]) -> dict[str, list[int]]:
    return {name: item["tensor"] for name, item in last["example"].items() if "tensor" in item}


@pytest.mark.parametrize(
    ("net", "use", "expected"),
    [
        (
            ANY,
            DATA + "m = Net()\nfor batch in DataLoader(Data(), 2):\n    m(**batch)\n",
            {"x": [2, 5, 7], "mask": [2, 5]},
        ),
        (
            ANY,
            DATA + "m = Net()\nfor batch in DataLoader(Data(), batch_size=2, num_workers=3, persistent_workers=True):\n"
            "    m(*batch.values())\n",
            {"x": [2, 5, 7], "mask": [2, 5]},
        ),
        (ANY, "from torchinfo import summary\nsummary(Net(), (1, 3, 5))\n", {"x": [1, 3, 5]}),
        (ANY, "from torchsummary import summary\nsummary(Net(), (3, 5))\n", {"x": [2, 3, 5]}),
        (ANY, "import torchinfo\ntorchinfo.summary(Net(), input_data=torch.rand(4, 5))\n", {"x": [4, 5]}),
        (
            LINEAR,
            "import argparse\np = argparse.ArgumentParser()\np.add_argument('--width', type=int, default=48)\n"
            "p.add_argument('--data', required=True)\np.add_argument('place')\nargs = p.parse_args()\n"
            "Net(args.width)(torch.rand(5, args.width))\n",
            {"x": [5, 48]},
        ),
        (LINEAR, "config = {'model': {'width': 24}}\nNet(**config['model'])\n", {"x": [2, 24]}),
        (CONFIG, "class C:\n    width = 33\nNet(C())\n", {"x": [2, 33]}),
        (CONFIG, "from settings_of_net import C\nc = C()\nc.width = 35\nNet(c)\n", {"x": [2, 35]}),
        (LINEAR, "Net('no number')\nNet(12)\n", {"x": [2, 12]}),
        (
            HEAD + "class Net(nn.Module):\n    @staticmethod\n    def forward(x):\n        return x * 2\n",
            "Net()(torch.rand(3, 7))\n",
            {"x": [3, 7]},
        ),
    ],
)
def test_the_code_of_other_files_decides(tmp_path: Path, net: str, use: str, expected: dict[str, list[int]]) -> None:
    settings = "import dataclasses\n@dataclasses.dataclass\nclass C:\n    width: int = 8\n"
    assert dims(report(tmp_path, net, USE + use, {"settings_of_net.py": settings})) == expected


DOUBTFUL = (
    "m = Net(10)\ntry:\n    m(torch.rand(3, 7))\nexcept RuntimeError:\n    pass\n",
    "m = Net(10)\nimport pytest\nwith pytest.raises(RuntimeError):\n    m(torch.rand(3, 7))\n",
    "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        with self.assertRaises(TypeError):\n"
    "            Net()\n",
    "m = Net(10)\nif sys.argv[1:]:\n    m(torch.rand(3, 7))\n",
    "m = Net(10)\nm.fc = nn.Linear(7, 3)\nm(torch.rand(3, 7))\n",
    "m = Net(10)\nsetattr(m, 'fc', nn.Linear(7, 3))\nm(torch.rand(3, 7))\n",
    "m = Net(10)\nadapted(m)\nm(torch.rand(3, 7))\n",
    "m = Net(10)\nm.add_module('fc', nn.Linear(7, 3))\nm(torch.rand(3, 7))\n",
    "m = Net(10).double()\nm(torch.rand(3, 10).double())\n",
    "m = Net(10).to(torch.float64)\nm(torch.rand(3, 10, dtype=torch.float64))\n",
    "m = Net(10)\nm.double()\nm(torch.rand(3, 10).double())\n",
    "m = torch.compile(Net(10))\nm(torch.rand(3, 7))\n",
    "def check(width):\n    m = Net(10)\n    m(torch.rand(3, width))\ncheck(7)\n",
    "def check(width=7):\n    return Net(10)(torch.rand(3, width))\n",
    "import argparse\np = argparse.ArgumentParser()\np.add_argument('--n', type=int, default=7)\n"
    "a = p.parse_args()\nNet(10)(torch.rand(3, a.n))\n",
    "found = Net(10)(torch.rand(3, 7)) if False else None\n",
    "import pytest\n@pytest.mark.xfail\ndef test():\n    Net(10)(torch.rand(3, 7))\n",
    "def never():\n    return\n    Net()\n",
    "nets = {'a': Net}\nnets['a'](10, 5)\n",
    "with torch.autocast('cpu'):\n    Net(10)(torch.rand(3, 10).bfloat16())\n",
    "torch.set_default_dtype(torch.float64)\nNet(10)(torch.rand(3, 10, dtype=torch.float64))\n",
    "m = Net(10)\ndef other():\n    global m\n    m = Net(7)\nother()\nm(torch.rand(3, 7))\n",
    "from torch import set_default_dtype\nset_default_dtype(torch.float64)\nNet(10)(torch.rand(3, 10).double())\n",
    "input_size = int(input())\nNet(10)(torch.rand(3, input_size))\n",
    "from sys import argv\nNet(10)(torch.rand(3, len(argv) + 3))\n",
    "class Net:\n    pass\nNet()\n",
)
"""Calls that may be right for reasons that are not the call's to show."""


def with_words(words: str, body: str = "self.c = nn.Conv2d(1, 4, 3)", parameter: str = "x") -> str:
    return HEAD + (
        f"class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        {body}\n"
        f'    def forward(self, {parameter}):\n        """{words}"""\n        return self.c(x)\n'
    )


EMBEDDED = LINEAR.replace("nn.Linear", "nn.Embedding")
COLUMNS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.day, self.shop = nn.Embedding(7, 4), nn.Embedding(100, 4)

    def forward(self, x):
        return torch.cat([self.day(x[:, 0]), self.shop(x[:, 1])], dim=1)
"""
"""Each column has a range of its own."""
HALVED = with_words("").replace("return self.c(x)", "return x + F.interpolate(F.max_pool2d(x, 2), scale_factor=2)")
HALVED = HALVED.replace("import torch\n", "import torch\nimport torch.nn.functional as F\n")
OTHER = "# ts-shape: x=(B, 1, H, W)\nclass Other(nn.Module):\n    pass\n\n"
"""A class above that pins a parameter of the same name."""


@pytest.mark.parametrize(
    ("net", "use", "path", "line", "words"),
    [
        (with_words("x: (B, 3, 28, 28)"), "", "net", 9, ["docstring", "(B, 3, 28, 28)", "(B, 1, H, W)"]),
        (with_words("x: (B, T, D)"), "", "net", 9, ["docstring", "(B, T, D)", "(B, 1, H, W)"]),
        (
            with_words("", parameter="x: Annotated[Tensor, 'b 3 h w']"),
            "",
            "net",
            8,
            ["annotation", "(b, 3, h, w)", "(b, 1, h, w)"],
        ),
        (
            with_words("").replace("class Net", "# ts-shape: x=(B, 3, H, W)\nclass Net"),
            "",
            "net",
            4,
            ["pragma", "(B, 3, H, W)", "(B, 1, H, W)"],
        ),
        (
            with_words("").replace("class Net", f"{OTHER}# ts-shape: x=(B, 3, H, W)\nclass Net"),
            "",
            "net",
            8,
            ["pragma", "(B, 3, H, W)", "(B, 1, H, W)"],
        ),
        (LINEAR, "m = Net(10)\nm(torch.rand(3, 7))\n", "train", 6, ["(3, 7)", "(B, 10)", "10, and is 7"]),
        (LINEAR, "input_tensor = torch.rand(3, 7)\nNet(10)(input_tensor)\n", "train", 6, ["10, and is 7"]),
        (LINEAR, "Net(10)(torch.ones(3, 10).long())\n", "train", 5, ["has to be float32, and is int64"]),
        (LINEAR, "Net(10)(torch.rand(3, 10).double())\n", "train", 5, ["has to be float32, and is float64"]),
        (
            LINEAR,
            "with torch.autocast('cpu'):\n    Net(10)(torch.rand(3, 10).double())\n",
            "train",
            6,
            ["has to be float32, and is float64"],
        ),
        (EMBEDDED, "Net(10)(torch.tensor([[3, 10]]))\n", "train", 5, ["values from 0 to 9, and 10"]),
        (EMBEDDED, "Net(10)(torch.tensor([[-1, 3]]))\n", "train", 5, ["values from 0 to 9, and -1"]),
        (COLUMNS, "Net()(torch.tensor([[3, 57], [1, 180]]))\n", "train", 5, ["index out of range"]),
        (HALVED, "Net()(torch.rand(1, 1, 9, 8))\n", "train", 5, ["a multiple of 2, and is 9"]),
        (with_words("", "self.c = nn.Conv2d(1, 4, 3)"), "Net()(torch.rand(1, 1, 2, 8))\n", "train", 5, ["3 at least"]),
        (LINEAR, "Net(10)\nNet(10, 5)\n", "train", 6, ["too many positional arguments"]),
        (LINEAR, "Net('no')\nNet(12)\n", "train", 5, ["constructor refuses"]),
        (
            with_words("", "self.c = nn.ReLU()", "x: Annotated[Tensor, 'b 3 h w']"),
            "Net()(torch.rand(1, 1, 8, 8))\n",
            "train",
            5,
            ["annotation", "(b, 3, h, w)", "(1, 1, 8, 8)"],
        ),
    ],
)
def test_a_contradiction_is_told_where_it_stands(
    tmp_path: Path, net: str, use: str, path: str, line: int, words: list[str]
) -> None:
    (wrong,) = report(tmp_path, net, USE + use if use else "")["mismatches"]
    said = {"annotation": "description-mismatch", "docstring": "description-mismatch", "pragma": "bad-pragma"}
    assert wrong["code"] == ("call-mismatch" if use else said[words[0]])
    assert Path(wrong["location"]["path"]).name.startswith(path)
    assert wrong["location"]["range"]["line"] == line
    for word in words:
        assert word in wrong["message"]


@pytest.mark.parametrize(
    ("net", "use"),
    [
        (with_words("x: (B, 1, 28, 28)"), ""),
        (with_words("x: (N, C, H, W)"), "Net()(torch.rand(2, 1, 9, 9))\n"),
        (with_words("", "self.c = nn.Linear(10, 2)"), "Net()(torch.rand(2, 5, 10))\nNet()(torch.rand(2, 10))\n"),
        (COLUMNS, "Net()(torch.tensor([[3, 57], [1, 80]]))\n"),
        *((LINEAR, f"Net(10)(torch.rand(2, 10))\n{doubtful}") for doubtful in DOUBTFUL),
    ],
)
def test_what_runs_is_no_contradiction(tmp_path: Path, net: str, use: str) -> None:
    assert report(tmp_path, net, USE + use if use else "")["mismatches"] == []


TWO = LINEAR.replace("self, width", "self, classes, width").replace("(width, 3", "(width, classes")
PARSER = (
    "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--width', type=int, default=36)\n"
    "args = parser.parse_args()\nwords = open('/nowhere/at/all').read()\n"
)


@pytest.mark.parametrize(
    ("net", "use", "expected"),
    [
        pytest.param(
            TWO,
            PARSER + "Net(len(words), args.width)\n",
            {"classes": (None, "guess"), "width": ("36", "call train.py:10")},
            id="an argument",
        ),
        pytest.param(
            CONFIG.replace("config.width, 3", "config.width, config.n_classes"),
            PARSER + "args.n_classes = len(words)\nNet(args)\n",
            {
                "config": (
                    "__import__('importlib').import_module('argparse').Namespace(width=36, n_classes=10)",
                    "call train.py:11, with a guess for n_classes",
                )
            },
            id="a setting",
        ),
    ],
)
def test_what_a_missing_file_costs(
    tmp_path: Path, net: str, use: str, expected: dict[str, tuple[str | None, str]]
) -> None:
    made = report(tmp_path, net, USE + use)["init"]["args"]
    for name, (expression, source) in expected.items():
        assert made[name]["from"] == source
        assert expression is None or made[name]["expr"] == expression


AROUND = HEAD + (
    "class Inner(nn.Module):\n    def __init__(self, features, hidden):\n        super().__init__()\n"
    "        self.first = nn.Linear(features, hidden)\n    def forward(self, x):\n        return self.first(x).relu()\n"
    "class Net(nn.Module):\n    def __init__(self, {name}, hidden):\n        super().__init__()\n"
    "        self.inner, self.last = {name}, nn.Linear(hidden, hidden)\n"
    "    def forward(self, x):\n        z = self.inner(x)\n        return z, self.last(z.mean(0, keepdim=True))\n"
)
SCRIPT = "from {module} import Inner\nfrom nowhere_at_all import Graphs\ndef main():\n    graphs = Graphs('words')\n"


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(
            "    device = torch.device('cuda')\n"
            "    inner = Inner(features=graphs.width, hidden=20).to(device)\n    net = Net(inner, 20).to(device)\n",
            id="made before",
        ),
        pytest.param("    net = Net(Inner(graphs.width, 20), hidden=20)\n", id="made in its place"),
        pytest.param(
            "    words = open('/nowhere/at/all').read()\n    width = max(len(words), 1)\n"
            "    inner = Inner(width, hidden=20)\n    inner.eval()\n    net = Net(inner, 20)\n",
            id="a number of a file",
        ),
    ],
)
@pytest.mark.parametrize("name", ["encoder", "backbone", "part"])
def test_the_module_that_a_script_passes_is_told_but_for_a_missing_number(tmp_path: Path, name: str, use: str) -> None:
    found = report(tmp_path, AROUND.format(name=name), USE + SCRIPT + use + "main()\n")
    (given,) = found["inputs"]
    assert found["init"]["args"][name]["from"].endswith("with a guess for features")
    assert (given["dims"][-1], [each["dims"][-1] for each in found["outputs"]]) == ("features", [20, 20])


def test_a_module_that_a_script_does_not_have_is_no_number(tmp_path: Path) -> None:
    outer = AROUND.format(name="encoder") + (
        "class Holder(nn.Module):\n    def __init__(self, body):\n        super().__init__()\n"
        "        self.body = body\n    def forward(self, x):\n        return self.body(x)\n"
    )
    use = "    words = open('/nowhere/at/all').read()\n    net = Net(Holder(words.body), 20)\n"
    found = report(tmp_path, outer, USE + SCRIPT.replace("Inner", "Holder") + use + "main()\n")
    assert found["init"]["args"]["encoder"]["from"] == "guess"


def test_words_give_names_and_calls_give_sizes(tmp_path: Path) -> None:
    net = with_words("x: (batch, time, 10)", "self.c = nn.Linear(10, 2)")
    (found,) = report(tmp_path, net, USE + "Net()(torch.rand(4, 6, 10))\n")["inputs"]
    assert (found["dims"], found["from"]) == (["batch", "time", 10], "call train.py:5")


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (
            "import time\ndef batches():\n    time.sleep(1000)\n    yield 1\nfor x in batches():\n    Net()(x)\n",
            "within 3 s",
        ),
        (
            "def batches():\n    while True: pass\n    yield 1\nfor x in batches():\n    Net()(x)\n",
            "was not waited for",
        ),
        ("def batches():\n    yield open('nowhere.bin')\nfor x in batches():\n    Net()(x)\n", "FileNotFoundError"),
    ],
)
def test_data_that_cannot_be_had_costs_a_sentence(tmp_path: Path, use: str, words: str) -> None:
    started = time.process_time()
    last = report(tmp_path, ANY, USE + use)
    (note,) = last["notes"]
    assert "batches()" in note and "train.py" in note and words in note
    assert time.process_time() - started < 20


def test_code_for_an_accelerator_gives_its_data_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr("ts_shape_server.agent.devices.pretend", lambda: asked.append(True))
    report(tmp_path, ANY, USE + "Net()(torch.rand(3, 4, device='cpu' or 'cuda'))\n")
    assert asked
