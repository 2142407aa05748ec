"""Which call makes what a name holds: only where the text leaves no doubt."""

from __future__ import annotations

import pytest

from ts_shape_server.analysis.evidence import program_of
from ts_shape_server.analysis.instance_calls import by_parameter, instance_call, same_arguments
from ts_shape_server.analysis.modules import find_classes
from ts_shape_server.analysis.text import SourceText

HEAD = "import models\nfrom net import Net\n"


def check(text: str, expected: str | None) -> None:
    """What is known of the last `net` of a text."""
    whole = HEAD + text
    lines = whole.split("\n")
    line = next(number for number in range(len(lines), 0, -1) if "net" in lines[number - 1])
    program, imports = program_of(whole)
    found = instance_call(program, imports, "net", line)
    told = None if found is None else f"{found.class_name}{found.arguments.args}{dict(found.arguments.kwargs)}"
    assert told == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("net = Net(3, width=64)", "Net('3',){'width': '64'}"),
        ("net: Net = Net((1, 2), -1)", "Net('(1, 2)', '-1'){}"),
        ("net = models.Net()", "Net(){}"),
        ("net = Net(3).eval()\nnet(x)", "Net('3',){}"),
        ("net = Net(3)\ny = net(x)", "Net('3',){}"),
        ("def main():\n    net = Net(3)\n    net.eval()\n    return net(x)", "Net('3',){}"),
        ("if __name__ == '__main__':\n    net = Net(3)\n    net(x)", "Net('3',){}"),
        ("WIDTH = 7\nnet = Net(WIDTH)", "Net('7',){}"),
        ("class Own:\n    pass\nnet = Own(2)", "Own('2',){}"),
    ],
)
def test_the_call_behind_a_name(text: str, expected: str) -> None:
    check(text, expected)


@pytest.mark.parametrize(
    "text",
    [
        "net = Net(3)\nnet = Net(4)\nnet(x)",
        "if x:\n    net = Net(3)\nelse:\n    net = Net(4)\nnet(x)",
        "net = Net(3)\nnet.fc = other\nnet(x)",
        "net = Net(3)\nchange(net)\nnet(x)",
        "net = Net(3).half()\nnet(x)",
        "net = Net(size)",
        "net = Net(*sizes)",
        "net = Net(**sizes)",
        "WIDTH = 7\nWIDTH = 8\nnet = Net(WIDTH)",
        "WIDTH = 7\ndef main(WIDTH):\n    net = Net(WIDTH)",
        "WIDTH = 7\ndef wider():\n    global WIDTH\n    WIDTH = 8\nnet = Net(WIDTH)",
        "net = Net(3)\nys = [net(x) for net in nets]",
        "def made():\n    return Net(3)\nnet = made()",
        "def main(Net):\n    net = Net(3)",
        "Net = other\nnet = Net(3)",
        "other = Net(3)\nnet = other(x)",
        "net, other = Net(3), 4",
        "def main(net):\n    net(x)",
        "for net in Net(3):\n    pass",
        "class Own:\n    net = Net(3)",
    ],
)
def test_in_doubt_nothing_is_known(text: str) -> None:
    check(text, None)


CLASS = "class Net:\n    def __init__(self, {}):\n        pass\n"


@pytest.mark.parametrize(
    ("taken", "call", "expected"),
    [
        ("a, b=2", "Net(1)", {"a": "1"}),
        ("a, b=2", "Net(b=3, a=1)", {"a": "1", "b": "3"}),
        ("a, *, b=2", "Net(1, b=3)", {"a": "1", "b": "3"}),
        ("a, *, b=2", "Net(1, 3)", None),
        ("a, b=2", "Net(1, a=2)", None),
        ("a, b=2", "Net(1, c=2)", None),
        ("a, b=2", "Net()", None),
        ("a, *rest, **more", "Net(1)", {"a": "1"}),
        ("a, *rest, **more", "Net(1, 2)", None),
        ("a, *rest, **more", "Net(1, c=2)", None),
    ],
)
def test_arguments_go_to_parameters_as_python_has_it(taken: str, call: str, expected: dict[str, str] | None) -> None:
    (declared,) = find_classes(SourceText(CLASS.format(taken)))[0].classes
    program, imports = program_of(f"{HEAD}net = {call}")
    found = instance_call(program, imports, "net", 3)
    assert declared.init is not None and found is not None
    assert by_parameter(declared.init, found.arguments) == expected


def test_arguments_are_the_same_however_they_are_written() -> None:
    assert same_arguments({"a": "(1,2)", "b": "'x'"}, {"b": '"x"', "a": "(1, 2)"})
    assert same_arguments({}, {})
    assert not same_arguments({"a": "1"}, {"a": "2"})
    assert not same_arguments({"a": "1"}, {})
    assert not same_arguments({"a": "size"}, {"a": "size"})
