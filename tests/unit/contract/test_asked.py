"""What the server asks of an agent is read as it was written, and anything else is refused with what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from ts_shape_server.contract import wire
from ts_shape_server.contract.asked import (
    CancelAsked,
    ClassAsked,
    ExportJob,
    FileAsked,
    InspectJob,
    Job,
    JobLimits,
    ReportJob,
    Request,
    RunAsked,
    ShutdownAsked,
    TrialJob,
    VerifyJob,
    read_request,
    write_request,
)
from ts_shape_server.contract.report import Report
from ts_shape_server.contract.schema import ContractError

SOURCES = FileAsked("/w/net.py", "/w", {"/w/net.py": "x = 1\n"}, ("/w/lib",), {"MODE": "eval"})
LIMITS = JobLimits(wall_ms=2000, cpu_s=7, memory_bytes=1 << 30, file_bytes=1 << 20)
REPORT = Report("/w/net.py", "Net", 3, "ok")
JOBS: list[Job] = [
    ReportJob(SOURCES, (ClassAsked("Net", 3), ClassAsked("Head", 9)), sliced=True, stages=("example",)),
    TrialJob(SOURCES, "Net", REPORT, {"/w/net.py": "x = 2\n"}),
    ExportJob(SOURCES, "Net", REPORT, "export.pt", "trace", "/w/best.pth", "float16"),
    VerifyJob("/w/net.pt", "/w/net.pt.expected"),
    InspectJob("/w/net.pt"),
]
REQUESTS: list[Request] = [CancelAsked(4), ShutdownAsked(), *(RunAsked(4, job, LIMITS) for job in JOBS)]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda item: type(getattr(item, "job", item)).__name__)
def test_a_request_is_read_as_it_was_written(request_: Request) -> None:
    (message,) = wire.Decoder().feed(wire.encode(write_request(request_)))
    assert read_request(message) == request_


def _run(**job: Any) -> dict[str, Any]:
    return {"type": "run", "id": 1, "job": job, "limits": write_request(RunAsked(1, JOBS[4], LIMITS))["limits"]}


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"type": "restart"}, "is none of run, cancel, shutdown"),
        ({"id": 3}, "is none of run, cancel, shutdown"),
        ({"type": "cancel", "id": "3"}, "`id` is no number"),
        (_run(type="delete"), "`job` is none of report, trial, export, verify, inspect"),
        (_run(type="inspect"), "`job.archive` is missing"),
        (_run(type="verify", archive="a", expected=7), "`job.expected` is no text"),
        ({**_run(type="inspect", archive="a"), "limits": {"wall_ms": 1}}, "`limits.cpu_s` is missing"),
    ],
)
def test_what_is_no_request_is_refused(message: dict[str, Any], problem: str) -> None:
    with pytest.raises(ContractError, match=problem):
        read_request(message)
