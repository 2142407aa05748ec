"""What a child sends names no places in memory: the same class is told in the same words each time."""

from __future__ import annotations

import os

from ts_shape_server.agent.child import Sender
from ts_shape_server.contract.jobs import ProbeClaim
from ts_shape_server.contract.report import Failure, Report


def test_places_in_memory_are_left_out() -> None:
    """As Python writes them, and as TorchScript does."""
    told = "<Part object at 0x7f18abcd> is of Part (of Python compilation unit at: 0x557d49e1b750), not 0x10"
    reading, writing = os.pipe()
    try:
        failure = Failure("script-error", told)
        Sender(writing).claim(ProbeClaim("Net", report=Report("net.py", "Net", 1, "failed", reason=failure)))
        sent = os.read(reading, 1 << 16).decode(errors="replace")
    finally:
        os.close(reading)
        os.close(writing)
    assert "<Part object> is of Part (of Python compilation unit), not 0x10" in sent
