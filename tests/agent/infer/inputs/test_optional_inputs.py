"""A parameter that may be left out is told with its shape where runs leave one answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from inference_helpers import net, report

from ts_shape_server.agent.clock import TimeLimit
from ts_shape_server.agent.infer.claims import optional

ATTENTION = "self.a = nn.MultiheadAttention(12, 2, batch_first=True)"
EMBEDDED = "self.e = nn.Embedding(40, 12); self.t = nn.Embedding(3, 12); self.f = nn.Linear(12, 5)"


@pytest.mark.parametrize(
    ("source", "name", "told"),
    [
        pytest.param(
            net(ATTENTION, "return self.a(x, y, y, key_padding_mask=mask)[0]", "x, y, mask=None"),
            "mask",
            ["B", "L2"],
            id="a mask of the keys",
        ),
        pytest.param(
            net(ATTENTION, "return self.a(x, y, y, attn_mask=mask)[0]", "x, y, mask=None"),
            "mask",
            ["L", "L2"],
            id="a mask of attention",
        ),
        pytest.param(
            net(
                "self.f = nn.Linear(12, 5)", "y = self.f(x); return y if t is None else (y, F.cross_entropy(y, t))"
            ).replace("self, x", "self, x, t=None"),
            "t",
            ["B"],
            id="labels",
        ),
        pytest.param(
            net(
                EMBEDDED,
                "h = self.e(ids); h = h if kinds is None else h + self.t(kinds); return self.f(h)",
                "ids, kinds=None",
            ),
            "kinds",
            ["B", "L"],
            id="ids beside ids",
        ),
        pytest.param(
            net(
                "self.c = nn.Linear(20, 12); self.a = nn.MultiheadAttention(12, 2, batch_first=True)",
                "m = x if memory is None else self.c(memory); return self.a(x, m, m)[0]",
                "x, memory=None",
            ),
            "memory",
            ["B", "L2", 20],
            id="a memory of a length of its own",
        ),
        pytest.param(
            net(
                EMBEDDED, "return self.f(self.e(ids) * mask.unsqueeze(-1) if mask is not None else self.e(ids))"
            ).replace("self, x", "self, ids, mask=None"),
            "mask",
            ["B", "L"],
            id="what is spread over features",
        ),
        pytest.param(
            net("self.f = nn.Linear(12, 12)", "y = self.f(x); return y if r is None else y + r", "x, r=None"),
            "r",
            ["B", 12],
            id="what is added to the input",
        ),
    ],
)
def test_a_parameter_that_may_be_left_out_has_a_shape(tmp_path: Path, source: str, name: str, told: Any) -> None:
    found = report(tmp_path, source)
    assert found["status"] == "ok", found["reason"]
    (item,) = [item for item in found["inputs"] if item["name"] == name]
    assert (item["type"], item["optional"]) == ("Optional[Tensor]", True)
    assert item.get("dims") == told
    assert name not in found["example"]


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(net("self.f = nn.Linear(12, 5)", "return self.f(x)", "x, state=None"), id="nobody looks at it"),
        pytest.param(
            net(
                "self.f = nn.Linear(12, 12)",
                "a = torch.einsum('bld,bmd->blm', x, x)[:, None].expand(-1, 4, -1, -1); "
                "a = a if mask is None else a.masked_fill(mask == 0, -9); return self.f(x), a.softmax(-1)",
                "x, mask=None",
            ),
            id="it may be spread in several ways",
        ),
    ],
)
def test_where_several_shapes_run_none_is_told(tmp_path: Path, source: str) -> None:
    found = report(tmp_path, source)
    assert found["status"] == "ok", found["reason"]
    assert "dims" not in found["inputs"][-1]


LAYER = """
class Net(nn.Module):
    def __init__(self, d=32, h=4):
        super().__init__()
        self.q, self.k, self.h = nn.Linear(d, d), nn.Linear(d, d), h

    def forward(self, x, mask=None):
        b, l, d = x.shape
        q = self.q(x).view(b, l, self.h, -1).transpose(1, 2)
        k = self.k(x).view(b, l, self.h, -1).transpose(1, 2)
        a = q @ k.transpose(-1, -2)
        if mask is not None:
            a = a.masked_fill(mask.unsqueeze(1) == 0, -1e9)
        return (a.softmax(-1) @ k).transpose(1, 2).reshape(b, l, d)
"""
MODEL = """
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.e, self.a = nn.Embedding(100, 32), Net()

    def forward(self, ids):
        return self.a(self.e(ids), MASK)
"""


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        ("(ids != 0).unsqueeze(-2)", ["b", 1, "l"]),
        ("(ids != 0).unsqueeze(-2) & torch.ones(ids.size(1), ids.size(1)).tril().bool()", ["b", "l", "l"]),
        ("torch.ones(1, ids.size(1), ids.size(1)).tril().bool()", [1, "l", "l"]),
        ("None", None),
    ],
)
def test_what_a_parent_passes_decides_between_shapes_that_run(tmp_path: Path, mask: str, told: Any) -> None:
    found = report(tmp_path, LAYER + MODEL.replace("MASK", mask), parents=["Model"])
    assert found["status"] == "ok", found["reason"]
    (item,) = [item for item in found["inputs"] if item["name"] == "mask"]
    assert item.get("dims") == told
    assert item.get("dtype") == ("bool" if told else None)


def test_wide_features_do_not_keep_a_mask_from_being_told(tmp_path: Path) -> None:
    source = net(ATTENTION.replace("12", "192"), "return self.a(x, y, y, key_padding_mask=mask)[0]", "x, y, mask=None")
    found = report(tmp_path, source)
    assert found["inputs"][2].get("dims") == ["B", "L2"]


def test_what_is_passed_is_told_before_time_goes_into_other_shapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_long(*_: Any) -> None:
        raise TimeLimit

    monkeypatch.setattr(optional._Shapes, "plain", too_long)
    found = report(tmp_path, LAYER + MODEL.replace("MASK", "(ids != 0).unsqueeze(-2)"), parents=["Model"])
    assert [item.get("dims") for item in found["inputs"]] == [["b", "l", 32], ["b", 1, "l"]]


def test_of_two_that_a_parent_passes_each_is_told(tmp_path: Path) -> None:
    layer = LAYER.replace("mask=None", "mask=None, gain=None").replace(
        "        return (a", "        a = a if gain is None else a * gain.unsqueeze(1).unsqueeze(1)\n        return (a"
    )
    model = MODEL.replace("MASK", "(ids != 0).unsqueeze(-2), torch.rand(ids.shape)")
    found = report(tmp_path, layer + model, parents=["Model"])
    told = {item["name"]: item.get("dims") for item in found["inputs"]}
    assert told == {"x": ["b", "l", 32], "mask": ["b", 1, "l"], "gain": ["b", "l"]}


@pytest.mark.parametrize(
    ("use", "dtype"),
    [
        ("x.masked_fill(padding_mask.unsqueeze(-1), 0)", "bool"),
        ("x * (1 - padding_mask.unsqueeze(-1))", "float32"),
        ("x * padding_mask.unsqueeze(-1)", "bool"),
    ],
)
def test_padding_is_told_by_flags_unless_numbers_are_asked_for(tmp_path: Path, use: str, dtype: str) -> None:
    found = report(tmp_path, net("self.f = nn.Linear(12, 5)", f"x = self.f(x); return {use}", "x, padding_mask"))
    mask = found["inputs"][1]
    assert (mask["dims"], mask["dtype"]) == (["B", "L"], dtype)
