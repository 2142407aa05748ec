"""An instance is made once where memory would change nothing, and its weights are left alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ts_shape_server.agent.infer.running import instances, symbolic
from ts_shape_server.agent.infer.running.memory import SkipInitialisation, WithoutValues, parameter_counts

made: list[str] = []


class Checked(nn.Module):
    """Refuses its argument once all layers are there."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        made.append("Checked")
        self.layer = nn.Linear(width, width)
        if width % 3:
            raise ValueError("a multiple of three")


class Reading(nn.Module):
    """Reads a weight, which has no value without memory."""

    def __init__(self) -> None:
        super().__init__()
        made.append("Reading")
        self.layer = nn.Linear(8, 8)
        self.start = float(self.layer.weight.abs().max().item() > -1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * self.start


@pytest.fixture(autouse=True)
def nothing_made() -> None:
    made.clear()


def test_what_python_refuses_is_not_tried_with_memory() -> None:
    with pytest.raises(ValueError, match="three"):
        instances.build(Checked, {"width": "8"}, globals(), True)
    assert made == ["Checked"]


def test_what_reads_values_is_made_with_memory() -> None:
    session = instances.build(Reading, {}, globals(), True)
    assert made == ["Reading", "Reading"]
    assert not symbolic.is_fake(session.module.layer.weight)  # type: ignore[union-attr, arg-type]  # a Linear


def test_weights_that_are_data_keep_their_values() -> None:
    weight, data = nn.Parameter(torch.full((200, 200), 3.0)), torch.full((200, 200), 3.0)
    with SkipInitialisation(of_parameters=True), torch.no_grad():
        nn.init.normal_(weight)
        nn.init.normal_(data)
    assert bool((weight == 3).all())
    assert not bool((data == 3).all())


def layers() -> list[nn.Module]:
    return [
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.LSTM(4, 5, bidirectional=True),
        nn.MultiheadAttention(8, 2),
        nn.Embedding(7, 3, padding_idx=0),
        nn.PReLU(),
        nn.Linear(2, 3, dtype=torch.float64),
    ]


def _told(tensor: Any) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor.device, tensor.requires_grad, tensor.is_leaf


def test_layers_have_the_weights_that_torch_gives_them() -> None:
    usual = [{**dict(item.named_parameters()), **dict(item.named_buffers())} for item in layers()]
    mode = symbolic.new_mode()
    with mode, torch.no_grad(), WithoutValues(mode):
        quick = [{**dict(item.named_parameters()), **dict(item.named_buffers())} for item in layers()]
    assert [{name: _told(item) for name, item in each.items()} for each in quick] == [
        {name: _told(item) for name, item in each.items()} for each in usual
    ]
    assert all(symbolic.is_fake(item) for each in quick for item in each.values())


def test_a_number_keeps_its_value_until_it_is_changed() -> None:
    mode = symbolic.new_mode()
    with mode, torch.no_grad(), WithoutValues(mode):
        count = torch.tensor(5)
        assert count.item() == 5
        count.zero_()
        assert count.item() == 0


def test_a_number_is_copied_and_not_the_memory_behind_it() -> None:
    mode = symbolic.new_mode()
    with mode, torch.no_grad(), WithoutValues(mode):
        count = torch.tensor(5)
        first, second = copy.deepcopy([count, count])
        layer = copy.deepcopy(nn.BatchNorm1d(4))
    assert first is second
    assert first is not count
    assert symbolic.is_fake(first)
    assert (first.shape, first.dtype) == (count.shape, count.dtype)
    assert symbolic.is_fake(layer.num_batches_tracked)


def test_an_alias_shares_its_storage() -> None:
    mode = symbolic.new_mode()
    with mode, torch.no_grad(), WithoutValues(mode):
        weight = torch.empty(3, 4)
        assert weight.detach().untyped_storage()._cdata == weight.untyped_storage()._cdata


def test_parameters_are_counted_where_torch_takes_each_of_them_for_a_lazy_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def as_torch_2_2_does(self: type, instance: object) -> bool:
        """`isinstance` of `nn.Parameter` and of the classes below it, as torch 2.2 answers it."""
        plain: bool = type.__instancecheck__(self, instance)
        return plain or getattr(instance, "_is_param", False)

    monkeypatch.setattr(type(nn.Parameter), "__instancecheck__", as_torch_2_2_does)
    module = instances.build(Reading, {}, {"__name__": "net"}, fake=False).module
    light = instances.build(nn.Linear, {"in_features": "8", "out_features": "8"}, {"nn": nn}, fake=True).module
    assert isinstance(light.weight, nn.UninitializedParameter)
    assert (parameter_counts(module), parameter_counts(light)) == ((72, 288), (72, 288))
