"""Calls and loaders give slices that run on their own and give what the code would have given."""

from pathlib import Path
from typing import Any

import pytest
from evidence_helpers import calls_in

from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.asked import CallArguments, CallEvidence

HEAD = """from net import Net as N
import net
SIZE = 4
def loader():
    for i in range(3):
        yield [i, SIZE], 'label'
"""


def test_the_starting_file_gives_its_loader() -> None:
    path = Path(__file__).parents[2] / "workspaces" / "start" / "my_model.py"
    text = path.read_text("utf-8")
    (found,) = [item for item in calls_in("MyModel", SourceText(text), str(path)) if item.inputs is not None]
    assert (found.kind, found.label) == ("loader", "loader mock_dataloader() my_model.py:22")
    assert found.inputs == CallArguments(("data",), ())
    assert found.setup == (
        "import torch\ndef mock_dataloader():\n    for _ in range(8):\n        yield torch.randn(3, 10)\n"
        "for data in mock_dataloader():\n    break"
    )


def evaluated(item: CallEvidence) -> tuple[list[Any], dict[str, Any]]:
    namespace: dict[str, Any] = {}
    exec(item.setup.replace("from net import Net as N", "").replace("import net", ""), namespace)
    assert item.inputs is not None
    return [eval(text, namespace) for text in item.inputs.args], {k: eval(v, namespace) for k, v in item.inputs.kwargs}


