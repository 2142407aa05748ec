"""What fails in the author's code while it is read ends no probe."""

from __future__ import annotations

from pathlib import Path

import pytest
from inference_helpers import net, report

PROPERTY = """
    @property
    def cache(self):
        raise RuntimeError("call setup first")

    def scaled(self, x, cache):
        return x * cache
"""
PROGRAM = """
class Options:
    def __init__(self, name):
        self.name = name
        raise SystemExit(2)


"""


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(
            net("self.fc = nn.Linear(4, 1)", "return self.scaled(x, self.cache) if self.training else self.fc(x)")
            + PROPERTY,
            id="a property that is passed on",
        ),
        pytest.param(
            PROGRAM + net("self.fc = nn.Linear(4, 1)", "return self.fc(batch.premise)", "batch"),
            id="a class beside it whose constructor ends the program",
        ),
    ],
)
def test_an_input_is_found_all_the_same(tmp_path: Path, source: str) -> None:
    found = report(tmp_path, source)
    assert found["status"] == "ok", found["reason"]
