"""A changed source counts as better only if it scripts or comes nearer to it, and does what it did."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ts_shape_server.agent import script
from ts_shape_server.contract.jobs import TrialAnswer

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
OTHER_IN_TRAINING = FIXED.replace("return x", "return -x if self.training else x")
OTHER_INPUT = FIXED.replace("for layer", "given = x\n        for layer").replace(
    "return x", "given.zero_()\n        return x"
)
OTHER_VALUES = FIXED.replace("for layer", "given = x\n        for layer").replace(
    "return x", "return x if given[0, 0] > 1 else -x"
)
OTHER_KIND = FIXED.replace("return x", "return [x]")
TUPLE = ORIGINAL.replace("return x + float(x.numpy().min() * 0)", "return (x + float(x.numpy().min() * 0),)")
STATE = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x, times=2):
        self.calls = self.calls + 1
        return x * times
"""
NO_GRADIENT = FIXED.replace("return x", "return x.detach()")
OTHER_STATE = STATE.replace("times=2", "times: int = 2").replace("self.calls + 1", "self.calls + 2")
RAISES = FIXED.replace("return x", "return x + y")
STRAIGHT_THROUGH = """
class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.sign()

    @staticmethod
    def backward(ctx, grad):
        return grad


class Net(nn.Module):
    def forward(self, x):
        return Sign.apply(x)
"""
FORMULA = STRAIGHT_THROUGH.replace("return Sign.apply(x)", "return x.sign()")


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
        (OTHER_IN_TRAINING, True, False, "alters the result on the example in training mode"),
        (OTHER_INPUT, True, False, "alters the inputs on the example"),
        (RAISES, True, False, "does not run: NameError"),
    ],
)
def test_a_change_must_be_better_and_nothing_else(load: Any, candidate: str, knows: bool, ok: bool, words: str) -> None:
    second = {"x": {"tensor": [4, 3]}}
    original, before = load(ORIGINAL, second=second)
    known = script.examine(original, before) if knows else None
    changed, context = load(candidate, second=second)
    found = script.trial(original, changed, context, known)
    assert found.ok == ok, found.reason
    assert words in found.reason
    assert bool(found.reason) != ok


def refused(load: Any, source: str, candidate: str, words: str, **run: Any) -> TrialAnswer:
    """The answer to a change that does not compute the same, and says so with these words; `run` is said of both."""
    original, _ = load(source)
    changed, context = load(candidate)
    found = script.trial(dataclasses.replace(original, **run), dataclasses.replace(changed, **run), context)
    assert (found.ok, found.torchscript) == (False, None)
    assert words in found.reason, found.reason
    return found


@pytest.mark.parametrize(
    ("source", "candidate", "words"),
    [
        (STATE, OTHER_STATE, "alters the module's state on the example"),
        (FIXED, NO_GRADIENT, "alters which results carry a gradient on the example in training mode"),
        (STRAIGHT_THROUGH, FORMULA, "alters the gradients on the example in training mode"),
        (TUPLE, OTHER_KIND, "another Python type"),
        (ORIGINAL, OTHER_VALUES, "alters the result on other values"),
    ],
)
def test_what_a_run_leaves_and_other_values_of_a_fixed_size_are_compared(
    load: Any, source: str, candidate: str, words: str
) -> None:
    refused(load, source, candidate, words)


def test_a_class_too_large_to_run_gets_no_fix(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ts_shape_server.agent.script.session.HEAVY_BYTES", 10)
    assert not refused(load, ORIGINAL, FIXED, "too large").compared


LIST_TOO = """
class Net(nn.Module):
    def forward(self, x):
        return x * 2 if isinstance(x, torch.Tensor) else x[0]
"""
FLAGS = """
class Net(nn.Module):
    def forward(self, x):
        return x.float() * {}
"""
MASK = {"x": {"tensor": [2, 4], "dtype": "bool"}}
NO_TRAIN = """
class Net(nn.Module):
    def forward(self, x):
        return {}

    def train(self, mode=True):
        super().train(mode)
"""


@pytest.mark.parametrize(
    ("source", "candidate", "words", "run"),
    [
        (
            LIST_TOO,
            LIST_TOO.replace("x[0]", "x[0] + 1"),
            "alters the result on another input that the workspace passes",
            {"others": ({"x": {"list": [{"tensor": [2, 3]}]}},)},
        ),
        (
            FLAGS.format(1),
            FLAGS.format("x.float().mean()"),
            "alters the result on a second size",
            {
                "example": {"x": {"tensor": [2, 4], "dtype": "bool"}},
                "second": {"x": {"tensor": [3, 4], "dtype": "bool"}},
            },
        ),
        (NO_TRAIN.format("x"), NO_TRAIN.format("x + 1"), "alters the result on the example", {}),
    ],
    ids=["another kind of input", "flags that are not all true", "a train that gives nothing back"],
)
def test_every_input_that_is_known_is_compared(
    load: Any, source: str, candidate: str, words: str, run: dict[str, Any]
) -> None:
    refused(load, source, candidate, words, **run)


CLIPPED = """
class Clipped(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 1.0

    @staticmethod
    def backward(ctx, grad):
        return grad.clamp(-5.0, 5.0)


class Net(nn.Module):
    def forward(self, x):
        return Clipped.apply(x)
"""
FINITE = """
class Root(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        out = x.abs().sqrt()
        ctx.save_for_backward(x, out)
        return out

    @staticmethod
    def backward(ctx, grad):
        x, out = ctx.saved_tensors
        return (grad * x.sign() / (2 * out)).nan_to_num(0.0)


class Net(nn.Module):
    def forward(self, x):
        return Root.apply(x)
"""
WRITES = """
class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.sign()

    @staticmethod
    def backward(ctx, grad):
        return grad


class Net(nn.Module):
    def forward(self, x):
        x -= 0.5
        return Sign.apply(x)
"""
LEAVES_TORCH = """
class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2.0

    @staticmethod
    def backward(ctx, grad):
        return grad * 2.0


class Net(nn.Module):
    def forward(self, x):
        if x.requires_grad:
            raise RuntimeError("for inference")
        return Doubled.apply(x)
"""


@pytest.mark.parametrize(
    ("source", "call", "formula", "words"),
    [
        (CLIPPED, "Clipped.apply(x)", "x * 1.0", "alters the gradients on the example"),
        (FINITE, "Root.apply(x)", "x.abs().sqrt()", "not finite in the same places"),
        (WRITES, "Sign.apply(x)", "x.sign()", "alters the gradients on the example"),
        (LEAVES_TORCH, "Doubled.apply(x)", "x * 2.0", "cannot be compared"),
    ],
    ids=["cut off", "made finite at zero", "of an input that is written to", "that is not to be had"],
)
def test_a_gradient_of_its_own_is_not_lost(load: Any, source: str, call: str, formula: str, words: str) -> None:
    refused(load, source, source.replace(f"return {call}", f"return {formula}"), words)
