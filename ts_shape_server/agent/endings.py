"""How a child ends, in words, and the records that it writes until then. Knows the exit codes of every platform.

A record is a kind (``B`` begins a class, ``C`` is a claim), a length and a text.
"""

from __future__ import annotations

import json
import signal
import struct
from collections.abc import Mapping
from typing import Any

from ts_shape_server.contract.jobs import Outcome

RECORD = struct.Struct(">cI")
MEMORY_CODE = 77
SANDBOX_CODE = 78
INTERNAL_CODE = 79

_SIGNALS = {
    "SIGSEGV": "segmentation fault in native code",
    "SIGABRT": "native code aborted",
    "SIGBUS": "bus error in native code",
    "SIGFPE": "arithmetic fault in native code",
    "SIGILL": "illegal instruction in native code",
    "SIGXFSZ": "it wrote a file larger than allowed",
    "SIGKILL": "it was killed, as the system does when memory runs out",
    "SIGSYS": "it made a system call that the sandbox forbids",
}
_BY_NUMBER = {int(getattr(signal, name)): words for name, words in _SIGNALS.items() if hasattr(signal, name)}
_OUT_OF_TIME = int(getattr(signal, "SIGXCPU", 1 << 16))
_STATUSES = {
    0xC0000005: "segmentation fault in native code",
    0xC0000409: "native code aborted",
    0xC000001D: "illegal instruction in native code",
    0xC0000094: "arithmetic fault in native code",
    0xC00000FD: "stack overflow in native code",
}
"""What Windows gives as the exit code of a process that died."""
_NO_MEMORY = frozenset({0xC0000017, 0xC000012D})
_NO_TIME = 0x718
"""`ERROR_NOT_ENOUGH_QUOTA`: a job object ends with it what has used up its processor time."""


def in_words(code: int, memory: int) -> tuple[Outcome, str]:
    """The outcome and how the process died, from its exit code as `subprocess` tells it (a signal is negative) and the
    limit of its memory in MiB.
    """
    if code == -_OUT_OF_TIME or code == _NO_TIME:
        return "timeout", "it used up its processor time"
    if code < 0:
        return "crashed", _BY_NUMBER.get(-code, f"signal {-code}")
    if code == MEMORY_CODE or code in _NO_MEMORY:
        return "memory", f"it needs more than the limit of {memory} MiB of memory"
    if code == SANDBOX_CODE:
        return "sandbox", "the sandbox could not be set up"
    if code == INTERNAL_CODE:
        return "crashed", "it met an error of its own, which the log shows"
    if code in _STATUSES:
        return "crashed", _STATUSES[code]
    return ("finished", "") if code == 0 else ("crashed", f"it ended itself with code {code}")


def record(kind: bytes, payload: Mapping[str, Any]) -> bytes:
    """A record for the pipe."""
    body = json.dumps(payload, allow_nan=False, default=str).encode("utf-8", "replace")
    return RECORD.pack(kind, len(body)) + body
