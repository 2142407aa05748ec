"""What is told where no input runs: the layer, its number and what arrives, and advice made from the class itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from inference_helpers import net, report
from torch import nn

from ts_shape_server.agent.infer.facts import checks
from ts_shape_server.agent.infer.facts.checks import Wanted
from ts_shape_server.agent.infer.guesses import first_tensors
from ts_shape_server.agent.infer.guesses.values import InputGuess
from ts_shape_server.agent.infer.running.spy import Wish
from ts_shape_server.agent.infer.tell import advice

NO_MULTIPLE = net(
    "self.c = nn.Conv2d(1, 32, 3, padding=1); self.fc = nn.Linear(1050, 10)",
    "return self.fc(F.max_pool2d(self.c(x), 4).flatten(1))",
)


def test_a_number_that_no_input_gives_is_told_with_what_arrives(tmp_path: Path) -> None:
    found = report(tmp_path, NO_MULTIPLE)
    assert (found["status"], found["reason"]["code"]) == ("failed", "shape-mismatch")
    assert all(word in found["reason"]["message"] for word in ("`fc`", "1050", "32"))


def test_what_is_certainly_passed_is_told_with_the_number_that_it_gives(tmp_path: Path) -> None:
    evidence = {
        "kind": "call",
        "path": str(tmp_path / "train.py"),
        "line": 2,
        "label": "call train.py:2",
        "setup": "",
        "init": {"args": [], "kwargs": {}},
        "inputs": {"args": ["torch.randn(4, 1, 28, 28)"], "kwargs": {}},
        "certain": "values",
    }
    found = report(tmp_path, NO_MULTIPLE, [evidence])
    sizes = found["reason"]["sizes"]
    assert (sizes["layer"], sizes["wanted"], sizes["got"]) == ("fc", 1050, 1568)


def test_a_reshape_that_is_missing_before_a_convolution_is_told_with_its_sizes(tmp_path: Path) -> None:
    evidence = {
        "kind": "call",
        "path": str(tmp_path / "sample.py"),
        "line": 2,
        "label": "call sample.py:2",
        "setup": "",
        "init": {"args": [], "kwargs": {}},
        "inputs": {"args": ["torch.randn(8, 10)"], "kwargs": {}},
        "certain": "values",
    }
    source = net("self.fc = nn.Linear(10, 6 * 7 * 7); self.c = nn.Conv2d(6, 4, 3)", "return self.c(self.fc(x))")
    found = report(tmp_path, source, [evidence])
    told = found["mismatches"][0]["message"]
    assert all(word in told for word in ("`c`", "`fc`", "(8, 294)", "6 x 7 x 7", ".view(-1, 6, 7, 7)"))


def test_a_number_that_some_input_gives_is_no_error(tmp_path: Path) -> None:
    assert report(tmp_path, NO_MULTIPLE.replace("1050", "1568"))["status"] == "ok"


@pytest.mark.parametrize(
    ("check", "wanted"),
    [
        ("assert t.dim() == 2", [Wanted("t", "rank", (2,))]),
        ("assert len(t.shape) in (1, 2)", [Wanted("t", "rank", (1, 2))]),
        ("if x.dtype is not torch.uint8: raise TypeError", [Wanted("x", "dtype", ("uint8",))]),
        ("assert x.is_complex() and y is not None", [Wanted("x", "dtype", ("complex64",)), Wanted("y", "given")]),
        ("if not isinstance(x, (list, Tensor)): raise TypeError", [Wanted("x", "kind", ("list",))]),
        ("assert x.dim() != 2", []),
        ("if x.dim() == 2: raise ValueError", []),
        ("assert self.ready", []),
    ],
)
def test_a_check_says_what_it_asks_for(check: str, wanted: list[Wanted]) -> None:
    assert list(checks.of_text(check)) == wanted


def test_advice_has_the_parameters_of_the_class_and_leaves_open_what_was_refused() -> None:
    inputs = (
        InputGuess("tokens", first_tensors.tensor(2, "int64")),
        InputGuess("image", first_tensors.tensor(4)),
        InputGuess("memory", first_tensors.tensor(4)),
        InputGuess("graph", first_tensors.tensor(4)),
    )
    comments = "`# ts-shape: tokens=(...) int64` and `# ts-shape: image=(...)` and `# ts-shape: memory=(B, L, 12)`"
    told = advice.for_inputs(inputs, {2: Wish(rank=3, axes={-1: 12})}, {"graph": ("edges",)})
    assert told.startswith("`graph` is an object with `edges`") and told.endswith(f"{comments}.")


def test_advice_for_a_constructor_leaves_out_what_is_known() -> None:
    class Net(nn.Module):
        def __init__(self, width: int, depth: int) -> None:
            super().__init__()

    assert advice.for_constructor(Net, ["width"]) == "`# ts-shape: init(depth=...)`"
    assert advice.for_constructor(Net, ["width", "depth"]) == ""


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (ModuleNotFoundError("No module named 'monai'", name="monai.nets"), "`monai`"),
        (FileNotFoundError(2, "No such file or directory", "small.yaml"), "`small.yaml`"),
        (PermissionError(1, "Operation not permitted"), "withheld"),
        (ConnectionRefusedError(), "network"),
        (RuntimeError("sizes"), ""),
    ],
)
def test_what_is_missing_outside_of_the_class_is_named(error: Exception, word: str) -> None:
    assert word in advice.missing(error) and bool(word) == bool(advice.missing(error))


@pytest.mark.parametrize(
    ("init", "forward", "words"),
    [
        pytest.param(
            "self.r = nn.LSTM(10, 20, num_layers=2, batch_first=True)",
            "h = torch.zeros(1, x.size(0), 20); return self.r(x, (h, h))[0]",
            ("`r`", "2 states", "gets 1"),
            id="a state of one layer for a layer of two",
        ),
        pytest.param(
            "self.r = nn.GRU(10, 20, batch_first=True)",
            "h = torch.zeros(1, x.size(0), 16); return self.r(x, h)[0]",
            ("`r`", "20 features in each state", "gets 16"),
            id="a state of other features",
        ),
        pytest.param(
            "self.r = nn.GRU(10, 20, batch_first=True)",
            "h = torch.zeros(1, x.size(0), 20); return self.r(x, (h, h))[0]",
            ("`r`", "`GRU`", "tuple", "`LSTM`"),
            id="a tuple of states for a layer that has one",
        ),
        pytest.param(
            "self.u = nn.ConvTranspose2d(16, 8, 2, 2); self.d = nn.Conv2d(3, 16, 3, 2, 1); "
            "self.o = nn.Conv2d(16, 1, 1)",
            "return self.o(torch.cat([self.u(self.d(x)), x], 1))",
            ("`o`", "16", "11"),
            id="a sum of channels in which the input's are fixed",
        ),
        pytest.param(
            "self.a = nn.Conv2d(8, 16, 3, padding=1); self.b = nn.Conv2d(16, 16, 3, padding=1)",
            "return x + self.b(self.a(x))",
            ("8", "16"),
            id="a residual of other channels",
        ),
    ],
)
def test_what_no_input_mends_is_told_as_a_mismatch(
    tmp_path: Path, init: str, forward: str, words: tuple[str, ...]
) -> None:
    found = report(tmp_path, net(init, forward))
    assert (found["status"], found["reason"]["code"]) == ("failed", "shape-mismatch")
    assert all(word in found["reason"]["message"] for word in words), found["reason"]["message"]


def test_what_an_input_may_mend_is_no_mismatch(tmp_path: Path) -> None:
    source = net("self.r = nn.GRU(10, 20)", "return self.r(x, h)[0]", "x, h")
    assert report(tmp_path, source)["status"] == "ok"
    guessed = net("self.f = nn.Conv2d(8, width, 1)", "return x + self.f(x)", arguments=", width")
    assert (report(tmp_path, guessed)["reason"] or {}).get("code") != "shape-mismatch"


def test_a_single_item_that_slips_through_does_not_hide_a_mismatch(tmp_path: Path) -> None:
    source = net(
        "self.e = nn.Embedding(90, 16); self.r = nn.LSTM(16, 20, bidirectional=True, batch_first=True); "
        "self.f = nn.Linear(20, 2)",
        "return self.f(self.r(self.e(ids))[0][:, -1])",
        "ids",
    )
    found = report(tmp_path, source)
    assert (found["status"], found["reason"]["code"]) == ("failed", "shape-mismatch")
    assert all(word in found["reason"]["message"] for word in ("`f`", "20", "40"))


TWO = "self.a = nn.Conv2d(3, 8, 3, padding=1); self.b = nn.Conv2d(8, 5, 3, padding=1)"
RECURRENT = "self.r = nn.GRU(10, 20, batch_first=True)"
STATE = "h = torch.zeros(1, x.size(0), 20)"


UNLIKE = "self.a = nn.Linear(8, 6); self.b = nn.Linear(5, 2)"


def test_a_layer_that_the_constructor_sets_by_way_of_a_method_is_the_one_that_is_meant(tmp_path: Path) -> None:
    source = net("self.a = nn.Linear(8, 6); self.make()", "return self.b(self.a(x))")
    source += "    def make(self):\n        self.b = nn.Linear(5, 2)\n"
    assert report(tmp_path, source)["status"] == "failed"


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(
            net(TWO, "y = self.b(self.a(x)); return x + y if residual else y", "x, residual=True"),
            id="a flag that leaves the sum out",
        ),
        pytest.param(
            net(TWO, "y = self.b(self.a(x)); return x * alpha + y if alpha > 0 else y", "x, alpha=1.0"), id="a number"
        ),
        pytest.param(
            net(
                TWO + "; self.flat = nn.Linear(12, 5)",
                "return self.flat(x) if x.dim() == 2 else x + self.b(self.a(x))",
            ),
            id="another number of dims",
        ),
        pytest.param(
            net(
                "self.r = (nn.GRU if kind == 'GRU' else nn.LSTM)(10, 20, batch_first=True)",
                STATE + "; return self.r(x, (h, h))[0]",
                arguments=", kind",
            ),
            id="a layer that is a guess",
        ),
        pytest.param(
            net(RECURRENT, STATE + "; return self.r(x, (h, h) if pair else h)[0]", "x, pair=True"), id="a state by flag"
        ),
        pytest.param(net(RECURRENT, "return self.r([x, x])[0]"), id="a list that is no state"),
        pytest.param(
            net(
                "self.c = nn.Conv1d(3, 16, 3); self.p = nn.AdaptiveAvgPool1d(4); self.f = nn.Linear(16, 7)",
                "return self.f(self.p(self.c(x)).transpose(0, 1))",
            ),
            id="a single signal",
        ),
        pytest.param(net(UNLIKE, "y = self.a(x); return y if self.training else self.b(y)"), id="only while trained"),
        pytest.param(
            net(TWO, "y = self.b(self.a(x)); return y if self.training else x + y"),
            id="a sum that is left out in training",
        ),
        pytest.param(
            net(UNLIKE, "return self.b(self.a(x))") + "    def adapt(self, n):\n        self.b = nn.Linear(n, 2)\n",
            id="a layer that a method replaces",
        ),
        pytest.param(
            net(UNLIKE, "return self.b(self.a(x))")
            + "    def adapt(self, name, n):\n        setattr(self, name, nn.Linear(n, 2))\n",
            id="layers that a method sets by name",
        ),
    ],
)
def test_what_runs_in_another_way_is_not_told_as_impossible(tmp_path: Path, source: str) -> None:
    found = report(tmp_path, source)
    assert found["status"] != "failed", found["reason"]
