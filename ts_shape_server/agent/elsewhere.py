"""Another process that loads what a job has saved: a fork made before the job has seen anything of the user's.

In the sandbox a job can start no process, so this one is there before it, waits, and ends with it. It enters a sandbox
of its own once it is asked, and works on one archive after another. Knows no torch: what it does with an archive is
handed to it. Where processes are not forked (`policy.needs_spares`), there is none.
"""

from __future__ import annotations

import contextlib
import os
import select
import struct
from typing import Callable

from ts_shape_server.agent import clock
from ts_shape_server.agent.sandbox import policy
from ts_shape_server.contract import schema, wire
from ts_shape_server.contract.jobs import VerifyAnswer
from ts_shape_server.contract.schema import ContractError

Verify = Callable[[bytes, bytes], VerifyAnswer]
"""What is done with an archive and with the calls for which it must give the same, both as the bytes of their files."""
Enter = Callable[[int, tuple[int, ...]], None]
"""Enters the sandbox of a process, given the number of its parent and the descriptors that it keeps."""
_CHUNK = 1 << 16
_HEADER = struct.Struct(">QQd")
"""Bytes of the archive, bytes of the calls, and seconds. No files: how large these may be is limited."""


class LoaderProcess:
    """The job's end: asks, and waits for the answer."""

    def __init__(self, requests: int, answers: int) -> None:
        self.descriptors = (requests, answers)
        self._decoder = wire.Decoder()
        self._ended = False

    def __call__(self, archive: bytes, calls: bytes, seconds: float) -> VerifyAnswer | None:
        """What the other process says of an archive, for which it may work so many seconds; None if it has ended, or
        does not come back.
        """
        requests, answers = self.descriptors
        if self._ended:
            return None
        try:
            for data in (_HEADER.pack(len(archive), len(calls), seconds), archive, calls):
                _write(requests, data)
            # It ends by its own limit, which counts work; beyond this it hangs.
            watch, most = clock.Stopwatch(), 2 * seconds * clock.CONTENTION
            while (left := most - watch.wall_ms / 1000) > 0 and select.select([answers], [], [], left)[0]:
                data = os.read(answers, _CHUNK)
                if not data:
                    break
                for message in self._decoder.feed(data):
                    return schema.read(VerifyAnswer, message)
        except (OSError, ContractError):
            pass
        self._ended = True
        return None


def start(enter: Enter, verify: Verify, others: tuple[int, ...]) -> LoaderProcess | None:
    """The process, which waits; None where there can be none. It enters its sandbox before its first archive, and
    closes the descriptors `others`.
    """
    if policy.needs_spares():
        return None
    taken, asked = os.pipe()
    answered, given = os.pipe()
    parent = os.getpid()
    try:
        number = os.fork()
    except OSError:
        for descriptor in (taken, asked, answered, given):
            os.close(descriptor)
        return None
    if number == 0:
        try:
            for descriptor in (asked, answered, *others):
                os.close(descriptor)
            _serve(taken, given, lambda: enter(parent, (taken, given)), verify)
        finally:
            os._exit(0)
    os.close(taken)
    os.close(given)
    return LoaderProcess(asked, answered)


def _serve(requests: int, answers: int, enter: Callable[[], None], verify: Verify) -> None:
    """Answer until the job ends."""
    entered = False
    with os.fdopen(requests, "rb") as stream:
        while len(header := stream.read(_HEADER.size)) == _HEADER.size:
            if not entered:
                enter()
                entered = True
            archive, calls, seconds = _HEADER.unpack(header)
            answer = _limited(verify, stream.read(archive), stream.read(calls), seconds)
            _write(answers, wire.encode(schema.write(answer)))


def _limited(verify: Verify, archive: bytes, calls: bytes, seconds: float) -> VerifyAnswer:
    clock.restart()
    with contextlib.suppress(clock.TimeLimit), clock.time_limit(seconds):
        return verify(archive, calls)
    return VerifyAnswer(False, "it took too long", compared=False)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
