"""Which of the arguments that the workspace's calls pass are begun with."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from torch import nn

from ts_shape_server.agent.infer.constructor import given
from ts_shape_server.agent.infer.facts.evidence import Drawn


def build(init: Mapping[str, str]) -> nn.Module:
    return nn.Linear(**{name: int(value) for name, value in init.items()})


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors is a no-op")
@pytest.mark.parametrize(
    ("calls", "chosen"),
    [
        pytest.param([{"in_features": "3", "out_features": "4"}], 0, id="of one call"),
        pytest.param(
            [{"in_features": "3"}, {"in_features": "5", "out_features": "4"}], 1, id="of the first that builds"
        ),
        pytest.param([{"in_features": "3", "out_features": "0"}], None, id="none where a weight would be empty"),
        pytest.param(
            [{"in_features": "3", "out_features": "0"}, {"in_features": "5", "out_features": "4"}],
            1,
            id="of the next where a weight would be empty",
        ),
    ],
)
def test_arguments_of_calls(calls: list[dict[str, str]], chosen: int | None) -> None:
    drawn = [Drawn(f"call net.py:{number}", "call", "net.py", number, init, None) for number, init in enumerate(calls)]
    found = given.choose({}, drawn, build)
    assert found.init == ({} if chosen is None else calls[chosen])
