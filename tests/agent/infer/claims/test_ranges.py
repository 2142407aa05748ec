"""The smallest and the largest size that run are found exactly, in few runs, where torch states no condition for them.

So it is for nets whose run on symbols takes too long: of those there are no guards at all.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ts_shape_server.agent.clock import now
from ts_shape_server.agent.infer.claims import ranges
from ts_shape_server.agent.infer.claims.trials import Trials
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.running import instances


class Patches(nn.Module):
    """Takes images of at least one patch of eleven."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 11, stride=11)

    def forward(self, x: Tensor) -> Tensor:
        return self.embed(x).mean((2, 3))


class Narrowing(nn.Module):
    """Three layers, of which the last asks for the most."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 5, stride=2), nn.MaxPool2d(7))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten(1)[:, :1]


class Positions(nn.Module):
    """Takes sequences up to the length of its table."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(1, 77, 8))

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.table[:, : x.size(1)]).mean(1)


def trials(module: Callable[[], nn.Module], *sizes: int, dear: bool = True) -> Trials:
    session = instances.build(module, {}, globals(), True)  # type: ignore[arg-type]  # the class itself
    inputs = (values.InputGuess("x", values.TensorGuess(sizes)),)
    tried = Trials(session, inputs, session.concrete(inputs), now() + 20, now() + 20)
    tried.cost_of_good = 10.0 if dear else 0.0
    return tried


@pytest.mark.parametrize(("module", "smallest"), [(Patches, 11), (Narrowing, 19)])
def test_the_smallest_size_is_what_torch_asks_for_before_it_fails(
    module: Callable[[], nn.Module], smallest: int
) -> None:
    tried = trials(module, 2, 3, 64, 64)
    found = ranges.downward(tried, ranges.seen(tried, (2,), 1), [])
    assert found.minimum == smallest
    assert sum(tried.known.values()) == 1, "halving would have run at 32 first"


def test_the_largest_size_is_what_torch_asks_for_before_it_fails() -> None:
    tried = trials(Positions, 2, 40, 8)
    found = ranges.upward(tried, ranges.seen(tried, (1,), 1), [], 0)
    assert found.maximum == 77
    assert len(tried.known) <= 3


def test_the_second_side_of_an_image_is_what_the_first_is_in_two_runs() -> None:
    tried = trials(Narrowing, 2, 3, 64, 64, dear=False)
    first = ranges.downward(tried, ranges.seen(tried, (2,), 1), [])
    before = len(tried.known)
    second = ranges.downward(tried, ranges.seen(tried, (3,), 1), [], [1, first.minimum])
    assert (first.minimum, second.minimum) == (19, 19)
    assert len(tried.known) == before + 3, "one step, the likely size, and the one below it"


def test_where_nothing_is_asked_the_size_is_found_by_halving() -> None:
    class Checked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if int(x.shape[1]).bit_length() < 4:
                raise ValueError("too short")
            return x.sum(1)

    tried = trials(Checked, 2, 64, dear=False)
    assert ranges.downward(tried, ranges.seen(tried, (1,), 1), []).minimum == 8


def test_where_runs_are_dear_there_is_more_time_up_to_a_limit() -> None:
    tried = trials(Patches, 2, 3, 64, 64)
    tried.good((3, 3, 64, 64))
    usual = tried.deadline = now() + 1.0
    tried.latest = now() + 8.0
    tried.cost_of_good = 0.001
    tried.put_off(16)
    assert tried.deadline == usual
    tried.cost_of_good = 0.2
    tried.put_off(16)
    assert usual < tried.deadline < tried.latest
    tried.cost_of_good = 2.0
    tried.put_off(16)
    assert tried.deadline == tried.latest
