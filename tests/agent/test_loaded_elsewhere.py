"""``script ✓``: another process has loaded what was saved, and computed the same; where none could, that is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from probing_helpers import HEAD, quiet

from ts_shape_server.agent.elsewhere import LoaderProcess
from ts_shape_server.contract import schema, wire
from ts_shape_server.contract.jobs import VerifyAnswer
from ts_shape_server.contract.report import ScriptAttempt

NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 3)
        {}
    def forward(self, x):
        return {}
"""
OWN_OPERATION = """
library = torch.library.Library("only_in_this_source", "DEF")
library.define("twice(Tensor x) -> Tensor")
library.impl("twice", lambda x: x * 2, "CompositeImplicitAutograd")
"""
LARGE = 'self.register_buffer("table", torch.zeros(18 << 20), persistent=False)'
BEYOND_A_FILE = LARGE.replace("18", "12")
COUNTED = 'self.register_buffer("calls", torch.zeros(1))'
DRAWN = "self.fc(x) + torch.randn_like(x)[:, :3]"


def scripted(prober: Any, folder: Path, source: str) -> ScriptAttempt:
    report = prober.reports(folder, HEAD + source, "Net", on_report=quiet)["Net"]
    assert report.status == "ok", report.reason
    found: ScriptAttempt = report.torchscript.script
    return found


@pytest.mark.parametrize(
    ("made", "result"),
    [
        pytest.param("pass", "self.fc(x)", id="a layer"),
        pytest.param(BEYOND_A_FILE, "self.fc(x) + self.table[0]", id="more than a file may hold"),
        pytest.param("pass", DRAWN, id="random numbers"),
        pytest.param(COUNTED, "self.fc(x) + self.calls.add_(1)", id="what a call leaves behind"),
    ],
)
def test_what_another_process_computes_alike_is_proven(prober: Any, tmp_path: Path, made: str, result: str) -> None:
    found = scripted(prober, tmp_path, NET.format(made, result))
    assert found.proven, found


def test_an_operation_that_only_the_source_registers_is_a_trap(prober: Any, tmp_path: Path) -> None:
    """The process that has the source can load it; no other can."""
    source = OWN_OPERATION + NET.format("pass", "torch.ops.only_in_this_source.twice(self.fc(x))")
    found = scripted(prober, tmp_path, source)
    assert found.ok and [item.kind for item in found.failures] == ["cannot-be-saved"]
    assert "only_in_this_source::twice" in found.failures[0].message


def test_what_is_too_large_to_be_saved_is_not_proven(prober: Any, tmp_path: Path) -> None:
    found = scripted(prober, tmp_path, NET.format(LARGE, "self.fc(x) + self.table[0]"))
    assert (found.ok, found.failures, found.archive, found.proven) == (True, (), "large", False)


def asked_of(answer: bytes) -> VerifyAnswer | None:
    """What comes of a process that writes this and ends."""
    taken, asked = os.pipe()
    answered, given = os.pipe()
    os.write(given, answer)
    os.close(given)
    try:
        return LoaderProcess(asked, answered)(b"archive", b"calls", 0.1)
    finally:
        for descriptor in (taken, asked, answered):
            os.close(descriptor)


def test_a_process_that_ends_or_talks_nonsense_says_nothing() -> None:
    assert asked_of(wire.encode(schema.write(VerifyAnswer(True, sizes=2)))) == VerifyAnswer(True, sizes=2)
    for answer in (b"", wire.encode(schema.write(VerifyAnswer(True)))[:-1], wire.encode({"ok": "yes"})):
        assert asked_of(answer) is None
