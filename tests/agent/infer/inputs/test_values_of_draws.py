"""What values each draw of an input has: which of them a module may look at is not known before it ran."""

from __future__ import annotations

import pytest

from ts_shape_server.agent import runs


@pytest.mark.parametrize("dims", [(4,), (3, 4), (4, 1), (2, 3, 5), (1, 2)])
def test_flags_are_all_true_at_first_and_then_mixed_with_as_many_in_each_row(dims: tuple[int, ...]) -> None:
    item = {"tensor": list(dims), "dtype": "bool"}
    assert runs.tensor(item).all()
    runs.seed(1)
    mixed = runs.tensor(item, 1)
    assert mixed.shape == dims and mixed.any() and not mixed.all()
    if dims[-1] > 1:
        assert len(mixed.sum(-1).unique()) == 1


@pytest.mark.parametrize("dims", [(), (1,), (0, 3), (3, 0)])
def test_flags_that_cannot_be_mixed_have_their_dims(dims: tuple[int, ...]) -> None:
    mixed = runs.tensor({"tensor": list(dims), "dtype": "bool"}, 1)
    assert mixed.shape == dims and mixed.all()