@pytest.mark.parametrize(
    ("code", "kind", "expected"),
    [
        ("m = N()\nfor x, y in loader():\n    m(x)\n    train_for_ever()\n", "loader", [[0, 4]]),
        ("m = net.Net().eval()\nfor i, (x, y) in enumerate(loader()):\n    m(x)\n", "loader", [[0, 4]]),
        ("m = N()\nx, _ = next(iter(loader()))\nm(x)\n", "loader", [[0, 4]]),
        ("m = N()\nx = [SIZE] * 2\nprint(m(x))\n", "call", [[4, 4]]),
        ("def test_it():\n    m = N().to('cpu')\n    size = SIZE + 1\n    out = m([size])\n", "call", [[5]]),
        ("def run(n=3):\n    m = N()\n    return m([n])\n", "call", [[3]]),
        ("if __name__ == '__main__':\n    m = N()\n    x = [1]\n    m.forward(x)\n", "call", [[1]]),
        ("import torch\nm = N()\ntorch.jit.trace(m, ([1], [2]))\n", "trace", [[1], [2]]),
        ("N()([7])\n", "call", [[7]]),
        (
            "m = N()\nfor epoch in range(2):\n    for i, data in enumerate(loader(), 0):\n        x, y = data\n"
            "        m(x)\n",
            "loader",
            [[0, 4]],
        ),
        ("m = N()\nout = [m(x) for x, _ in loader()]\n", "loader", [[0, 4]]),
        ("m = N()\nfor n in (5, 6):\n    m([n])\n", "call", [[5]]),
        ("m = N()\ninput = [3]\nm(input)\n", "call", [[3]]),
        ("m = N()\nx = {}\nx['a'] = SIZE\nm(x)\n", "call", [{"a": 4}]),
        ("m = N()\nx = []\nfor i in range(3):\n    x.append(i)\n    train_for_ever()\nm(x)\n", "call", [[0, 1, 2]]),
        ("m = N()\nif SIZE:\n    x = 1\n    train_for_ever()\nelse:\n    x = 2\nm([x])\n", "call", [[1]]),
        ("x = train_for_ever\nm = N()\nx = 2\nm([x])\n", "call", [[2]]),
        (
            "def train(model, data):\n    for x, y in data:\n        model(x)\n\n"
            "if __name__ == '__main__':\n    net = N()\n    train(net, loader())\n",
            "loader",
            [[0, 4]],
        ),
        (
            "def run():\n    m = N()\n    m([size])\nif __name__ == '__main__':\n    size = 7\n    run()\n",
            "call",
            [[7]],
        ),
        ("def swap(a, b):\n    m = N()\n    m(a)\na, b = 1, 2\nswap(b, a)\n", "call", [2]),
        ("def build():\n    net = N()\n    return net\nm = build()\nm([1])\n", "call", [[1]]),
        ("def build():\n    return N(), 3\nm, _ = build()\nm([1])\n", "call", [[1]]),
        ("def check(m: N, x=3):\n    m([x])\n", "call", [[3]]),
        ("m = nn.DataParallel(N()).cuda()\nm([1])\n", "call", [[1]]),
        (
            "class T:\n    def setUp(self):\n        self.m = N()\n    def test(self):\n        self.m([8])\n",
            "call",
            [[8]],
        ),
        (
            "import pytest\n@pytest.mark.parametrize('n, k', [(1, 2), (3, 4)])\ndef test(n, k):\n    N()([n, k])\n",
            "call",
            [[1, 2]],
        ),
        (
            "import pytest\n@pytest.fixture\ndef m():\n    return N()\n"
            "@pytest.fixture\ndef x(size):\n    yield [size]\n"
            "@pytest.fixture()\ndef size():\n    return 9\ndef test(m, x):\n    m(x)\n",
            "call",
            [[9]],
        ),
        (
            "import argparse\np = argparse.ArgumentParser()\np.add_argument('--n', type=int, default=6)\n"
            "args = p.parse_args()\nm = N()\nm([args.n])\n",
            "call",
            [[6]],
        ),
        ("m = N()\nargs = ([1], [2])\nm(*args)\n", "call", [[1], [2]]),
        ("import torch\nexample = ([1], [2])\ntorch.jit.trace(N(), example)\n", "trace", [[1], [2]]),
        ("import torch\ntorch.jit.trace(N(), example_inputs=([1],))\n", "trace", [[1]]),
        ("import torch\ntorch.jit.trace_module(N(), {'forward': [1]})\n", "trace", [[1]]),
        ("from torch import onnx\nonnx.export(N(), [1], 'f.onnx')\n", "export", [[1]]),
        ("writer.add_graph(N(), [1])\n", "call", [[1]]),
        ("with open_it() as f:\n    m = N()\n    with noted():\n        m([2])\n", "call", [[2]]),
        ("def f(x: Unknown) -> Missing:\n    return [x]\nm = N()\ny: Missing = f(1)\nm(y)\n", "call", [[1]]),
        ("match SIZE:\n    case 4:\n        m = N()\n        m([4])\n", "call", [[4]]),
        ("m = N()\nx = [1]\nx = m(x)\nloss.backward()\n", "call", [[1]]),
        (
            "class Trainer:\n    def __init__(self, model, data, size=3):\n        self.model = model.to('cpu')\n"
            "        self.data = data\n        self.size = size\n"
            "    def fit(self):\n        for x, y in tqdm(self.data):\n"
            "            self.model(x, self.size)\nTrainer(N(), loader()).fit()\n",
            "loader",
            [[0, 4], 3],
        ),
        ("class Trainer:\n    def fit(self):\n        m = N()\n        m([self.width() for _ in '1'])\n", "", []),
        (
            "def main():\n    if SIZE:\n        d = 1\n    else:\n        d = 2\n    m = N()\n    m([d])\n",
            "call",
            [[1]],
        ),
        (
            "class Trainer:\n    def __init__(self):\n        self.model = N()\n        self.model([1, 2])\n",
            "call",
            [[1, 2]],
        ),
    ],
)
def test_inputs_come_from(code: str, kind: str, expected: list[Any]) -> None:
    found = [item for item in calls_in("Net", SourceText(HEAD + code), "/w/train.py") if item.inputs is not None]
    assert [item.kind for item in found] == kind.split()
    if not found:
        return
    assert evaluated(found[0])[0] == expected
    assert "train_for_ever" not in found[0].setup


