"""What integer tensors hold without memory is known where sizes say it.

A look beyond a table's end fails as it does in torch.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.inputs import wishes
from ts_shape_server.agent.infer.running import instances
from ts_shape_server.agent.infer.running.session import Outcome

TABLE = 40


class Looking(nn.Module):
    """Looks positions up that `places` makes of the input."""

    def __init__(self, places: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.table = nn.Embedding(TABLE, 4)
        self.places = places

    def forward(self, x: Tensor) -> Tensor:
        return self.table(self.places(x))


def run(places: Callable[[Tensor], Tensor], *sizes: int, dtype: str = "float32") -> tuple[Outcome, Outcome]:
    """The outcome on tensors without memory, and the one on symbols."""
    session = instances.build(lambda: Looking(places), {}, globals(), True)  # type: ignore[arg-type]  # made like a class
    inputs = (values.InputGuess("x", values.TensorGuess(sizes, dtype, 0, 9)),)
    session.cls = Looking
    return session.concrete(inputs), session.symbolic(inputs)


@pytest.mark.parametrize(
    ("places", "fits", "beyond", "stated"),
    [
        (lambda x: torch.arange(x.shape[0] * x.shape[1]), (8, 5), (7, 6), "s0*s1 > 40"),
        (lambda x: torch.arange(x.shape[0]).unsqueeze(0).expand(2, -1) + 3, (37, 1), (38, 1), "s0 + 3 > 40"),
        (lambda x: torch.arange(4, 4 + x.shape[0])[None, :], (36, 1), (37, 1), "s0 + 4 > 40"),
        (lambda x: torch.arange(100)[: x.shape[0]], (40, 1), (41, 1), "s0 > 40"),
        (lambda x: torch.tensor(x.shape[0]), (39, 1), (40, 1), "s0 + 1 > 40"),
        (lambda x: torch.full((3,), x.shape[0]), (39, 1), (40, 1), "s0 + 1 > 40"),
        (
            lambda x: torch.arange(x.shape[0])[:, None] - torch.arange(x.shape[0])[None] + x.shape[0] - 1,
            (20, 1),
            (21, 1),
            "2*s0 - 1 > 40",
        ),
        (lambda x: torch.cumsum(x.ne(1).int(), 1) * x.ne(1).int() + 1, (2, 38), (2, 39), "s1 + 2 > 40"),
        (lambda x: torch.stack(torch.meshgrid(torch.arange(x.shape[0]), indexing="ij")), (40, 1), (41, 1), "s0 > 40"),
    ],
)
def test_positions_beyond_the_table_fail_and_the_bound_is_heard(
    places: Callable[[Tensor], Tensor], fits: tuple[int, ...], beyond: tuple[int, ...], stated: str
) -> None:
    on_numbers, on_symbols = run(places, *fits)
    assert on_numbers.ok and on_symbols.ok
    assert stated in [str(guard.expression) for guard in on_symbols.guards if not guard.value]
    on_numbers, on_symbols = run(places, *beyond)
    assert isinstance(on_numbers.error, IndexError) and isinstance(on_symbols.error, IndexError)


@pytest.mark.parametrize(
    "places",
    [
        lambda x: torch.arange(x.shape[0]) % TABLE,
        lambda x: torch.arange(x.shape[0]).clamp(max=TABLE - 1),
        lambda x: torch.minimum(torch.arange(x.shape[0]), torch.full((x.shape[0],), TABLE - 1)),
        lambda x: torch.arange(x.shape[0]) - torch.arange(x.shape[0]),
        lambda x: torch.arange(x.shape[0]) // 100,
        lambda x: torch.arange(x.shape[0])[:TABLE],
        lambda x: torch.zeros(x.shape[0], dtype=torch.long) + 3,
    ],
)
def test_what_stays_within_the_table_runs_at_every_size(places: Callable[[Tensor], Tensor]) -> None:
    assert all(outcome.ok for outcome in run(places, 3000, 1))


@pytest.mark.parametrize(
    ("places", "low", "high"),
    [
        (lambda x: x, 0, 39),
        (lambda x: x + 2, -2, 37),
        (lambda x: x - 1, 1, 40),
        (lambda x: x.view(-1).clone() * 2, 0, 19),
        (lambda x: torch.cat([x, x + 4]), 0, 35),
        (lambda x: x.masked_fill(x > 3, 0), 0, 39),
    ],
)
def test_an_input_that_is_looked_up_has_the_bounds_of_the_table(
    places: Callable[[Tensor], Tensor], low: int, high: int
) -> None:
    wish = run(places, 4, 4, dtype="int64")[0].wishes[0]
    assert (wish.low, wish.high) == (low, high)
    bounded = wishes.bounded((values.InputGuess("x", values.TensorGuess((4, 4), "int64")),), {0: wish})
    guess = next(values.tensors(bounded[0].guess))
    assert (guess.low, guess.high) == (max(0, low), high)
    assert guess.limited_below and guess.limited_above


def test_flags_made_of_an_input_leave_its_values_free() -> None:
    outcome, _ = run(lambda x: torch.cumsum((x != 3).long(), 1), 2, 5, dtype="int64")
    assert outcome.ok
    assert 0 not in outcome.wishes or outcome.wishes[0].high is None


def test_a_tensor_of_ones_as_large_as_an_input_holds_none_of_its_values() -> None:
    outcome, _ = run(lambda x: torch.cumsum(torch.ones_like(x), 1) - 1, 2, 5, dtype="int64")
    assert outcome.wishes.get(0) is None or outcome.wishes[0].high is None
