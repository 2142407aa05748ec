"""What a claim says of sizes is true on both sides of every condition that `forward` or torch asks.

Each case is the body of `forward`, the sizes that were found, and what is told: ranges by name, and constraints.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import sympy
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ts_shape_server.agent.clock import now
from ts_shape_server.agent.infer.claims import claims, indices
from ts_shape_server.agent.infer.claims.claim import Claim
from ts_shape_server.agent.infer.claims.trials import Trials
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.running import expressions, instances, shots
from ts_shape_server.agent.infer.tell import general


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Torch logs each run that fails without memory."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


class Switch(nn.Module):
    """Wide images go another way, which wants multiples of eight."""

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] >= 128:
            x = F.pixel_unshuffle(x, 8)
        return x.mean((-1, -2))[:, :1]


class Either(nn.Module):
    """Which side is asked hangs on which is larger."""

    def forward(self, x: Tensor) -> Tensor:
        if max(x.shape[-2:]) > 256:
            x = F.pixel_unshuffle(x, 2)[:, :3]
        return x * 2


class Zone(nn.Module):
    """Fails in the middle."""

    def forward(self, x: Tensor) -> Tensor:
        if 100 <= x.shape[-1] < 120:
            raise RuntimeError("not these")
        return x * 2


class Chunks(nn.Module):
    """Groups of four at most, or the batch itself."""

    def forward(self, x: Tensor) -> Tensor:
        count = min(4, x.shape[0])
        return x.reshape(count, -1, *x.shape[1:]).mean(0).repeat(count, 1, 1, 1)


class Area(nn.Module):
    """A place for each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(4096, 3)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        return x + self.table(torch.arange(height * width)).t().reshape(1, 3, height, width)


class Odd(nn.Module):
    """Down and up again gives odd sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv1d(2, 4, 3, 2, 1), nn.ConvTranspose1d(4, 2, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.up(self.down(x))


class Halves(nn.Module):
    """The second half is written from the first."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.clone()
        half = x.shape[1] // 2
        x[:, half:] = x[:, :half]
        return x


class Skip(nn.Module):
    """Halves twice and doubles by a factor, which torch follows as a number alone."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.again = nn.Conv2d(3, 8, 2, 2), nn.Conv2d(8, 8, 2, 2)
        self.up = nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        return torch.cat([x, self.up(self.again(x))], 1)


class Plain(nn.Module):
    """Asks which side is larger, and does the same."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.shape[2] > x.shape[3] else x + x


def claim(module: type[nn.Module], *sizes: int) -> Claim:
    session = instances.build(module, {}, globals(), True)
    inputs = (values.InputGuess("x", values.TensorGuess(sizes)),)
    outcome, shot = shots.take(lambda watch: session.symbolic(inputs, watch), session.module, __file__, range(1, 9999))
    assert shot is not None
    tried = Trials(session, inputs, session.concrete(inputs), now() + 20, now() + 20, True)
    tried.stated, tried.asking_cost = general.stated(shot), 0.01
    return claims.generalise(tried, outcome.guards)


def told(found: Claim) -> dict[int, Any]:
    return {item.members[0]: (item.minimum, item.maximum, item.multiple_of, item.remainder) for item in found.free}


any_size = (1, None, 1, 0)


