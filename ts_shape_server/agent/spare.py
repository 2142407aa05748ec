"""A child that is a process of its own: it loads torch, says so, waits for one job, enters the sandbox and runs it.

For systems where a process that has torch loaded cannot be forked. It speaks over its standard input and output, which
user code never sees: both are moved before anything of the user's runs.
"""

from __future__ import annotations

import faulthandler
import os
import sys

from ts_shape_server.agent import ready, standard
from ts_shape_server.contract import schema, wire
from ts_shape_server.contract.asked import Handed
from ts_shape_server.contract.jobs import Working, write_message

_READY_SECONDS = 60.0


def serve(token: str, witness: bool) -> int:
    """Run one job, or with `witness` only try the sandbox. Ends without a word when the agent is gone."""
    faulthandler.dump_traceback_later(_READY_SECONDS, exit=True)
    request, result = standard.taken()
    os.write(result, token.encode())
    _write(result, wire.encode(write_message(Working(0) if witness else ready.hello())))
    faulthandler.cancel_dump_traceback_later()
    handed = _handed(request)
    if handed is None:
        return 0
    if sys.platform == "linux":
        # The death signal does it; a thread would stay outside of the sandbox.
        os.close(request)
    else:
        standard.end_with(request)
    from ts_shape_server.agent import child

    if handed.run is None:
        _write(result, child.try_sandbox(handed.tier, handed.scratch, result, handed.agent).encode()[:500])
        return 0
    child.main(handed.run, result, handed.scratch, handed.agent, handed.tier)
    return 0


def _handed(request: int) -> Handed | None:
    decoder = wire.Decoder()
    while data := os.read(request, 1 << 16):
        for message in decoder.feed(data):
            return schema.read(Handed, message)
    return None


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
