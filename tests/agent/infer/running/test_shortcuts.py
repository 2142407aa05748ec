"""A call that is answered without torch gives what torch gives: sizes, layout, dtype; errors stay torch's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from ts_shape_server.agent.infer.running import symbolic
from ts_shape_server.agent.infer.running.spy import Spy

CALLS: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]] = {
    "convolution": (lambda x: nn.Conv2d(6, 8, 3, 2, 1)(x), ((2, 6, 17, 20),)),
    "convolution with words": (lambda x: nn.Conv2d(6, 8, 3, padding="same")(x), ((2, 6, 17, 20),)),
    "convolution in groups": (lambda x: nn.Conv1d(6, 12, 3, dilation=2, groups=3)(x), ((2, 6, 17),)),
    "convolution of a volume": (lambda x: nn.Conv3d(6, 4, (1, 2, 3), stride=(1, 2, 2))(x), ((2, 6, 5, 8, 9),)),
    "linear": (lambda x: nn.Linear(20, 5)(x), ((2, 3, 20),)),
    "normalised": (lambda x: nn.BatchNorm2d(6).eval()(x), ((2, 6, 4, 5),)),
    "layers normalised": (lambda x: nn.LayerNorm(5)(x), ((2, 6, 4, 5),)),
    "layers normalised after a permutation": (lambda x: nn.LayerNorm(6)(x.permute(0, 2, 3, 1)), ((2, 6, 4, 5),)),
    "joined": (lambda x, y: torch.cat([x, y], -1), ((2, 3, 4), (2, 3, 7))),
    "padded": (lambda x: F.pad(x, (1, 2, 3, 0)), ((2, 3, 4, 5),)),
    "reflected": (lambda x: F.pad(x, (1, 2), mode="reflect"), ((2, 3, 4),)),
    "added": (lambda x, y: x + y, ((2, 3), (2, 3))),
    "broadcast": (lambda x, y: x + y, ((2, 1), (2, 3))),
    "a vector norm": (lambda x: torch.linalg.vector_norm(x, 2.0, [-1], True).clamp_min(1e-12), ((2, 3, 4),)),
    "masked": (lambda x, y: x.masked_fill(y > 0, 1.0), ((2, 3, 4), (3, 4))),
    "attention": (F.scaled_dot_product_attention, ((2, 4, 7, 8), (2, 4, 9, 8), (2, 4, 9, 8))),
    "a recurrent layer": (lambda x: nn.LSTM(6, 5)(x)[0], ((4, 2, 6),)),
    "its last cell": (lambda x: nn.LSTM(6, 5, 2, bidirectional=True)(x)[1][1], ((4, 2, 6),)),
    "batches first": (lambda x: nn.GRU(6, 5, batch_first=True)(x)[0], ((2, 4, 6),)),
    "from a state": (lambda x, h: nn.RNN(6, 5)(x, h)[1], ((4, 2, 6), (1, 2, 5))),
    "a view after a slice": (lambda x: F.relu(x[:, :2]).view(2, -1), ((2, 4, 3),)),
    "an equation": (lambda x, y: torch.einsum("bhid,bhjd->bhij", x, y), ((2, 3, 5, 4), (2, 3, 7, 4))),
    "an equation whose letters change places": (
        lambda x, y: torch.einsum("bijc,cijk->kbij", x, y),
        ((2, 3, 4, 5), (5, 3, 4, 6)),
    ),
    "a product of matrices": (lambda x, y: x @ y.transpose(1, 2), ((2, 5, 4), (2, 7, 4))),
    "other sizes after a permutation": (lambda x: x.permute(0, 2, 1, 3).reshape(2, 5, 12), ((2, 3, 5, 4),)),
    "parts": (lambda x: x.chunk(3, -1)[2], ((2, 5, 10),)),
    "an item": (lambda x: x[:, -1, None], ((2, 5, 4),)),
    "a mean": (lambda x: x.mean((-2, -1), keepdim=True), ((2, 3, 5, 4),)),
    "a variance": (lambda x: x.permute(0, 2, 1).var(1, unbiased=False, keepdim=True), ((2, 5, 4),)),
    "the same call twice": (lambda x: F.max_pool2d(x + 1, 2) + F.max_pool2d(x + 1, 2), ((2, 3, 8, 9),)),
}


def run(call: Callable[..., Any], sizes: tuple[tuple[int, ...], ...], quick: bool) -> torch.Tensor:
    with symbolic.new_mode(), torch.no_grad():
        tensors = [torch.empty(size) for size in sizes]
        with Spy(tensors, {} if quick else None):
            return call(*[tensor * 1.0 for tensor in tensors])


@pytest.mark.parametrize("name", CALLS)
def test_shortcuts_give_what_torch_gives(name: str) -> None:
    call, sizes = CALLS[name]
    usual, quick = run(call, sizes, False), run(call, sizes, True)
    assert quick.shape == usual.shape
    assert quick.dtype is usual.dtype
    assert quick.is_contiguous() or not usual.is_contiguous()


DIRECT = [*CALLS][[*CALLS].index("an equation") : [*CALLS].index("the same call twice")]


@pytest.mark.parametrize("name", DIRECT)
def test_kernels_are_asked_without_torchs_python(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And lay out their results as they do when it calls them."""
    call, sizes = CALLS[name]
    usual = run(call, sizes, False)
    operators: list[str] = []
    dispatch = FakeTensorMode.dispatch

    def noted(mode: FakeTensorMode, function: Any, *rest: Any) -> Any:
        operators.append(str(function))
        return dispatch(mode, function, *rest)

    monkeypatch.setattr(FakeTensorMode, "dispatch", noted)
    quick = run(call, sizes, True)
    assert quick.stride() == usual.stride()
    assert set(operators) == {"aten.empty.memory_format"}


