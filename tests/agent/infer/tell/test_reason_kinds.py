"""Why there is no report is told with a kind and with facts: whoever decides by it reads no sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from inference_helpers import net, report


@pytest.mark.parametrize(
    ("source", "code", "kind", "facts"),
    [
        (
            net("self.a = nn.Linear(8, 6); self.b = nn.Linear(5, 2)", "return self.b(self.a(x))"),
            "shape-mismatch",
            "fixed-sizes-disagree",
            {"layer": "b", "wanted": 5, "got": 6},
        ),
        (net("pass", "raise KeyError('nothing')"), "no-input", "every-attempt-failed", {"error": "KeyError"}),
        (
            net("raise KeyError('nothing')", "return x"),
            "no-constructor",
            "constructor-fails",
            {"error": "KeyError", "arguments": []},
        ),
        (
            net("raise KeyError('nothing')", "return x", arguments=", width"),
            "no-constructor",
            "arguments-unknown",
            {"error": "KeyError", "arguments": ["width"]},
        ),
        (net("pass", "raise NotImplementedError"), "abstract", "class-abstract", {}),
        ("class Net(nn.Module):\n    pass\n", "no-forward", "forward-undefined", {}),
    ],
)
def test_a_reason_has_a_kind(tmp_path: Path, source: str, code: str, kind: str, facts: dict[str, object]) -> None:
    reason = report(tmp_path, source)["reason"]
    assert (reason["code"], reason["kind"], reason["facts"]) == (code, kind, facts)
