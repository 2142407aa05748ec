"""What goes in and what comes out, found from the class alone.

Each case is the text of a class `Net`, the dims that its inputs must have, and those of its output.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from inference_helpers import HEADER, check, dims_of, net, report

from ts_shape_server.agent.infer import solve
from ts_shape_server.agent.infer.running import instances, symbolic
from ts_shape_server.agent.infer.tell import init


@pytest.mark.parametrize(
    ("source", "inputs", "output"),
    [
        (net("self.f = nn.Linear(10, 5)", "return self.f(x)"), {"x": ["B", 10]}, ["B", 5]),
        (net("self.c = nn.Conv1d(6, 8, 3, padding=1)", "return self.c(x)"), {"x": ["B", 6, "L"]}, ["B", 8, "L"]),
        (
            net("self.c = nn.Conv3d(2, 8, 1)", "return self.c(x)"),
            {"x": ["B", 2, "T", "H", "W"]},
            ["B", 8, "T", "H", "W"],
        ),
        (net("self.n = nn.BatchNorm1d(9)", "return self.n(x)"), {"x": ["B", 9]}, ["B", 9]),
        (net("self.r = nn.LSTM(12, 7)", "return self.r(x)[0]"), {"x": ["L", "B", 12]}, ["L", "B", 7]),
        (
            net("self.e = nn.Embedding(50, 8); self.f = nn.Linear(48, 3)", "return self.f(self.e(x).flatten(1))"),
            {"x": ["B", 6]},
            ["B", 3],
        ),
        (net("pass", "b, t, d = x.shape; return x.reshape(b, t * d)"), {"x": ["b", "t", "d"]}, ["b", "t*d"]),
        (net("pass", "return x.permute(0, 2, 1)"), {"x": ["B", "L", "D"]}, ["B", "D", "L"]),
        (net("pass", "return torch.cat([a, b], 1)", "a, b"), {"a": ["B", "C", "H", "W"]}, ["B", "C + C2", "H", "W"]),
        (
            net("pass", "return torch.bmm(torch.bmm(q, k.transpose(1, 2)), v)", "q, k, v"),
            {"q": ["B", "L", "D"], "k": ["B", "L2", "D"], "v": ["B", "L2", "D2"]},
            ["B", "L", "D2"],
        ),
        (
            net("pass", "return torch.bmm(a, b)", "a, b"),
            {"a": ["B", "L", "D"], "b": ["B", "D", "D2"]},
            ["B", "L", "D2"],
        ),
        (net("pass", "return x.masked_fill(mask, 0.0)", "x, mask"), {}, ["B", "C", "H", "W"]),
        (
            net(
                "self.f = nn.Linear(8, 4)",
                "source, target = edge_index; return torch.zeros(x.size(0), 4).index_add(0, target, self.f(x)[source])",
                "x, edge_index",
            ),
            {"x": ["B", 8], "edge_index": [2, "E"]},
            ["B", 4],
        ),
        (
            net("self.f = nn.Linear(4, 2)", "return [self.f(i) for i in x][0]", "x: List[Tensor]"),
            {"x": "List[Tensor]"},
            ["L", 2],
        ),
        (
            net("self.f = nn.Linear(4, 2)", "return self.f(x['a']) + self.f(x['b'])"),
            {"x": "Dict[str, Tensor]"},
            ["B", 2],
        ),
        (net("self.f = nn.Linear(4, 2)", "a, b = x; return self.f(a + b)"), {"x": "Tuple[Tensor, Tensor]"}, None),
        (net("self.f = nn.Linear(4, 4)", "for _ in range(n): x = self.f(x); return x", "x, n"), {"n": "int"}, ["B", 4]),
        (net("self.f = nn.Linear(4, 2)", "return self.f(x)", "x: Optional[Tensor]"), {"x": ["B", 4]}, ["B", 2]),
    ],
)
def test_the_input_of(tmp_path: Path, source: str, inputs: dict[str, Any], output: Any) -> None:
    if output is None:
        assert report(tmp_path, source)["status"] == "ok"
    else:
        check(tmp_path, source, inputs, output)


@pytest.mark.parametrize(
    ("source", "inputs", "output"),
    [
        (
            "    def forward(x):\n        return x * torch.sigmoid(x)\n",
            {"x": ["B", "C", "H", "W"]},
            ["B", "C", "H", "W"],
        ),
        (
            "    def forward(x, y):\n        b, t, d = y.shape\n        return x * y\n",
            {"y": ["b", "t", "d"]},
            ["b", "t", "d"],
        ),
        ("    def forward(*, x):\n        b, t = x.shape\n        return x.relu()\n", {"x": ["b", "t"]}, ["b", "t"]),
    ],
)
def test_a_static_forward_takes_all_of_its_parameters(
    tmp_path: Path, source: str, inputs: dict[str, Any], output: Any
) -> None:
    check(tmp_path, f"class Net(nn.Module):\n    @staticmethod\n{source}", inputs, output)


CNN = net(
    "self.c = nn.Conv2d(3, 16, 3, padding=1); self.p = nn.MaxPool2d(2); self.f = nn.Linear(16 * 14 * 14, 10)",
    "return self.f(self.p(self.c(x)).view(-1, 16 * 14 * 14))",
)


def test_a_view_states_the_size_of_the_image_and_keeps_the_batch(tmp_path: Path) -> None:
    found = check(tmp_path, CNN, {"x": ["B", 3, "H", "W"]}, ["B", 10])
    assert found["constraints"] == ["16*(H//2)*(W//2) == 3136"]
    assert found["example"]["x"]["tensor"][2:] == [28, 28]
    assert (found["symbols"]["H"]["min"], found["symbols"]["H"]["max"]) == (28, 29)
    assert [item["dims"] for item in found["variables"] if item["name"] == "x"] == [["B", 3, "H", "W"]]


@pytest.mark.parametrize(
    ("sizes", "output"),
    [
        ("int(x.shape[2]) // 8, int(x.shape[3]) // 8", ["B", "H//8", "W//8"]),
        ("int(x.shape[3]) // 32, 5", ["B", "W//32", 5]),
        ("int(x.shape[2]) * int(x.shape[2]) % 11 + 1, 5", ["B", "?", 5]),
    ],
)
def test_a_size_that_torch_does_not_follow_is_told_by_what_moves_it(
    tmp_path: Path, sizes: str, output: list[Any]
) -> None:
    source = net("self.c = nn.Conv2d(3, 4, 1)", f"return self.c(x).new_zeros(x.shape[0], {sizes})")
    check(tmp_path, source, {"x": ["B", 3, "H", "W"]}, output)


def test_what_is_indexed_is_at_least_as_long_as_the_index(tmp_path: Path) -> None:
    source = net("self.f = nn.Linear(6, 6)", "b, t, d = x.shape; return self.f(x)[:, torch.tensor([0, 4])]")
    found = check(tmp_path, source, {"x": ["b", "t", 6]}, ["b", 2, 6])
    assert found["symbols"]["t"]["min"] == 5


def test_a_table_that_is_indexed_by_position_bounds_the_length(tmp_path: Path) -> None:
    source = net(
        "self.e = nn.Embedding(90, 6); self.p = nn.Embedding(30, 6)",
        "return self.e(ids) + self.p(torch.arange(ids.size(1)))",
        "ids",
    )
    found = check(tmp_path, source, {"ids": ["B", "L"]}, ["B", "L", 6])
    assert found["symbols"]["L"]["max"] == 30


def test_three_inputs_that_only_move_together_share_a_name(tmp_path: Path) -> None:
    source = net(
        "self.f = nn.Linear(6, 6)",
        "assert q.size(0) == k.size(0) == v.size(0); return torch.cat([self.f(q), self.f(k), self.f(v)], 1)",
        "q, k, v",
    )
    found = report(tmp_path, source)
    assert [item["dims"][0] for item in found["inputs"]] == ["B", "B", "B"]


def test_skip_connections_state_a_divisor(tmp_path: Path) -> None:
    source = net(
        "self.d = nn.Conv2d(3, 8, 2, 2); self.e = nn.Conv2d(8, 8, 2, 2); self.u = nn.Upsample(scale_factor=2)",
        "a = self.d(x); return torch.cat([a, self.u(self.e(a))], 1)",
    )
    found = report(tmp_path, source)
    assert found["symbols"]["H"]["multiple_of"] in (2, 4)


def test_a_table_of_positions_bounds_the_length(tmp_path: Path) -> None:
    source = net(
        "self.e = nn.Embedding(100, 8); self.p = nn.Parameter(torch.zeros(1, 40, 8))",
        "return self.e(ids) + self.p[:, : ids.shape[1]]",
        "ids",
    )
    found = report(tmp_path, source)
    assert found["symbols"]["L"]["max"] == 40
    assert found["inputs"][0]["values"] == {"min": 0, "max": 99}


def test_items_of_a_list_may_differ_and_their_count_is_named(tmp_path: Path) -> None:
    source = net(
        "self.e = nn.Embedding(100, 8)",
        "return nn.utils.rnn.pad_sequence([self.e(i) for i in x], batch_first=True).sum(1)",
        "x: List[Tensor]",
    )
    found = check(tmp_path, source, {"x": [["L"]]}, ["N", 8])
    assert found["inputs"][0]["varies"] == ["L"]
    lengths = [item["tensor"] for item in found["example"]["x"]["list"]]
    assert lengths[0] != lengths[1]


def test_dims_follow_the_constructor_argument_that_makes_them(tmp_path: Path) -> None:
    source = net("self.f = nn.Linear(width, 3)", "return self.f(x)", arguments=", width")
    found = check(tmp_path, source, {"x": ["B", "width"]}, ["B", 3])
    assert found["symbols"]["width"]["min"] == found["symbols"]["width"]["max"]


def test_sizes_of_the_constructor_that_disagree_are_made_to_agree(tmp_path: Path) -> None:
    source = net(
        "self.a = nn.Conv2d(inplanes, planes, 1); self.b = nn.Conv2d(planes, 4 * planes, 1)",
        "return self.b(self.a(x)) + x",
        arguments=", inplanes, planes",
    )
    found = report(tmp_path, source)
    assert found["status"] == "ok"
    sizes = {name: int(item["expr"]) for name, item in found["init"]["args"].items()}
    assert sizes["inplanes"] == 4 * sizes["planes"]


def test_two_layers_that_cannot_fit_are_a_mismatch_at_the_second_call(tmp_path: Path) -> None:
    source = net("self.a = nn.Conv2d(3, 16, 3); self.b = nn.Conv2d(32, 64, 3)", "x = self.a(x); return self.b(x)")
    found = report(tmp_path, source)
    assert (found["status"], found["reason"]["code"]) == ("failed", "shape-mismatch")
    assert "`b` takes 32" in found["reason"]["message"] and "`a` gives 16" in found["reason"]["message"]
    span = found["reason"]["location"]["range"]
    line = (HEADER + source).splitlines()[span["line"] - 1]
    assert line[span["column"] : span["end_column"]] == "self.b(x)"
    assert len(found["reason"]["related"]) == 2


def test_what_is_not_found_says_what_would_help(tmp_path: Path) -> None:
    found = report(tmp_path, net("pass", "raise RuntimeError('never')"))
    assert found["status"] == "unresolved"
    assert "# ts-shape: x=" in found["reason"]["message"]


def test_a_pragma_decides(tmp_path: Path) -> None:
    found = report(tmp_path, net("pass", "return x * 2"), inputs={"x": "(B, 7) int64"})
    assert found["inputs"][0]["from"] == "pragma"
    assert found["example"]["x"]["tensor"][1] == 7
    assert found["example"]["x"]["dtype"] == "int64"


def test_a_loaders_item_is_the_example(tmp_path: Path) -> None:
    evidence = {
        "kind": "loader",
        "path": "train.py",
        "line": 9,
        "label": "loader batches() train.py:9",
        "setup": "def batches():\n    yield torch.randn(3, 10)\nfor data in batches():\n    break",
        "init": None,
        "inputs": {"args": ["data"], "kwargs": {}},
    }
    found = report(tmp_path, net("self.f = nn.Linear(10, 5)", "return self.f(x)"), [evidence])
    assert found["example"]["x"]["tensor"] == [3, 10]
    assert found["inputs"][0]["from"] == "loader batches() train.py:9"
    assert found["inputs"][0]["dims"] == ["B", 10]


def test_a_call_that_does_not_fit_is_told_at_the_call(tmp_path: Path) -> None:
    evidence = {
        "kind": "call",
        "path": str(tmp_path / "train.py"),
        "line": 2,
        "label": "call train.py:2",
        "setup": "",
        "init": {"args": [], "kwargs": {}},
        "inputs": {"args": ["torch.randn(3, 7)"], "kwargs": {}},
        "certain": "values",
    }
    found = report(tmp_path, net("self.f = nn.Linear(10, 5)", "return self.f(x)"), [evidence])
    assert found["status"] == "ok"
    assert found["inputs"][0]["dims"] == ["B", 10]
    (wrong,) = found["mismatches"]
    assert wrong["code"] == "call-mismatch"
    assert (wrong["location"]["path"], wrong["location"]["range"]["line"]) == (evidence["path"], 2)
    assert "(3, 7)" in wrong["message"]


def test_a_config_grows_the_attributes_that_are_read(tmp_path: Path) -> None:
    source = net(
        "self.config = config; self.f = nn.Linear(config.model.hidden_dim, config.num_classes)",
        "return self.f(x) * self.config.scale_factor",
        arguments=", config",
    )
    found = report(tmp_path, source)
    assert found["status"] == "ok", found["reason"]
    assert "SimpleNamespace" in found["init"]["args"]["config"]["expr"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("nn.Identity()", "Identity()"),
        ("[torch.nn.ReLU(), torch.float32]", "[ReLU(), torch.float32]"),
        ("'nn.GELU'", "'nn.GELU'"),
    ],
)
def test_an_expression_holds_in_a_file_that_imports_nothing(expression: str, expected: str) -> None:
    assert repr(eval(init.standing_alone(expression, {}), {})) == expected
    assert init.standing_alone(expression, {"nn": None, "torch": None}) == expression


def test_an_index_that_is_moved_on_the_way_stays_inside_its_table_for_all_values_not_only_for_lucky_ones(
    tmp_path: Path,
) -> None:
    """Fields share a table, each behind an offset of its own: what the table holds is no bound of the input."""
    found = report(
        tmp_path,
        net(
            "self.e = nn.Embedding(64, 8); self.register_buffer('offsets', torch.tensor([0, 16, 32, 48]))",
            "return self.e(x + self.offsets)",
        ),
    )
    assert found["example"]["x"]["high"] == 15
    assert found["example"]["x"]["tensor"][-1] == 4


def test_a_net_that_goes_deep_asks_all_that_its_levels_ask(tmp_path: Path) -> None:
    """Sizes that the first levels take may fail in the last: every level's condition is told."""
    found = report(
        tmp_path,
        net(
            "self.d = nn.ModuleList(nn.Conv2d(3, 3, 4, 2, 1) for _ in range(5)); "
            "self.u = nn.ModuleList(nn.ConvTranspose2d(3, 3, 4, 2, 1) for _ in range(5))",
            "kept = []\n"
            "        for down in self.d:\n"
            "            kept.append(x)\n"
            "            x = down(x)\n"
            "        for up in self.u:\n"
            "            x = up(x) + kept.pop()\n"
            "        return x",
        ),
    )
    symbols = {name: item for name, item in found["symbols"].items() if name in ("H", "W")}
    runs_for = [
        side
        for side in range(32, 200)
        if all(
            item["min"] <= side <= (item["max"] or side) and side % item["multiple_of"] == 0
            for item in symbols.values()
        )
        and all(eval(text, {"H": side, "W": side}) for text in found["constraints"])
    ]
    assert len(symbols) == 2
    assert runs_for == list(range(32, 200, 32))