def test_the_label_names_the_loader_and_the_place() -> None:
    found = calls_in("Net", SourceText(HEAD + "m = N()\nfor x, y in loader():\n    m(x)\n"), "/w/train.py")
    assert [item.label for item in found] == ["call train.py:7", "loader loader() train.py:9"]


@pytest.mark.parametrize(
    "code",
    [
        "def run(x):\n    m = N()\n    return m(x)\n",
        "m = N()\nargs = make()\nm(*args)\n",
        "m = N()\nm(not_there)\n",
        "async def f():\n    m = N()\n    x = await g()\n    m(x)\n",
        "def run(m):\n    m([1])\n",
        "from elsewhere import anything\nanything.export(N(), 'path')\n",
        "m = N()\nm = 3\nm([1])\n",
        "m = other()\nm([1])\n",
    ],
)
def test_what_cannot_be_known_is_no_evidence(code: str) -> None:
    assert [item for item in calls_in("Net", SourceText(HEAD + code), "/w/train.py") if item.inputs is not None] == []


def test_constructor_arguments_are_kept_by_name() -> None:
    (found,) = calls_in("Net", SourceText("from net import Net\nmodel = Net(3, embedding_dim=32)\n"), "/w/train.py")
    assert found.init is not None
    assert (found.init.args, found.init.kwargs) == (("3",), (("embedding_dim", "32"),))


def check_constructions(code: str, expected: list[tuple[tuple[str, ...], dict[str, str]]]) -> None:
    found = [item.init for item in calls_in("Net", SourceText(code), "/w/train.py") if item.kind == "constructor"]
    assert [(item.args, dict(item.kwargs)) for item in found if item is not None] == expected


def test_constructor_arguments_may_be_unpacked() -> None:
    check_constructions("from net import Net\nc = {'a': 1}\nNet(**c)\n", [((), {"a": "c['a']"})])
    check_constructions("from net import Net\nNet(**dict(a=1), b=2)\n", [((), {"a": "1", "b": "2"})])
    check_constructions("from net import Net\nNet(**load())\n", [])


def test_an_object_is_spelled_by_its_own_construction() -> None:
    head = "from net import Net, Config, Part\n"
    check_constructions(head + "n = 3\nc = Config(n, k=Part())\nNet(c)\n", [(("Config(n, k=Part())",), {})])
    check_constructions(head + "c = Config()\nc.n = 4\nNet(config=c)\n", [((), {"config": "c"})])
    check_constructions(head + "p = Part()\nc = Config(p)\nNet(c)\n", [(("Config(Part())",), {})])


def test_a_call_brings_the_construction_it_belongs_to_where_there_are_several() -> None:
    code = "from net import Net\na = Net(1)\nb = Net(2)\na([1])\nb([2])\n"
    found = [item for item in calls_in("Net", SourceText(code), "/w/train.py") if item.inputs is not None]
    assert [item.init.args for item in found if item.init is not None] == [("1",), ("2",)]


def test_the_example_of_a_lightning_module_is_evidence() -> None:
    code = "class Net(LightningModule):\n    def __init__(self, n=3):\n        self.example_input_array = [n]\n"
    (found,) = calls_in("Net", SourceText(code), "/w/net.py")
    assert (found.kind, found.label, evaluated(found)[0]) == ("annotation", "example_input_array net.py:3", [[3]])


def test_loaders_have_no_worker_processes() -> None:
    code = HEAD + "m = N()\nd = DataLoader(SIZE, batch_size=2, num_workers=8, pin_memory=True)\nfor x in d:\n    m(x)\n"
    code = "from torch.utils.data import DataLoader\n" + code
    (found,) = [item for item in calls_in("Net", SourceText(code), "/w/train.py") if item.inputs is not None]
    assert "DataLoader(SIZE, batch_size=2)" in found.setup
