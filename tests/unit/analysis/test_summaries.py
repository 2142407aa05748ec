"""Summaries say the sizes of inputs, with a batch or without; unpacked calls keep their stars."""

import pytest
from evidence_helpers import calls_in

from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.asked import CallArguments
from ts_shape_server.contract.places import Range

ZEROS = "__import__('torch').zeros(({}))"


def check(code: str, expected: list[tuple[str, ...]]) -> None:
    found = calls_in("Net", SourceText(f"from net import Net\nm = Net()\n{code}"), "/w/train.py")
    assert [item.inputs.args for item in found if item.inputs is not None] == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from torchsummary import summary\nsummary(m, (3, 8, 8))", [(ZEROS.format("2, *(3, 8, 8)"),)]),
        ("from torchinfo import summary\nsummary(m, (1, 3, 8, 8))", [(ZEROS.format("*(1, 3, 8, 8),"),)]),
        ("import torchinfo as t\nt.summary(m, input_size=(1, 3))", [(ZEROS.format("*(1, 3),"),)]),
        (
            "import torchinfo\ntorchinfo.summary(m, [(1, 3), (1, 4)], dtypes=[f, i])",
            [(ZEROS.format("*(1, 3),") + ".to(f)", ZEROS.format("*(1, 4),") + ".to(i)")],
        ),
        ("import torchinfo\ntorchinfo.summary(m, input_data=[a, b])", [("a", "b")]),
        (
            "from ptflops import get_model_complexity_info\nget_model_complexity_info(m, (3, 8))",
            [(ZEROS.format("2, *(3, 8)"),)],
        ),
        ("from torchinfo import summary\nsummary(m)", []),
        ("from torchinfo import summary\nsummary(other, (1, 3))", []),
        ("def summary(a, b): pass\nsummary(m, (1, 3))", []),
        ("from torchinfo import summary\nsummary()", []),
    ],
)
def test_a_summary_gives_inputs(code: str, expected: list[tuple[str, ...]]) -> None:
    names = "a = b = f = i = other = 1\n"
    check(names + code + "\n", expected)


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("m(*batch)", CallArguments(("*batch",), ())),
        ("m(1, **batch)", CallArguments(("1",), (("**", "batch"),))),
        ("m(*batch, k=2, **batch)", CallArguments(("*batch",), (("k", "2"), ("**1", "batch")))),
    ],
)
def test_what_the_text_does_not_show_stays_unpacked(call: str, arguments: CallArguments) -> None:
    source = SourceText(f"from net import Net\nfrom data import batch\nm = Net()\n{call}\n")
    (found,) = [item for item in calls_in("Net", source, "/w/train.py") if item.inputs is not None]
    assert (found.inputs, found.setup) == (arguments, "from data import batch")
    assert found.range == Range(4, 0, 4, len(call))