def test_a_constructor_that_reads_a_short_range_still_takes_no_memory() -> None:
    """Rates that grow with the depth are read from a range; the weights beside them are as large as they like."""

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            rates = [rate.item() for rate in torch.linspace(0, 0.5, 5)]
            widths = (torch.stack([torch.arange(4), torch.arange(4)]).sum(0) * 2).tolist()
            self.linear = torch.nn.Linear(widths[3], 7)
            self.dropout = torch.nn.Dropout(rates[-1])
            self.register_buffer("long", torch.arange(1 << 40))

    session = instances.build(Net, {}, {}, solve.warm())
    module: Any = session.module
    assert (module.linear.in_features, module.dropout.p) == (12, 0.5)
    assert symbolic.is_fake(module.linear.weight)
    assert symbolic.is_fake(module.long)


def test_both_sides_of_an_image_move_in_the_steps_that_a_join_of_two_paths_wants(tmp_path: Path) -> None:
    """One path rounds up and the other down: what fails at a draw is laid to the side that fails alone."""
    found = report(
        tmp_path,
        net(
            "self.a = nn.Conv2d(3, 4, 3, stride=2, padding=1); self.b = nn.Conv2d(3, 4, 1); "
            "self.c = nn.Conv2d(4, 4, 3, stride=2, padding=1); self.d = nn.Conv2d(4, 4, 1)",
            "y = self.a(x) + self.b(F.avg_pool2d(x, 2)); return self.c(y) + self.d(F.avg_pool2d(y, 2))",
        ),
    )
    assert dims_of(found["inputs"][0]) == ["B", 3, "H", "W"]
    allowed = [
        side
        for side in range(16, 130)
        if found["symbols"]["W"]["min"] <= side
        and side % found["symbols"]["W"]["multiple_of"] == 0
        and all(eval(text, {"H": 64, "W": side}) for text in found["constraints"])
    ]
    assert allowed
    assert all((-(-side // 2) == side // 2) and (-(-side // 4) == side // 4) for side in allowed)


def test_a_forward_that_never_ends_is_told_with_the_line_in_which_it_was_ended(tmp_path: Path) -> None:
    source = net("self.f = nn.Linear(4, 2)", "x = self.f(x)\n        while True: x = x + 0")
    found = report(tmp_path, source)
    assert (found["status"], found["reason"]["code"]) == ("timeout", "timeout")
    line = found["reason"]["location"]["range"]["line"]
    assert "while True" in (HEADER + source).splitlines()[line - 1]


def test_a_class_whose_train_gives_nothing_back_has_a_report(tmp_path: Path) -> None:
    source = (
        net("self.f = nn.Linear(4, 2); self.table = None", "return self.f(x) + self.table")
        + "\n    def train(self, mode=True):\n        super().train(mode)\n"
        "        self.table = None if mode else torch.zeros(2)\n"
    )
    check(tmp_path, source, {"x": ["B", 4]}, ["B", 2])


@pytest.mark.parametrize(
    "steps",
    [
        "steps = torch.zeros(lengths.size(0), int(lengths.max()), 4)\n",
        "longest = int(lengths.max())\n"
        "        mask = torch.arange(longest).expand(lengths.size(0), longest) < lengths.long().unsqueeze(1)\n"
        "        steps = torch.zeros(lengths.size(0), longest, 4).masked_fill(mask.unsqueeze(-1) == 0, 0)\n",
    ],
    ids=["the longest of them", "a mask made of them"],
)
def test_what_other_draws_of_few_values_refuse_is_no_input(tmp_path: Path, steps: str) -> None:
    source = net(
        "self.r = nn.GRU(4, 3, batch_first=True)",
        f"{steps}"
        "        p = nn.utils.rnn.pack_padded_sequence(steps, lengths.cpu(), batch_first=True, enforce_sorted=False)\n"
        "        return self.r(p)[1][0] + x[:, :1]",
        "x, lengths",
    )
    found = report(tmp_path, source)
    assert found["status"] == "ok", found["reason"]
    kinds = {item["name"]: item for item in found["inputs"]}
    assert kinds["lengths"]["dtype"] == "int64" and kinds["lengths"]["values"]["min"] >= 1
