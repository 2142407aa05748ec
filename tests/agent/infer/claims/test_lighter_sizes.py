"""Runs that only look at code are made at smaller sizes of the claim, where its own example takes many products."""

from __future__ import annotations

from torch import Tensor, nn

from ts_shape_server.agent.clock import now
from ts_shape_server.agent.infer.claims import claims, lighter
from ts_shape_server.agent.infer.claims.claim import Claim
from ts_shape_server.agent.infer.claims.trials import Trials
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.running import instances


class Halving(nn.Module):
    """Takes images whose sides are multiples of four."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 64, 4, stride=4), nn.Conv2d(64, 64, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        b, _, h, w = x.shape
        return self.layers(x).view(b, 64, h // 4, w // 4)


class Fixed(nn.Module):
    """Takes images of one size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 3, padding=1)
        self.table = nn.Parameter(Tensor(1, 64, 256, 256))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.table


def claimed(module: type[nn.Module], side: int) -> tuple[Trials, Claim]:
    session = instances.build(module, {}, globals(), True)
    inputs = (values.InputGuess("x", values.TensorGuess((2, 3, side, side))),)
    tried = Trials(session, inputs, session.concrete(inputs), now() + 20, now() + 20)
    return tried, claims.generalise(tried, session.symbolic(inputs).guards)


def test_a_large_image_is_made_smaller_in_the_steps_of_the_claim() -> None:
    trials, claim = claimed(Halving, 512)
    found = lighter.sizes(trials, claim)
    assert found is not None
    smaller, beside = found
    assert claim.allows(smaller)
    assert max(smaller) < 512
    assert beside is not None
    assert claim.allows(beside)
    assert beside != smaller


def test_a_light_example_stays() -> None:
    assert lighter.sizes(*claimed(Halving, 16)) is None


def test_sizes_that_are_fixed_stay() -> None:
    found = lighter.sizes(*claimed(Fixed, 256))
    assert found is None or found[0][2:] == (256, 256)