@pytest.mark.parametrize(
    ("call", "size"),
    [
        (lambda x: nn.Conv2d(6, 8, 3)(x), (2, 5, 9, 9)),
        (lambda x: nn.Conv2d(6, 8, 9)(x), (2, 6, 4, 4)),
        (lambda x: nn.Linear(4, 2)(x), (2, 5)),
        (lambda x: nn.BatchNorm2d(3).eval()(x), (2, 4, 5, 5)),
        (lambda x: nn.LayerNorm(3)(x), (2, 4)),
        (
            lambda x: torch.gru(
                x, x.new_zeros(1, 2, 4), [*nn.GRU(3, 4).parameters()], True, 1, 0.0, False, False, False
            ),
            (5, 2, 6),
        ),
    ],
)
def test_what_torch_refuses_is_refused_in_its_words(call: Callable[..., Any], size: tuple[int, ...]) -> None:
    told = []
    for quick in (False, True):
        with pytest.raises(RuntimeError) as error:
            run(call, (size,), quick)
        told.append(str(error.value))
    assert told[0] == told[1]


def test_tensors_reshaped_in_place_end_the_shortcuts() -> None:
    with symbolic.new_mode(), torch.no_grad():
        tensor = torch.empty(2, 3)
        with Spy([tensor], {}) as spy:
            (tensor * 1.0).unsqueeze_(0)
    assert spy.unsafe


@pytest.mark.parametrize(
    ("call", "sizes", "products"),
    [
        (torch.matmul, ((2, 3, 4), (2, 4, 5)), 2 * 3 * 4 * 5),
        (
            lambda q, k: torch.einsum("b h i d, b h j d -> b h i j", q, k),
            ((2, 3, 7, 4), (2, 3, 9, 4)),
            2 * 3 * 7 * 9 * 4,
        ),
        (lambda q, k: torch.einsum("bid,bjd->bij", [q, k]), ((2, 7, 4), (2, 9, 4)), 2 * 7 * 9 * 4),
        (lambda q, k: torch.einsum("...id,...jd->...ij", q, k), ((2, 7, 4), (2, 9, 4)), 0),
    ],
)
def test_a_run_tells_how_many_products_it_would_take(
    call: Callable[..., Any], sizes: tuple[tuple[int, ...], ...], products: int
) -> None:
    with symbolic.new_mode(), torch.no_grad():
        tensors = [torch.empty(size) for size in sizes]
        with Spy(tensors, {}) as spy:
            call(*tensors)
    assert spy.work == products
