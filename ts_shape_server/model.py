"""The former place of what is in `contract` now."""

from __future__ import annotations

from ts_shape_server.contract.dims import Dim
from ts_shape_server.contract.places import Location, Range, TextEdit
from ts_shape_server.contract.report import (
    SCHEMA,
    Annotation,
    Argument,
    Attempt,
    Complaint,
    Disagreement,
    Fact,
    Failure,
    FunctionFacts,
    InputSpec,
    Layer,
    Report,
    Status,
    Symbol,
    TorchScript,
    ValueSpec,
    Variable,
    without_report,
)

__all__ = [
    "SCHEMA",
    "Annotation",
    "Argument",
    "Attempt",
    "Complaint",
    "Dim",
    "Disagreement",
    "Fact",
    "Failure",
    "FunctionFacts",
    "InputSpec",
    "Layer",
    "Location",
    "Range",
    "Report",
    "Status",
    "Symbol",
    "TextEdit",
    "TorchScript",
    "ValueSpec",
    "Variable",
    "without_report",
]
