"""A module that runs only once it is converted says by which call."""

from __future__ import annotations

from pathlib import Path

from inference_helpers import net, report

from ts_shape_server.agent import torch_says


def test_a_state_of_double_precision_asks_for_a_converted_module(tmp_path: Path) -> None:
    source = net(
        "self.r = nn.LSTMCell(1, 8)",
        "h = torch.zeros(x.size(0), 8, dtype=torch.double); c = torch.zeros(x.size(0), 8, dtype=torch.double); "
        "return torch.cat([self.r(part, (h, c))[0] for part in x.split(1, dim=1)], 1)",
    )
    reason = report(tmp_path, source)["reason"]
    assert reason["kind"] == "runs-converted"
    assert ".double()" in reason["message"] and "float64" in reason["message"]


def test_an_assertion_without_words_is_told_by_its_line() -> None:
    try:
        assert 1 + 1 == 3
    except AssertionError as error:
        error.args = ()
        assert torch_says.one_line(error) == "AssertionError: `assert 1 + 1 == 3`"


def test_no_message_names_what_stands_in_for_a_package() -> None:
    error = TypeError("can only concatenate str (not 'ts_shape_server.agent.standins.Inert') to str")
    assert "Inert" not in torch_says.one_line(error)
    assert "package that is not installed" in torch_says.one_line(error)


def test_a_module_of_two_dtypes_is_not_told_to_be_converted(tmp_path: Path) -> None:
    source = net("self.a = nn.Linear(8, 8).double(); self.b = nn.Linear(8, 4)", "return self.b(self.a(x))")
    assert report(tmp_path, source)["reason"]["kind"] != "runs-converted"
