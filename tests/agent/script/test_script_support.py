"""Where Python has left TorchScript behind: one calm sentence, and everything else goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ts_shape_server.agent import clock, script
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer import report_class
from ts_shape_server.agent.script import support
from ts_shape_server.contract import schema
from ts_shape_server.contract.asked import ClassAsked, ExportJob, FileAsked
from ts_shape_server.contract.report import Report

SOURCE = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 5)

    def forward(self, x, extra=None):
        return self.fc(x)
"""


def check(load: Any, python: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The report of a class that runs, on such a Python."""
    monkeypatch.setattr(support, "PYTHON", python)
    run, context = load(SOURCE)
    around = Context(context.path, context.root, context.source, run.namespace, clock.now() + 40)
    found: list[Report] = []
    report_class(run.cls, ClassAsked("Net"), around, found.append, script=script.examined)
    last = schema.write(found[-1])
    assert last["status"] == "ok" and last["stage"] == "final"
    assert last["inputs"][0]["dims"] == ["B", 3]
    return last


def test_a_python_without_torchscript_is_told_once_and_calmly(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    report = check(load, (3, 14), monkeypatch)
    assert report["notes"] == [
        "TorchScript does not support Python 3.14: scripting and tracing were not tried. Export with `torch.export`."
    ]
    assert report["torchscript"]["script"] == {"ok": None, "failures": []}


def test_a_python_with_torchscript_is_not_told_of_it(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    report = check(load, (3, 13), monkeypatch)
    assert report["notes"] == []
    assert report["torchscript"]["script"]["ok"] is True


def test_an_export_that_needs_it_is_refused_and_a_program_is_made(
    load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(support, "PYTHON", (3, 14))
    run, context = load(SOURCE, second={"x": {"tensor": [4, 3]}})
    job = ExportJob(FileAsked(context.path, context.root), "Net", Report("net.py", "Net", 1, "ok"), "net.pt", "script")
    refused = script.export(run, job, str(tmp_path))
    assert not refused.ok and refused.reason is not None and refused.reason.kind == "no-torchscript"
    made = script.export(run, replace(job, output="net.pt2", method="program"), str(tmp_path))
    assert made.ok, made.reason
