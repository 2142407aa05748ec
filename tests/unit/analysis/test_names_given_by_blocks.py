"""A name that a loop or a ``with`` gives to something holds no object of an assignment before."""

from __future__ import annotations

import pytest

from ts_shape_server.analysis.evidence import program_of
from ts_shape_server.analysis.instance_calls import instance_call

HEAD = "from net import Net\nnet = Net(4)\n"


@pytest.mark.parametrize(
    ("block", "line", "call"),
    [
        ("def use():\n    with other() as net:\n        net(x)\n", 5, None),
        ("def use():\n    for net in others:\n        net(x)\n", 5, None),
        ("with other() as other:\n    net(x)\n", 4, "Net(4)"),
    ],
)
def test_the_object_of_a_name(block: str, line: int, call: str | None) -> None:
    program, imports = program_of(HEAD + block)
    found = instance_call(program, imports, "net", line)
    assert (None if found is None else found.text) == call
