"""A report with what TorchScript makes of its class, or with the note that this interpreter has none."""

from __future__ import annotations

from dataclasses import replace

from ts_shape_server.agent.context import Context
from ts_shape_server.agent.runs import Run
from ts_shape_server.agent.script import support
from ts_shape_server.agent.script.examination import examine
from ts_shape_server.contract.report import Report


def examined(report: Report, run: Run, context: Context) -> Report:
    """`report`, and what scripting and tracing of the `run` say."""
    if not support.supported():
        return replace(report, notes=(*report.notes, support.sentence()))
    return replace(report, torchscript=examine(run, context))
