"""A record of settings whose class is not installed still holds what the author's own code puts into it."""

from __future__ import annotations

from typing import Any

import pytest

from ts_shape_server.agent.infer.guesses import portable
from ts_shape_server.agent.standins import Inert


def changed(settings: Any) -> Any:
    settings.model = Inert("easydict.EasyDict")()
    settings.model.width = 5
    return settings


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (Inert("tensorflow.contrib.training.HParams")(width=3, rate=0.5), "SimpleNamespace(width=3, rate=0.5)"),
        (Inert("ml_collections.ConfigDict")({"width": 3}), "SimpleNamespace(width=3)"),
        (
            changed(Inert("yacs.config.CfgNode")()),
            "SimpleNamespace(model=__import__('types').SimpleNamespace(width=5))",
        ),
    ],
)
def test_what_was_put_into_it(made: Any, expected: str) -> None:
    assert portable.of_value(made, {}) == f"__import__('types').{expected}"


def test_it_is_read_by_attribute_and_by_key() -> None:
    made = Inert("easydict.EasyDict")({"width": 3})
    assert (made.width, made["width"]) == (3, 3)
    assert isinstance(made.depth, Inert)
    assert isinstance(made["depth"], Inert)


def test_anything_else_of_a_missing_package_holds_nothing() -> None:
    made = Inert("package.layers.Conv")(width=3)
    assert isinstance(made.width, Inert)
    assert portable.of_value(made, {}) is None
