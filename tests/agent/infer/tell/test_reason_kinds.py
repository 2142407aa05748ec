"""Why there is no report is told with a kind and with facts: whoever decides by it reads no sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from inference_helpers import net, report


@pytest.mark.parametrize(
    ("source", "code", "kind", "facts"),
    [
        (
            net("self.a = nn.Linear(8, 6); self.b = nn.Linear(5, 2)", "return self.b(self.a(x))"),
            "shape-mismatch",
            "fixed-sizes-disagree",
            {"layer": "b", "wanted": 5, "got": 6},
        ),
        (net("pass", "raise KeyError('nothing')"), "no-input", "every-attempt-failed", {"error": "KeyError"}),
        (
            net("self.parts = nn.ModuleList([nn.ReLU()])", "return self.parts(x)"),
            "no-input",
            "called-without-forward",
            {"type": "ModuleList"},
        ),
        (
            net("self.parts = nn.ModuleDict({'a': nn.ReLU()})", "return self.parts(x)"),
            "no-input",
            "called-without-forward",
            {"type": "ModuleDict"},
        ),
        (
            net("raise KeyError('nothing')", "return x"),
            "no-constructor",
            "constructor-fails",
            {"error": "KeyError", "arguments": []},
        ),
        (
            net("raise KeyError('nothing')", "return x", arguments=", width"),
            "no-constructor",
            "arguments-unknown",
            {"error": "KeyError", "arguments": ["width"]},
        ),
        (
            net("self.layer = nn.Linear(width, depth)", "return self.layer(x)", arguments=", width"),
            "no-constructor",
            "name-undefined",
            {"error": "NameError", "arguments": ["width"]},
        ),
        (net("pass", "return widened(x)"), "no-input", "name-undefined", {"error": "NameError"}),
        (net("pass", "raise NotImplementedError"), "abstract", "class-abstract", {}),
        (net("pass", "raise NotImplemented"), "abstract", "class-abstract", {}),
        (
            net("pass", "return self.encode(x)") + "\n    def encode(self, x):\n        raise NotImplementedError\n",
            "abstract",
            "class-abstract",
            {},
        ),
        ("class Net(nn.Module):\n    pass\n", "no-forward", "forward-undefined", {}),
    ],
)
def test_a_reason_has_a_kind(tmp_path: Path, source: str, code: str, kind: str, facts: dict[str, object]) -> None:
    reason = report(tmp_path, source)["reason"]
    assert (reason["code"], reason["kind"], reason["facts"]) == (code, kind, facts)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            net("self.layer = nn.Linear(width, depth)", "return self.layer(x)", arguments=", width"),
            "`depth` is used in line {line} and has no value there.",
        ),
        (net("pass", "return widened(x)"), "`widened` is used in line {line} and has no value there."),
    ],
)
def test_a_name_that_is_not_defined_is_told_without_advice(tmp_path: Path, source: str, message: str) -> None:
    told = report(tmp_path, source)["reason"]
    assert told["message"] == message.format(line=told["location"]["range"]["line"])


def test_a_name_that_only_a_comment_uses_is_told_without_a_line(tmp_path: Path) -> None:
    source = net("self.layer = nn.Linear(width, 3)", "return self.layer(x)", arguments=", width")
    told = report(tmp_path, source, init={"width": "nowhere"})["reason"]
    assert told["message"] == "`nowhere` has no value where it is used."


def test_a_list_that_is_called_is_told_with_what_to_do(tmp_path: Path) -> None:
    source = net("self.parts = nn.ModuleList([nn.Linear(3, 3), nn.ReLU()])", "return self.parts(x + 1)")
    assert report(tmp_path, source)["reason"]["message"] == (
        "`self.parts` is a `ModuleList`, which has no `forward`: it only holds layers: call them one by one in a loop, "
        "or make it an `nn.Sequential`."
    )


def test_a_list_that_is_gone_through_is_fine(tmp_path: Path) -> None:
    source = net(
        "self.parts = nn.ModuleList([nn.Linear(3, 3)])", "for part in self.parts: x = part(x)\n        return x"
    )
    assert report(tmp_path, source)["status"] == "ok"


PATCHES = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.pad = nn.ReplicationPad1d((0, 8))
        self.embed = nn.Linear(16, 32)
        self.norm = nn.BatchNorm1d(32)
        self.flatten = nn.Flatten(start_dim=-2)
        self.fc = nn.Linear(32 * 12, 5)

    def forward(self, x, other, third):
        x = (x - x.mean(1, keepdim=True).detach()).permute(0, 2, 1)
        n = x.shape[1]
        x = self.pad(x).unfold(dimension=-1, size=16, step=8)
        x = torch.reshape(x, (x.shape[0] * x.shape[1], x.shape[2], x.shape[3]))
        x = self.norm(self.embed(x).transpose(1, 2)).transpose(1, 2)
        x = torch.reshape(x, (-1, n, x.shape[-2], x.shape[-1]))
        return self.fc(self.flatten(x.permute(0, 1, 3, 2)))
"""


def test_a_size_that_larger_inputs_change_is_no_fixed_one(tmp_path: Path) -> None:
    assert report(tmp_path, PATCHES)["status"] != "failed"


@pytest.mark.parametrize(
    ("constructor", "failed"),
    [
        ("self.a = nn.Linear(8, 4); self.b = nn.Linear(4 if depth > 4 else 2, 2)", False),
        ("self.a = nn.Linear(8, 6); self.b = nn.Linear(5, depth)", True),
    ],
)
def test_sizes_that_meet_for_another_guess_are_no_error(tmp_path: Path, constructor: str, failed: bool) -> None:
    found = report(tmp_path, net(constructor, "return self.b(self.a(x))", arguments=", depth"))
    assert (found["status"] == "failed") == failed