@pytest.mark.parametrize(
    ("module", "sizes", "ranges", "constraints"),
    [
        (Switch, (2, 3, 64, 64), {0: any_size, 1: any_size, 2: any_size, 3: (1, 127, 1, 0)}, []),
        (Either, (2, 3, 64, 64), {0: any_size, 1: any_size, 2: (1, 256, 1, 0), 3: (1, 256, 1, 0)}, []),
        (Zone, (2, 16), {0: any_size, 1: (1, 99, 1, 0)}, []),
        (Chunks, (2, 3, 8, 8), {0: (1, 4, 1, 0), 1: any_size, 2: any_size, 3: any_size}, []),
        (Area, (2, 3, 64, 64), {0: any_size, 2: any_size, 3: any_size}, ["s2*s3 <= 4096"]),
        (Odd, (2, 2, 15), {0: any_size, 2: (1, None, 2, 1)}, []),
        (Halves, (2, 3, 8, 8), {0: any_size, 1: (2, None, 2, 0), 2: any_size, 3: any_size}, []),
        (Skip, (2, 3, 64, 64), {0: any_size, 2: (4, None, 4, 0), 3: (4, None, 4, 0)}, []),
        (Plain, (2, 3, 8, 8), {0: any_size, 1: any_size, 2: any_size, 3: any_size}, []),
    ],
)
def test_a_claim_ends_where_something_else_begins(
    module: type[nn.Module], sizes: tuple[int, ...], ranges: dict[int, Any], constraints: list[str]
) -> None:
    found = claim(module, *sizes)
    assert told(found) == ranges
    assert [str(item.expression) for item in found.conditions] == constraints


class Ratio(nn.Module):
    """The second may be twice as long as the first."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        if y.shape[1] > 2 * x.shape[1]:
            raise ValueError("too long")
        return x.mean(1) + y.mean(1)


def test_a_ratio_of_two_sizes_is_a_constraint_and_no_limit_of_either() -> None:
    session = instances.build(Ratio, {}, globals(), True)
    inputs = tuple(values.InputGuess(name, values.TensorGuess((2, 16))) for name in "xy")
    traced = session.symbolic(inputs)
    tried = Trials(session, inputs, session.concrete(inputs), now() + 20, now() + 20)
    found = claims.generalise(tried, traced.guards)
    assert told(found) == {0: any_size, 1: any_size, 3: any_size}
    assert [str(item.expression) for item in found.conditions] == ["s3 <= 2*s1"]
    assert [item.holds((2, 4, 2, 9)) for item in found.conditions] == [False]


class Tokens(nn.Module):
    """A position for each token of each frame."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(320, 8)

    def forward(self, x: Tensor) -> Tensor:
        b, t, n, _ = x.shape
        return x.reshape(b, t * n, 8) + self.table(torch.arange(t * n))


def test_memory_limits_no_size_that_a_condition_limits() -> None:
    session = instances.build(Tokens, {}, globals(), True)
    inputs = (values.InputGuess("x", values.TensorGuess((2, 3, 64, 8))),)
    traced = session.symbolic(inputs)
    tried = Trials(session, inputs, session.concrete(inputs), now() + 20, now() + 20, True)
    found = indices.checked(tried, claims.generalise(tried, traced.guards))
    assert told(found) == {0: any_size, 1: any_size, 2: any_size}
    assert [str(item.expression) for item in found.conditions] == ["s1*s2 <= 320"]


def test_a_search_that_was_cut_short_knows_no_limit() -> None:
    class Slow(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            for _ in range(x.shape[1] * 100):
                x = x + 1
            return x

    session = instances.build(Slow, {}, globals(), True)  # type: ignore[arg-type]  # found by no name
    inputs = (values.InputGuess("x", values.TensorGuess((2, 8))),)
    tried = Trials(session, inputs, session.concrete(inputs), now() + 2, now() + 2)
    found = claims.generalise(tried, tuple(session.symbolic(inputs).guards))
    assert {item.maximum for item in found.free} == {None}


@pytest.mark.parametrize(
    ("stated", "spelled"),
    [
        ("a*b + 1 <= 197", "a*b <= 196"),
        ("a - 2 > 3", "a > 5"),
        ("a + b <= 4", "a + b <= 4"),
        ("a <= b + 1", "a <= b + 1"),
    ],
)
def test_numbers_of_a_comparison_stand_on_its_right(stated: str, spelled: str) -> None:
    names = {name: sympy.Symbol(name, integer=True, positive=True) for name in "ab"}
    assert expressions.text(expressions.balanced(sympy.sympify(stated, names))) == spelled
