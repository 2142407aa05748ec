"""Runs that only look at code are made with narrower layers, where the same code runs in them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ts_shape_server.agent.infer.claims import lighter_layers
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.running import instances

TOKENS = values.InputGuess("x", values.TensorGuess((2, 64, 32)))
WORDS = values.InputGuess("x", values.TensorGuess((2, 64), "int64", 0, 1023))


class Deep(nn.Module):
    def __init__(self, dim: int, depth: int) -> None:
        super().__init__()
        self.first = nn.Linear(32, dim)
        self.layers = nn.ModuleList([nn.Linear(dim, dim) for _ in range(depth)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for layer in self.layers:
            x = layer(x)
        return x.mean(-1)


class Usual(Deep):
    """Has as many blocks as most do."""

    def __init__(self, dim: int, depth: int = 12) -> None:
        super().__init__(dim, depth)


class Skipping(Deep):
    """Does more before one of its blocks."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for number, layer in enumerate(self.layers):
            if number == 5:
                x = torch.relu(x)
            x = layer(x)
        return x.mean(-1)


class Widening(Deep):
    """Takes another way where it is wide."""

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        if self.first.out_features > 1000:
            x = x * 2
        return x


class Gated(Deep):
    """Has a part more where it is wide."""

    def __init__(self, dim: int, depth: int) -> None:
        super().__init__(dim, depth)
        self.gate = nn.Sigmoid() if dim > 1000 else None

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        return x if self.gate is None else self.gate(x)


class Reading(Deep):
    """Reads values, so that it runs on real tensors alone."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * min(float(x.abs().max()), 1.0))


class Marking(Deep):
    """Keeps a table that is no buffer, with values where it is small and without memory where it is large."""

    def __init__(self, dim: int, depth: int) -> None:
        super().__init__(dim, depth)
        self.marks = (torch.arange(64.0)[:, None] / torch.arange(1.0, dim + 1.0)[None, :]).sin()

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.marks.to(x.dtype).sum(-1)


class Looking(Deep):
    """Looks words up in a table of as many."""

    def __init__(self, words: int, dim: int, depth: int) -> None:
        super().__init__(dim, depth)
        self.table = nn.Embedding(words, 32)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.table(x))


def check(
    cls: type[nn.Module], plan: dict[str, str], expected: dict[str, str] | None, given: values.InputGuess
) -> None:
    session = instances.build(cls, plan, {"torch": torch}, True)
    found = lighter_layers.arguments(session, plan, [(given,)], str(Path(__file__).parent), __file__)
    assert found == expected


def test_a_wide_module_is_made_narrower() -> None:
    check(Deep, {"dim": "2048", "depth": "2"}, {"dim": "256", "depth": "2"}, TOKENS)


def test_a_module_that_keeps_a_table_is_made_narrower() -> None:
    """Whether the table has values is no difference between the two."""
    kept = [instances.build(Marking, {"dim": dim, "depth": "2"}, {}, True).module.marks for dim in ("256", "2048")]
    assert type(kept[0]) is not type(kept[1])
    check(Marking, {"dim": "2048", "depth": "2"}, {"dim": "256", "depth": "2"}, TOKENS)


def test_blocks_that_repeat_are_made_fewer() -> None:
    check(Deep, {"dim": "2048", "depth": "12"}, {"dim": "256", "depth": "2"}, TOKENS)


def test_a_number_that_nobody_gives_is_made_smaller_too() -> None:
    check(Usual, {"dim": "2048"}, {"dim": "256", "depth": "2"}, TOKENS)


def test_blocks_that_repeat_are_made_fewer_where_a_narrower_module_takes_another_way() -> None:
    check(Widening, {"dim": "2048", "depth": "12"}, {"dim": "2048", "depth": "2"}, TOKENS)


def test_blocks_of_which_one_in_the_middle_is_another_stay() -> None:
    check(Skipping, {"dim": "2048", "depth": "12"}, {"dim": "256", "depth": "12"}, TOKENS)


def test_a_module_that_reads_values_is_made_narrower() -> None:
    check(Reading, {"dim": "2048", "depth": "2"}, {"dim": "256", "depth": "2"}, TOKENS)


def test_a_module_of_few_products_stays() -> None:
    check(Deep, {"dim": "256", "depth": "2"}, None, TOKENS)


def test_a_module_that_takes_another_way_when_narrower_stays() -> None:
    check(Widening, {"dim": "2048", "depth": "2"}, None, TOKENS)


def test_a_module_that_has_other_parts_when_narrower_stays() -> None:
    check(Gated, {"dim": "2048", "depth": "2"}, None, TOKENS)


def test_a_table_that_is_too_small_for_its_indices_is_not_taken() -> None:
    check(Looking, {"words": "1024", "dim": "2048", "depth": "2"}, None, WORDS)
