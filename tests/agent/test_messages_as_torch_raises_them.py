"""The errors that this torch and this Python raise are the complaints that the rows say they are.

Run with another torch, it shows which rows that one needs.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from ts_shape_server.agent import torch_says


def ones(*dims: int) -> torch.Tensor:
    return torch.ones(dims)


def whole(*dims: int, value: int = 1) -> torch.Tensor:
    return torch.full(dims, value)


def unpacked(value: Any) -> Any:
    _, _, _, _ = value
    return value


SAID: dict[str, tuple[str, Callable[[], Any]]] = {
    "a layer's features": ("layer-size-differs", lambda: nn.Linear(10, 5)(ones(3, 37))),
    "a layer's channels": ("layer-size-differs", lambda: nn.Conv2d(3, 8, 3)(ones(2, 5, 37, 41))),
    "a normalisation's channels": ("layer-size-differs", lambda: nn.BatchNorm1d(9)(ones(4, 37))),
    "a normalised shape": ("layer-size-differs", lambda: nn.LayerNorm(24)(ones(2, 37))),
    "a recurrent layer's input": ("layer-size-differs", lambda: nn.LSTM(12, 4)(ones(3, 5, 37))),
    "a sum": ("sizes-differ", lambda: ones(2, 3, 4) + ones(2, 3, 5)),
    "tensors beside each other": ("sizes-differ", lambda: torch.cat([ones(2, 3, 4), ones(2, 5, 6)], 1)),
    "a convolution's rank": ("rank-wanted", lambda: nn.Conv2d(3, 8, 3)(ones(2, 5))),
    "a normalisation's rank": ("rank-wanted", lambda: nn.BatchNorm2d(9)(ones(4, 9))),
    "a recurrent layer's rank": ("rank-wanted", lambda: nn.LSTM(12, 4)(ones(3, 5, 37, 2))),
    "a batched product's rank": ("rank-wanted", lambda: torch.bmm(ones(2, 3), ones(2, 5, 4))),
    "an order of dims": ("rank-wanted", lambda: ones(2, 3, 4).permute(0, 2, 3, 1)),
    "padded sides": ("rank-wanted", lambda: F.pad(ones(2, 3), (1, 1, 1, 1), mode="reflect")),
    "an equation's rank": ("rank-wanted", lambda: torch.einsum("bij,bjk->bik", ones(2, 3), ones(2, 3, 3))),
    "names of dims": ("rank-wanted", lambda: unpacked(ones(2, 3).shape)),
    "an axis": ("axis-out-of-range", lambda: ones(2, 3).transpose(1, 2)),
    "too many indices": ("more-dims-needed", lambda: ones(3)[1, 2]),
    "too few repeats": ("fewer-dims-needed", lambda: ones(2, 3, 4).repeat(2, 2)),
    "a pooled image": ("too-small", lambda: nn.MaxPool2d(5)(ones(2, 3, 4, 4))),
    "a kernel": ("too-small", lambda: nn.Conv2d(3, 8, 7)(ones(2, 3, 4, 4))),
    "an index": ("integer-needed", lambda: ones(3, 3)[ones(2)]),
    "an embedding's index": ("integer-needed", lambda: nn.Embedding(9, 4)(ones(2, 3))),
    "gathered places": ("integer-needed", lambda: ones(2, 3).gather(1, ones(2, 1))),
    "an embedding's range": ("index-out-of-range", lambda: nn.Embedding(9, 4)(whole(2, 3, value=20))),
    "a mask": ("boolean-needed", lambda: ones(3).masked_fill(ones(3), 0.0)),
    "a mean": ("float-needed", lambda: whole(3).mean()),
    "weights in half": ("dtypes-differ", lambda: nn.Linear(3, 8).half()(ones(2, 3))),
    "a state's size": ("state-size-differs", lambda: nn.GRU(12, 4)(ones(3, 5, 12), ones(1, 2, 4))),
    "a pair of states": ("states-needed", lambda: nn.LSTM(12, 4)(ones(3, 5, 12), (ones(5, 4), ones(5, 4)))),
    "lengths": ("vector-needed", lambda: nn.utils.rnn.pack_padded_sequence(ones(5, 2, 3), ones(2, 2))),
    "an empty sequence": (
        "positive-needed",
        lambda: nn.utils.rnn.pack_padded_sequence(ones(5, 2, 3), torch.tensor([0, 0])),
    ),
    "joined tensors": ("tensors-needed", lambda: torch.cat(ones(2, 3))),
    "a list for a tensor": ("tensor-needed", lambda: F.relu([1])),  # type: ignore[arg-type]  # on purpose
    "a tensor for a number": ("number-needed", lambda: range(ones(2))),  # type: ignore[call-overload]  # on purpose
    "a tensor for a mapping": ("mapping-needed", lambda: ones(2).items()),  # type: ignore[operator]  # on purpose
    "a missed key": ("missing-key", lambda: {"a": 1}["ids"]),
    "a missed attribute": ("missing-attribute", lambda: types.SimpleNamespace().hidden),
    "a module's missed attribute": ("missing-module-attribute", lambda: nn.relu),  # type: ignore[attr-defined]  # on purpose
    "missed arguments": ("missing-arguments", lambda: nn.Linear(3)),  # type: ignore[call-arg]  # on purpose
    "what is no module": ("module-needed", lambda: nn.ModuleList([1])),  # type: ignore[list-item]  # on purpose
    "what is no number": ("plain-number-needed", lambda: nn.Linear("x", 4)),  # type: ignore[arg-type]  # on purpose
    "memory": ("out-of-memory", lambda: torch.empty(1 << 50)),
    "a group of processes": (
        "surroundings-missing",
        lambda: torch.distributed.get_rank(None) + torch.distributed.barrier(),
    ),
}
WITHOUT_MEMORY = ("a layer's features", "a layer's channels", "a normalised shape", "an index", "an embedding's index")


def error_of(run: Callable[[], Any]) -> Exception:
    try:
        run()
    except Exception as error:
        return error
    raise AssertionError("it runs")


@pytest.mark.parametrize("name", SAID)
def test_what_is_said(name: str) -> None:
    kind, run = SAID[name]
    error = error_of(run)
    assert kind in torch_says.read(error), error


@pytest.mark.parametrize("name", WITHOUT_MEMORY)
def test_what_is_said_of_tensors_without_memory(name: str) -> None:
    kind, run = SAID[name]
    with FakeTensorMode():
        error = error_of(run)
    assert kind in torch_says.read(error), error


def test_values_are_asked_for() -> None:
    with FakeTensorMode():
        error = error_of(lambda: ones(3).masked_select(ones(3) > 0))
    assert torch_says.needs_values(error)
