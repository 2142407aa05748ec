"""Calls and loaders give slices that run on their own and give what the code would have given."""

from typing import Any

import pytest

from ts_shape_server.analysis.evidence import CallEvidence, calls_of
from ts_shape_server.analysis.text import SourceText

HEAD = """from net import Net as N
import net
SIZE = 4
def loader():
    for i in range(3):
        yield [i, SIZE], 'label'
"""


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
            "class Trainer:\n    def __init__(self):\n        self.model = N()\n        self.model([1, 2])\n",
            "call",
            [[1, 2]],
        ),
    ],
)
def test_inputs_come_from(code: str, kind: str, expected: list[Any]) -> None:
    found = [item for item in calls_of("Net", SourceText(HEAD + code), "/w/train.py") if item.inputs is not None]
    assert [item.kind for item in found] == [kind]
    assert evaluated(found[0])[0] == expected
    assert "train_for_ever" not in found[0].setup


def test_the_label_names_the_loader_and_the_place() -> None:
    found = calls_of("Net", SourceText(HEAD + "m = N()\nfor x, y in loader():\n    m(x)\n"), "/w/train.py")
    assert [item.label for item in found] == ["call train.py:7", "loader loader() train.py:9"]


@pytest.mark.parametrize(
    "code",
    [
        "def run(x):\n    m = N()\n    return m(x)\n",
        "m = N()\nargs = [1]\nm(*args)\n",
        "m = other()\nm([1])\n",
    ],
)
def test_what_cannot_be_known_is_no_evidence(code: str) -> None:
    assert [item for item in calls_of("Net", SourceText(HEAD + code), "/w/train.py") if item.inputs is not None] == []


def test_constructor_arguments_are_kept_by_name() -> None:
    (found,) = calls_of("Net", SourceText("from net import Net\nmodel = Net(3, embedding_dim=32)\n"), "/w/train.py")
    assert found.init is not None
    assert (found.init.args, found.init.kwargs) == (("3",), (("embedding_dim", "32"),))
