"""A class for which there is nothing to find is given up early, and its report says how its searches ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from inference_helpers import net, report

from ts_shape_server.contract.report import Report
from ts_shape_server.contract.schema import read, write


def runs_of(found: dict[str, Any]) -> int:
    """Runs of inputs: those of whole searches apart."""
    moves = found["effort"]["moves"]
    return sum(item["ran"] for name, item in moves.items() if name not in ("start arguments", "start both"))


@pytest.mark.parametrize(
    "missing",
    [
        "open('weights.bin').read()",
        "undefined(x)",
        "torch.distributed.get_world_size()",
        "__import__('no_such_package')",
    ],
)
def test_what_is_missing_is_not_looked_for_in_other_sizes(tmp_path: Path, missing: str) -> None:
    body = f"h = self.layer(x); {missing}; return h"
    source = net("self.layer = nn.Linear(size, 4)", body).replace("def __init__(self)", "def __init__(self, size)")
    found = report(tmp_path, source)
    assert found["status"] == "unresolved"
    assert runs_of(found) < 16
    assert found["effort"]["moves"]["start arguments"]["ran"] == 1


def test_what_a_subclass_has_to_define_is_not_looked_for(tmp_path: Path) -> None:
    source = net("self.layer = nn.Linear(8, 4)", "return self.encode(self.layer(x))")
    source += "\n    def encode(self, x):\n        \"Of a subclass.\"\n        raise NotImplementedError('encode')\n"
    found = report(tmp_path, source)
    assert found["status"] == "skipped"
    assert runs_of(found) < 16


def test_a_way_that_is_not_implemented_is_gone_around(tmp_path: Path) -> None:
    body = "if x.dim() != 3: raise NotImplementedError('sequences'); return self.layer(x)"
    found = report(tmp_path, net("self.layer = nn.Linear(8, 4)", body.replace("; ", "\n        ")))
    assert found["status"] == "ok"


def test_what_fails_alike_for_very_different_sizes_is_not_tried_for_all(tmp_path: Path) -> None:
    body = "h = self.layer(x); raise RuntimeError('it never runs')"
    source = net("self.layer = nn.Linear(size, 4)", body).replace("def __init__(self)", "def __init__(self, size)")
    found = report(tmp_path, source)
    assert found["status"] == "unresolved"
    assert found["effort"]["moves"]["start arguments"]["ran"] == 3


@pytest.mark.parametrize("said", ["it never runs", "it never runs.", "it is not in [5, 10]."])
def test_what_an_error_says_ends_with_one_full_stop(tmp_path: Path, said: str) -> None:
    found = report(tmp_path, net("self.layer = nn.Linear(8, 4)", f"raise RuntimeError({said!r})"))
    assert f"{said.rstrip('.')}." in found["reason"]["message"]
    # An input of which nothing is known has the shape `(...)` in the advice.
    assert ".." not in found["reason"]["message"].replace("(...)", "")


def test_a_trail_crosses_as_the_contract_has_it(tmp_path: Path) -> None:
    found = report(tmp_path, net("self.layer = nn.Linear(8, 4)", "return self.layer(x)"))
    told = read(Report, {**found, "stage": "final"})
    assert dict(told.effort.moves)["start inputs"].led == 1
    assert write(told)["effort"]["exits"]["inputs found"] >= 1
    without = {name: value for name, value in found.items() if name != "effort"}
    assert "effort" not in write(read(Report, without))
