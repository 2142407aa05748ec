"""In saved modules that read sequences the batch is where their layers take it, scripted, traced and exported.

Torch's own layers take it second unless they are told `batch_first`, and the states of recurrent ones always have it
second.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from probing_helpers import Prober
from torch import Tensor, nn

from ts_shape_server.contract.report import Report, Value
from ts_shape_server.probing.requests import Inspection

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:The tensor attributes:UserWarning"),
]

BATCH, STEPS, WIDTH = 3, 7, 8
LAST = {True: ("B", "L", WIDTH), False: ("L", "B", WIDTH)}


class Steps(nn.Module):
    """One sequence, whose features are as many as the steps that are tried first."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


class Encoded(nn.Module):
    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=batch_first)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(x)


class Attending(nn.Module):
    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=batch_first)

    def forward(self, query: Tensor, memory: Tensor) -> Tensor:
        return self.attention(query, memory, memory)[0]


class WithState(nn.Module):
    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.layer = nn.LSTM(WIDTH, 16, num_layers=2, batch_first=batch_first)

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return self.layer(x, state)


class WithOptionalState(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.GRU(WIDTH, 16)

    def forward(self, x: Tensor, state: Tensor | None = None) -> Tensor:
        return self.layer(x, state)[0]


def sequence(batch_first: bool, steps: int = STEPS) -> Tensor:
    return torch.randn(*((BATCH, steps) if batch_first else (steps, BATCH)), WIDTH)


@pytest.fixture
def told(prober: Prober, tmp_path: Path) -> Callable[..., Report]:
    """`told(module, arguments, form, dims)`: what is told of the module, saved so."""

    def inspect(module: nn.Module, arguments: tuple[Any, ...], form: str, dynamic: Any = None) -> Report:
        path = tmp_path / ("net.pt2" if form == "program" else "net.pt")
        module.eval()
        if form == "script":
            torch.jit.script(module).save(str(path))
        elif form == "trace":
            torch.jit.trace(module, arguments, check_trace=False).save(str(path))
        else:
            torch.export.save(torch.export.export(module, arguments, dynamic_shapes=dynamic), path)
        found: Inspection = prober.run(prober.service.inspect(path))
        assert found.report is not None, found.message
        return found.report

    return inspect


def dims(value: Value) -> Any:
    return tuple(map(dims, value.items)) if value.items else value.dims


def inputs(report: Report) -> dict[str, Any]:
    return {item.name: dims(item.value) for item in report.inputs}


@pytest.mark.parametrize("form", ["script", "trace"])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_recurrent_layers_say_which_dim_is_the_batch(
    told: Callable[..., Report], kind: Callable[..., nn.Module], batch_first: bool, form: str
) -> None:
    module = Steps(kind(WIDTH, 16, batch_first=batch_first))
    report = told(module, (sequence(batch_first),), form)
    assert inputs(report) == {"x": LAST[batch_first]}
    assert report.outputs[0].dims == (*LAST[batch_first][:2], 16)


@pytest.mark.parametrize("form", ["script", "trace"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_encoders_say_which_dim_is_the_batch(told: Callable[..., Report], batch_first: bool, form: str) -> None:
    assert inputs(told(Encoded(batch_first), (sequence(batch_first),), form)) == {"x": LAST[batch_first]}


@pytest.mark.parametrize("form", ["script", "trace"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_query_and_its_memory_share_the_batch_and_not_the_length(
    told: Callable[..., Report], batch_first: bool, form: str
) -> None:
    report = told(Attending(batch_first), (sequence(batch_first), sequence(batch_first, 5)), form)
    memory = ("B", "L2", WIDTH) if batch_first else ("L2", "B", WIDTH)
    assert inputs(report) == {"query": LAST[batch_first], "memory": memory}


@pytest.mark.parametrize("form", ["script", "trace"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_state_that_is_passed_has_the_layers_first_and_the_batch_second(
    told: Callable[..., Report], batch_first: bool, form: str
) -> None:
    state = (torch.randn(2, BATCH, 16), torch.randn(2, BATCH, 16))
    report = told(WithState(batch_first), (sequence(batch_first), state), form)
    assert inputs(report) == {"x": LAST[batch_first], "state": ((2, "B", 16), (2, "B", 16))}


def test_a_state_that_may_be_left_out_changes_nothing(told: Callable[..., Report]) -> None:
    report = told(WithOptionalState(), (), "script")
    assert inputs(report)["x"] == LAST[False]
    assert report.outputs[0].dims == ("L", "B", 16)


def test_the_nested_inputs_of_a_trace_are_told_with_their_sizes(prober: Prober, tmp_path: Path) -> None:
    state = (torch.randn(2, BATCH, 16), torch.randn(2, BATCH, 16))
    torch.jit.trace(WithState(False).eval(), (sequence(False), state)).save(str(tmp_path / "net.pt"))
    found: Inspection = prober.run(prober.service.inspect(tmp_path / "net.pt"))
    assert found.facts == ("traced with x (7, 3, 8), state ((2, 3, 16), (2, 3, 16)): no limit",)


@pytest.mark.parametrize("batch_first", [False, True])
def test_a_program_has_the_batch_where_its_attention_takes_it(told: Callable[..., Report], batch_first: bool) -> None:
    free = torch.export.Dim.AUTO
    report = told(Encoded(batch_first), (sequence(batch_first),), "program", {"x": {0: free, 1: free}})
    assert inputs(report) == {"x": LAST[batch_first]}


@pytest.mark.parametrize("batch_first", [False, True])
def test_a_program_ties_the_sizes_that_it_was_exported_with_as_one(
    told: Callable[..., Report], batch_first: bool
) -> None:
    free = torch.export.Dim.AUTO
    state = (torch.randn(2, BATCH, 16), torch.randn(2, BATCH, 16))
    dynamic = {"x": {0 if batch_first else 1: free}, "state": ({1: free}, {1: free})}
    report = told(WithState(batch_first), (sequence(batch_first), state), "program", dynamic)
    x = ("B", STEPS, WIDTH) if batch_first else (STEPS, "B", WIDTH)
    assert inputs(report) == {"x": x, "state": ((2, "B", 16), (2, "B", 16))}
