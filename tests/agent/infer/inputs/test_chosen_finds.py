"""Of several inputs that run, the one that is meant: the batch is kept, nothing is spread by luck."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from inference_helpers import check, net

SINUSOIDS = net(
    "self.dim = dim",
    "freq = torch.exp(torch.arange(self.dim // 2) * -0.1); emb = x[:, None] * freq[None, :]; return emb.sin()",
    arguments=", dim=12",
)


@pytest.mark.parametrize(
    ("source", "inputs", "output"),
    [
        pytest.param(
            net("self.p = nn.Parameter(torch.zeros(1, 30, 12))", "return x + self.p[:, : x.size(1)]"),
            {"x": ["B", "L", 12]},
            ["B", "L", 12],
            id="a table of positions has a batch",
        ),
        pytest.param(
            net("self.g = nn.Parameter(torch.ones(1, 12, 1))", "return F.normalize(x, dim=1) * self.g"),
            {"x": ["B", 12, "D"]},
            ["B", 12, "D"],
            id="a gain with a batch of one has the rank of what it scales",
        ),
        pytest.param(SINUSOIDS, {"x": ["B"]}, ["B", 6], id="what is put beside frequencies is a number for each item"),
        pytest.param(
            net(
                "self.f = nn.Linear(12, 12); self.a = nn.MultiheadAttention(12, 2)",
                "y = self.f(x); return self.a(y, y, y)[0]",
            ),
            {"x": ["L", "B", 12]},
            ["L", "B", 12],
            id="attention that is not batch first reads sequences first, through a layer that takes any rank",
        ),
        pytest.param(
            net("self.r = nn.GRU(12, 5, batch_first=True)", "return self.r(x)[0]"),
            {"x": ["B", "L", 12]},
            ["B", "L", 5],
            id="a recurrent layer that is batch first",
        ),
        pytest.param(
            net("self.e = nn.Embedding(50, 12); self.r = nn.LSTM(12, 5)", "return self.r(self.e(ids))[0]", "ids"),
            {"ids": ["L", "B"]},
            ["L", "B", 5],
            id="ids of sequences that come first",
        ),
        pytest.param(
            net(
                "self.f = nn.Linear(obs_dim + act_dim, 1)",
                "return self.f(torch.cat([state, action], 1))",
                "state, action",
                ", obs_dim=11, act_dim=3",
            ),
            {"state": ["B", 11], "action": ["B", 3]},
            ["B", 1],
            id="a linear layer over what is joined takes rows",
        ),
        pytest.param(
            net(
                "self.c = nn.Conv2d(n_in + hid, 4 * hid, 3, padding=1)",
                "h, c = state; a, f, o, g = self.c(torch.cat([x, h], 1)).chunk(4, 1); return o * (f * c + a * g)",
                "x, state",
                ", n_in=3, hid=8",
            ),
            {"x": ["B", 3, "H", "W"], "state": [["B", 8, "H", "W"], ["B", 8, "H", "W"]]},
            ["B", 8, "H", "W"],
            id="channels are split as the constructor's arguments say",
        ),
        pytest.param(
            net(
                "self.u = nn.Embedding(90, 8); self.v = nn.Embedding(70, 8); self.b = nn.Embedding(90, 1)",
                "return (self.u(user) * self.v(item)).sum(1) + self.b(user).squeeze()",
                "user, item",
            ),
            {"user": ["B"], "item": ["B"]},
            ["B"],
            id="ids of which only one number runs in a row are one for each item",
        ),
        pytest.param(
            net(
                "self.q = nn.Linear(24, 24); self.k = nn.Linear(24, 24)",
                "n = q.size(0); q = self.q(q).view(n, -1, 4, 6).transpose(1, 2); "
                "k = self.k(k).view(n, -1, 4, 6).transpose(1, 2); return q @ k.transpose(2, 3)",
                "q, k",
            ),
            {"q": ["n", "L", 24], "k": ["n", "L2", 24]},
            ["n", 4, "L", "L2"],
            id="what is counted by a view is more than one",
        ),
        pytest.param(
            net("self.f = nn.Linear(3, 8)", "a, b = x.chunk(2, -1); return self.f(a) + self.f(b)"),
            {"x": ["B", 6]},
            ["B", 8],
            id="what a layer takes of a part it takes of the whole",
        ),
        pytest.param(
            net(
                "self.f = nn.Linear(9, 5)",
                "y = self.f(h); e = y @ y.T; return F.softmax(torch.where(adj > 0, e, e - 9.0), 1) @ y",
                "h, adj",
            ),
            {"h": ["N", 9], "adj": ["N", "N"]},
            ["N", 5],
            id="what is joined to what has as many rows and columns as there are nodes",
        ),
        pytest.param(
            net("self.f = nn.Linear(7, 5)", "return (self.f(x) * mask.unsqueeze(-1)).sum(1)", "x, mask"),
            {"x": ["B", "L", 7], "mask": ["B", "L"]},
            ["B", 5],
            id="a mask does not give what it masks other dims",
        ),
        pytest.param(
            net(
                "self.w = nn.Parameter(torch.randn(11, 18))",
                "y = F.linear(x, self.w); return torch.zeros(y.size()).scatter_(1, label.view(-1, 1), 1) * y",
                "x, label",
            ),
            {"x": ["B", 18], "label": ["B"]},
            ["B", 11],
            id="a label for each item is no column of one",
        ),
        pytest.param(
            net(
                "self.f = nn.Linear(14, 6)",
                "return self.f(torch.cat((noise, labels), -1))",
                "noise, labels",
                ", noise_dim=10, label_dim=4",
            ),
            {"noise": ["B", 10], "labels": "Tensor"},
            ["B", 6],
            id="what is put beside floating numbers",
        ),
        pytest.param(
            net("self.f = nn.Linear(784, 5)", "return self.f(x.view(-1, 784))"),
            {"x": ["B", 784]},
            ["B", 5],
            id="a view that is written out is the form of the items",
        ),
        pytest.param(
            net("self.r = nn.LSTM(28, 5, batch_first=True)", "return self.r(x.reshape(-1, 28, 28))[0][:, -1]"),
            {"x": ["B", 28, 28]},
            ["B", 5],
            id="a view of images as rows",
        ),
        pytest.param(
            net(
                "self.c = nn.Conv2d(3, 4, 3, padding=1); self.f = nn.Linear(4 * 8 * 8, 5)",
                "return self.f(F.max_pool2d(self.c(x), 4).view(-1, 4 * 8 * 8))",
            ),
            {"x": ["B", 3, "H", "W"]},
            ["B", 5],
            id="a view that would fold the batch bounds the sides",
        ),
        pytest.param(
            net("self.f = nn.Linear(12, 12)", "q = self.f(x); return q @ (q.transpose(1, 2) @ q)"),
            {"x": ["B", "L", 12]},
            ["B", "L", 12],
            id="attention over tokens is no image",
        ),
        pytest.param(
            net(
                "self.f = nn.Linear(5, 5); self.e = nn.Embedding(100, 5)",
                "return self.f(x) + self.e(torch.tensor(x.shape[1]))",
            ),
            {"x": ["B", "L", 5]},
            ["B", "L", 5],
            id="a size that is asked for may be another",
        ),
        pytest.param(
            net("self.c = nn.Conv2d(3, 4, 3)", "return self.c(x)"),
            {"x": ["B", 3, "H", "W"]},
            ["B", 4, "H - 2", "W - 2"],
            id="nothing speaks against an image",
        ),
        pytest.param(
            net("self.f = nn.Linear(12, 5)", "return self.f(x)"), {"x": ["B", 12]}, ["B", 5], id="a linear layer alone"
        ),
    ],
)
def test_the_input_that_is_meant(tmp_path: Path, source: str, inputs: dict[str, Any], output: Any) -> None:
    check(tmp_path, source, inputs, output)


def test_lengths_are_one_for_each_sequence_and_go_up_to_the_longest(tmp_path: Path) -> None:
    source = net(
        "self.e = nn.Embedding(50, 12); self.r = nn.GRU(12, 5, batch_first=True)",
        "p = nn.utils.rnn.pack_padded_sequence(self.e(text), lengths.cpu(), batch_first=True, enforce_sorted=False); "
        "return self.r(p)[1][0]",
        "text, lengths",
    )
    found = check(tmp_path, source, {"text": ["B", "L"], "lengths": ["B"]}, ["B", 5])
    limits = next(item for item in found["inputs"] if item["name"] == "lengths")["values"]
    assert limits == {"min": 1, "max": found["symbols"]["L"]["min"], "most": "L"}
    assert found["notes"] == ["The values of `lengths` go up to `L`."]


@pytest.mark.parametrize(
    ("arguments", "names", "sizes"),
    [
        ("obs_dim=17, act_dim=6", "obs, act", (17, 6)),
        ("act_dim=6, obs_dim=17", "obs, act", (17, 6)),
        ("a=5, b=18", "first, second", (5, 18)),
    ],
)
def test_sizes_that_only_have_a_sum_are_those_of_the_arguments(
    tmp_path: Path, arguments: str, names: str, sizes: tuple[int, int]
) -> None:
    first, second = names.split(", ")
    source = net(
        "self.q = nn.Linear(23, 8)", f"return self.q(torch.cat([{names}], -1)).sum(-1)", names, f", {arguments}"
    )
    check(tmp_path, source, {first: ["B", sizes[0]], second: ["B", sizes[1]]}, ["B"])


def test_sizes_of_which_the_arguments_say_nothing_are_left(tmp_path: Path) -> None:
    source = net("self.q = nn.Linear(23, 8)", "return self.q(torch.cat([a, b], -1))", "a, b", ", width=4")
    found = check(tmp_path, source, {}, ["B", 8])
    assert sum(item["dims"][-1] for item in found["inputs"]) == 23


def test_labels_in_a_tuple_have_the_batch_of_what_is_scored(tmp_path: Path) -> None:
    source = net("self.f = nn.Linear(12, 5)", "x, y = batch; return F.cross_entropy(self.f(x), y)", "batch, number")
    check(tmp_path, source, {"batch": [["B", 12], ["B"]]}, [])


def test_a_column_of_labels_is_no_sign_of_more_dims(tmp_path: Path) -> None:
    body = (
        "logits = self.a(x); loss = nn.functional.cross_entropy(logits, y); "
        "right = logits.argmax(1).reshape(y.shape[0], -1) == y.reshape(y.shape[0], -1); "
        "return loss + right.float().mean()"
    )
    check(tmp_path, net("self.a = nn.Linear(12, 5)", body, "x, y"), {"x": ["B", 12], "y": ["B"]}, [])


def test_numbers_of_nodes_go_as_far_as_there_are_nodes(tmp_path: Path) -> None:
    source = net(
        "self.f = nn.Linear(12, 5)",
        "y = self.f(x); out = torch.zeros(x.size(0), 5); return out.index_add(0, edge_index[1], y[edge_index[0]])",
        "x, edge_index",
    )
    found = check(tmp_path, source, {}, ["B", 5])
    assert found["notes"] == ["The values of `edge_index` are below `B`."]


def test_what_goes_between_two_kinds_of_nodes_does_not_tie_their_numbers(tmp_path: Path) -> None:
    source = net(
        "self.f = nn.Linear(12, 5); self.g = nn.Linear(7, 5)",
        "y = self.g(b); return y.index_add(0, edge_index[1], self.f(a)[edge_index[0]])",
        "a, b, edge_index",
    )
    found = check(tmp_path, source, {"a": ["B", 12], "b": ["B2", 7]}, ["B2", 5])
    assert found["notes"] == []


HEADS = net(
    "self.heads = heads; self.size = embed // heads; self.a = nn.Linear(self.size, self.size); "
    "self.out = nn.Linear(embed, embed)",
    "N = query.shape[0]; lv, lq = values.shape[1], query.shape[1]\n"
    "        v = self.a(values.reshape(N, lv, self.heads, self.size))\n"
    "        q = self.a(query.reshape(N, lq, self.heads, self.size))\n"
    "        energy = torch.einsum('nqhd,nkhd->nhqk', [q, v]).softmax(3)\n"
    "        return self.out(torch.einsum('nhql,nlhd->nqhd', [energy, v]).reshape(N, lq, -1))",
    "values, query",
    ", embed=24, heads=4",
)


def test_features_that_forward_takes_apart_are_one_dim(tmp_path: Path) -> None:
    check(tmp_path, HEADS, {"values": ["N", "L", 24], "query": ["N", "L2", 24]}, ["N", "L2", 24])


@pytest.mark.parametrize("arguments", [", width=24, parts=5", ", width=25, parts=4"])
def test_two_dims_are_two_where_no_arguments_make_them_one(tmp_path: Path, arguments: str) -> None:
    source = net("self.f = nn.Linear(6, 2)", "b, n, h, d = x.shape; return self.f(x)", arguments=arguments)
    check(tmp_path, source, {"x": ["b", "n", "h", 6]}, ["b", "n", "h", 2])


def test_an_image_keeps_its_sides_where_their_product_is_an_argument(tmp_path: Path) -> None:
    source = net("self.c = nn.Conv2d(1, 3, 4); self.f = nn.Linear(3, hidden)", "return self.f(self.c(x).flatten(1))")
    check(
        tmp_path,
        source.replace("def __init__(self", "def __init__(self, side=4, hidden=16"),
        {"x": ["B", 1, 4, 4]},
        ["B", 16],
    )


def test_an_item_that_nothing_looks_up_is_no_whole_number(tmp_path: Path) -> None:
    source = net("self.w = nn.Parameter(torch.ones(6))", "return item * self.w", "item")
    (found,) = check(tmp_path, source, {}, [6])["inputs"]
    assert found["dtype"] == "float32"
