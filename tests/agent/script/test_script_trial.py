"""A changed source counts as better only if it scripts or comes nearer to it, and does what it did."""

from __future__ import annotations

from typing import Any

import pytest

from ts_shape_server.agent import script

ORIGINAL = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])

    def forward(self, x):
        for index in range(2):
            x = self.layers[index](x)
        return x + float(x.numpy().min() * 0)
"""
FIXED = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x
"""
NEARER = ORIGINAL.replace("float(x.numpy().min() * 0)", "0")
NO_NEARER = ORIGINAL.replace("x = self", "x = 1 * self")
OTHER_RESULT = FIXED.replace("return x", "return x + 1")
OTHER_WEIGHTS = FIXED.replace("self.layers", "self.blocks")
OTHER_ON_SECOND_SIZE = FIXED.replace("return x", "return x if x.shape[0] == 2 else -x")
RAISES = FIXED.replace("return x", "return x + y")


@pytest.mark.parametrize(
    ("candidate", "knows", "ok", "words"),
    [
        (FIXED, False, True, ""),
        (FIXED, True, True, ""),
        (NEARER, False, False, "still does not script"),
        (NEARER, True, True, ""),
        (NO_NEARER, True, False, "takes no failure away"),
        (OTHER_RESULT, True, False, "alters the result on the example"),
        (OTHER_ON_SECOND_SIZE, True, False, "alters the result on a second size"),
        (OTHER_WEIGHTS, True, False, "loses the weight `layers.0.weight`"),
        (RAISES, True, False, "does not run: NameError"),
    ],
)
def test_a_change_must_be_better_and_nothing_else(load: Any, candidate: str, knows: bool, ok: bool, words: str) -> None:
    second = {"x": {"tensor": [4, 3]}}
    original, before = load(ORIGINAL, second=second)
    known = script.examine(original, before) if knows else None
    changed, context = load(candidate, second=second)
    found = script.trial(original, changed, context, known)
    assert found["ok"] == ok, found["reason"]
    assert words in found["reason"]
    assert bool(found["reason"]) != ok
