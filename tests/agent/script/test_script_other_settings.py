"""A change keeps what a class computes under settings that its run did not have: what did not run is live."""

from __future__ import annotations

from typing import Any

import pytest

from ts_shape_server.agent import script
from ts_shape_server.agent.script.other_settings import others

ORIGINAL = """
import enum

class Mode(enum.Enum):
    ADD = 1
    TAKE = 2

class Net(nn.Module):
    def __init__(self, causal=False, mode=Mode.ADD, act="relu", width=3):
        super().__init__()
        self.causal, self.mode, self.act = causal, mode, act
        self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])

    def forward(self, x, bias=None):
        for index in range(2):
            x = self.layers[index](x)
        if self.causal:
            x = x.tril()
        if self.mode is Mode.TAKE:
            x = x - 1
        if self.act == "gelu":
            x = F.gelu(x)
        if bias is not None:
            x = x + bias
        return x
"""
LOOP = "for layer in self.layers:\n            x = layer(x)"
FIXED = ORIGINAL.replace("for index in range(2):\n            x = self.layers[index](x)", LOOP)
FIXED = FIXED.replace("is Mode.TAKE", "== Mode.TAKE").replace("bias=None", "bias: Optional[Tensor] = None")


def test_each_flag_choice_and_optional_input_is_another_setting(load: Any) -> None:
    run, _ = load(ORIGINAL, example={"x": {"tensor": [2, 3]}, "bias": {"tensor": [3]}})
    assert [item.words for item in others(run)] == [
        "with `causal=True`",
        "with `mode=<Mode.TAKE: 2>`",
        "with `act='gelu'`",
        "without `bias`",
    ]


def test_a_setting_of_the_run_is_flipped_too(load: Any) -> None:
    run, _ = load(ORIGINAL, init={"causal": "True", "act": '"gelu"'})
    assert [item.words for item in others(run)] == ["with `causal=False`", "with `mode=<Mode.TAKE: 2>`"]


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        (FIXED, ""),
        (FIXED.replace("x = x.tril()", "pass"), "with `causal=True`"),
        (FIXED.replace("if self.causal:", "if self.causal and not torch.jit.is_scripting():"), "with `causal=True`"),
        (FIXED.replace("x = x - 1", "x = x - 2"), "with `mode="),
        (FIXED.replace("F.gelu(x)", "F.relu(x)"), "with `act='gelu'`"),
        (FIXED.replace("x = x + bias", "x = x + bias\n        else:\n            x = x * 2"), "without `bias`"),
    ],
)
def test_a_change_that_loses_another_setting_is_refused(load: Any, candidate: str, words: str) -> None:
    example = {"x": {"tensor": [2, 3]}, "bias": {"tensor": [3]}}
    run, context = load(ORIGINAL, example=example)
    known = script.examine(run, context)
    changed, its_context = load(candidate, example=example)
    answer = script.trial(run, changed, its_context, known)
    assert (answer.ok, answer.reason == "") == (words == "", words == ""), answer.reason
    assert words in answer.reason
