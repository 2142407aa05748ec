"""The agent's loop: handshake, warm-up, one child per job, deadlines and kills. Runs nothing of the user's itself.

A child writes records to its pipe: a kind (``B`` begins a class, ``C`` is a claim), a length, a text. The loop passes
the texts on unread. The deadline counts anew from each ``B``; there may be as many as the job has classes.
"""

from __future__ import annotations

import gc
import json
import os
import select
import shutil
import signal
import struct
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ts_shape_server.agent.sandbox import policy
from ts_shape_server.probing import wire

RECORD = struct.Struct(">cI")
MINIMUM_TORCH = (2, 2)
MINIMUM_PYTHON = (3, 9)
_CHUNK = 1 << 16


@dataclass
class Child:
    """A running job: its process, its pipe, and what is left of its allowance.

    `exit` is a descriptor that becomes readable when the process ends. Times are in seconds, `deadline` by
    `time.monotonic()`; `memory` is the limit in MiB.
    """

    job: int
    pid: int
    pipe: int
    exit: int | None
    started: float
    wall: float
    memory: int
    begins: int
    deadline: float
    buffer: bytearray = field(default_factory=bytearray)
    received: int = 0
    problem: str = ""


def serve(request: int, reply: int, scratch: str, sandbox: str) -> int:
    """Answer requests until their descriptor ends. Exit code 0, or 3 when this interpreter cannot be used."""
    os.set_inheritable(request, False)
    os.set_inheritable(reply, False)
    policy.adopt_orphans()
    hello = _hello(scratch, sandbox)
    try:
        _send(reply, hello)
        if hello["type"] != "hello":
            return 3
        Loop(request, reply, scratch, hello["sandbox"]["tier"]).run()
    except BrokenPipeError:
        # The server is gone; the child dies with this process.
        return 0
    finally:
        policy.end_strays()
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


def _hello(scratch: str, sandbox: str) -> dict[str, Any]:
    if sys.version_info < MINIMUM_PYTHON:
        return _refused("old-python", f"Python {sys.version.split()[0]} is too old: 3.9 or later is needed.")
    try:
        import torch
    except Exception as error:
        return _refused("no-torch", f"torch cannot be imported: {type(error).__name__}: {error}"[:300])
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2] if part.isdigit())
    if version < MINIMUM_TORCH:
        return _refused("old-torch", f"torch {torch.__version__} is too old: 2.2 or later is needed.")
    symbolic = _warm()
    if (count := threads()) > 1:
        words = f"torch {torch.__version__} keeps {count} threads here, and a process with threads cannot be forked."
        return _refused("no-start", f"{words} Look at the log, or choose another interpreter.")
    applied = witnessed(policy.available(turned_off=sandbox == "off"), scratch)
    lacking = too_weak(applied, sandbox)
    if lacking:
        return _refused("sandbox", lacking)
    return {
        "type": "hello",
        "protocol": wire.PROTOCOL,
        "python": sys.version.split()[0],
        "torch": str(torch.__version__),
        "executable": sys.executable,
        "pid": os.getpid(),
        "symbolic": symbolic,
        "sandbox": {"tier": applied.tier, "layers": dict(applied.layers)},
    }


def too_weak(applied: policy.Applied, sandbox: str) -> str:
    """Why the setting forbids to run probes in this sandbox; empty if it does not."""
    if sandbox != "required" or applied.tier == policy.FULL:
        return ""
    missing = "; ".join(f"{name}: {state}" for name, state in applied.layers.items() if state != policy.ON)
    advice = 'Set `sandbox` to "bestEffort" to run probes all the same.'
    return f"The sandbox here is only of the tier `{applied.tier}` ({missing}). {advice}"


def threads() -> int:
    """How many threads this process has, as far as the system tells."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1


def witnessed(applied: policy.Applied, scratch: str) -> policy.Applied:
    """`applied` if a child that enters it sees it hold, else what is left."""
    reader, writer = os.pipe()
    agent = os.getpid()
    pid = os.fork()
    if pid == 0:
        from ts_shape_server.agent import child

        os.write(writer, child.try_sandbox(applied.tier, scratch, writer, agent).encode()[:500])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read().decode("utf-8", "replace")
    os.waitpid(pid, 0)
    return applied if answer == policy.ON else policy.weakened(applied, answer or "it ended the process")


def _refused(code: str, message: str) -> dict[str, Any]:
    return {"type": "refused", "code": code, "message": message}


def _warm() -> bool:
    """Load what every child needs, on fake and meta tensors alone: a parallel kernel would leave threads behind."""
    import logging
    import warnings

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    from ts_shape_server.agent import child, warmup

    symbolic = warmup.warm()
    child.prepare()
    gc.collect()
    gc.freeze()
    return symbolic


def _send(descriptor: int, message: Mapping[str, Any]) -> None:
    data = memoryview(wire.encode(message))
    while data:
        data = data[os.write(descriptor, data) :]


class Loop:
    """Polls the requests and the running child's pipe. One job at a time; others wait in order."""

    def __init__(self, request: int, reply: int, scratch: str, tier: str) -> None:
        self._request = request
        self._reply = reply
        self._scratch = scratch
        self._tier = tier
        self._decoder = wire.Decoder()
        self._waiting: list[dict[str, Any]] = []
        self._child: Child | None = None

    def run(self) -> None:
        poller = select.poll()
        poller.register(self._request, select.POLLIN)
        while True:
            if self._child is None and self._waiting:
                self._start(self._waiting.pop(0))
                if self._child is not None:
                    self._watch(poller, self._child)
            timeout = None if self._child is None else max(0.0, self._child.deadline - time.monotonic()) * 1000
            for descriptor, _ in poller.poll(timeout):
                child = self._child
                if descriptor == self._request:
                    if not self._read_requests(poller):
                        self._kill()
                        return
                elif child is not None and descriptor == child.pipe and self._read_child():
                    self._finish("finished", poller)
                elif child is not None and descriptor == child.exit:
                    # It has ended, though something that it started may still hold the pipe: take what is there.
                    while not self._read_child() and select.select([child.pipe], [], [], 0)[0]:
                        continue
                    self._finish("finished", poller)
            if self._child is not None and time.monotonic() >= self._child.deadline:
                self._finish("timeout", poller)

    def _watch(self, poller: select.poll, child: Child) -> None:
        poller.register(child.pipe, select.POLLIN)
        if child.exit is not None:
            poller.register(child.exit, select.POLLIN)

    def _read_requests(self, poller: select.poll) -> bool:
        data = os.read(self._request, _CHUNK)
        if not data:
            return False
        try:
            messages = list(self._decoder.feed(data))
        except wire.WireError:
            return False
        for message in messages:
            if message.get("type") == "run":
                self._waiting.append(message)
            elif message.get("type") == "cancel":
                self._cancel(message.get("id"), poller)
            elif message.get("type") == "shutdown":
                return False
        return True

    def _cancel(self, job: Any, poller: select.poll) -> None:
        if self._child is not None and self._child.job == job:
            self._finish("cancelled", poller)
            return
        if any(message["id"] == job for message in self._waiting):
            self._waiting = [message for message in self._waiting if message["id"] != job]
            self._done(job, "cancelled", "", 0.0)

    def _start(self, message: dict[str, Any]) -> None:
        limits = message["limits"]
        scratch = os.path.join(self._scratch, f"job-{message['id']}")
        os.makedirs(scratch, exist_ok=True)
        reader, writer = os.pipe()
        agent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            from ts_shape_server.agent import child

            child.main(message["job"], limits, writer, scratch, agent, self._tier)
            os._exit(0)
        os.close(writer)
        os.set_blocking(reader, False)
        wall = limits["wall_ms"] / 1000
        now = time.monotonic()
        begins = max(1, len(message["job"].get("classes", ())))
        memory = limits["memory_bytes"] >> 20
        self._child = Child(message["id"], pid, reader, _watched(pid), now, wall, memory, begins, now + wall)

    def _read_child(self) -> bool:
        """Pass on what the child has written; True when it has closed its end or must go."""
        child = self._child
        assert child is not None
        try:
            data = os.read(child.pipe, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            return True
        child.buffer += data
        child.received += len(data)
        if child.received > wire.MAXIMUM_CLAIMS:
            child.problem = f"it sent more than {wire.MAXIMUM_CLAIMS >> 20} MiB"
            return True
        while len(child.buffer) >= RECORD.size:
            kind, length = RECORD.unpack_from(child.buffer)
            if length > wire.MAXIMUM_CLAIM or kind not in (b"B", b"C"):
                child.problem = "it sent something that is no report"
                return True
            end = RECORD.size + length
            if len(child.buffer) < end:
                break
            text = bytes(child.buffer[RECORD.size : end]).decode("utf-8", "replace")
            del child.buffer[:end]
            if kind == b"B" and child.begins > 0:
                child.begins -= 1
                child.deadline = time.monotonic() + child.wall
            _send(self._reply, {"type": "claim", "id": child.job, "payload": text})
        return False

    def _kill(self) -> int:
        """Kill the child and all it started; its wait status."""
        child = self._child
        if child is None:
            return 0
        for target in (-child.pid, child.pid):
            try:
                os.kill(target, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
        _, status = os.waitpid(child.pid, 0)
        return status

    def _finish(self, outcome: str, poller: select.poll) -> None:
        child = self._child
        assert child is not None
        poller.unregister(child.pipe)
        if child.exit is not None:
            poller.unregister(child.exit)
            os.close(child.exit)
        if outcome == "finished" and not child.problem:
            status = _wait(child.pid, 1.0)
            if status is None:
                self._kill()
                outcome, detail = "crashed", "it closed its result and went on running"
            else:
                outcome, detail = in_words(status, child.memory)
                _kill_group(child.pid)
        else:
            self._kill()
            outcome = "crashed" if child.problem else outcome
            detail = child.problem or (f"it took longer than {child.wall:.3g} s" if outcome == "timeout" else "")
        self._child = None
        os.close(child.pipe)
        policy.end_strays()
        elapsed = time.monotonic() - child.started
        self._done(child.job, outcome, detail, elapsed)

    def _done(self, job: Any, outcome: str, detail: str, elapsed: float) -> None:
        message = {"type": "done", "id": job, "outcome": outcome, "detail": detail, "elapsed_ms": int(elapsed * 1000)}
        _send(self._reply, message)


def _watched(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; None where the system has no such thing."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _kill_group(pid: int) -> None:
    try:
        os.kill(-pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _wait(pid: int, seconds: float) -> int | None:
    """The wait status of a child that is about to end, None if it does not."""
    deadline = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done == pid:
            return status
        if time.monotonic() > deadline:
            return None
        time.sleep(0.001)


_SIGNALS = {
    signal.SIGSEGV: "segmentation fault in native code",
    signal.SIGABRT: "native code aborted",
    signal.SIGBUS: "bus error in native code",
    signal.SIGFPE: "arithmetic fault in native code",
    signal.SIGILL: "illegal instruction in native code",
    signal.SIGXFSZ: "it wrote a file larger than allowed",
    signal.SIGKILL: "it was killed, as the system does when memory runs out",
    signal.SIGSYS: "it made a system call that the sandbox forbids",
}
MEMORY_CODE = 77
SANDBOX_CODE = 78
INTERNAL_CODE = 79


def in_words(status: int, memory: int) -> tuple[str, str]:
    """The outcome and how the process died, from its wait status and the limit of its memory in MiB."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            return "timeout", "it used up its processor time"
        known = {int(key): words for key, words in _SIGNALS.items()}
        return "crashed", known.get(number, f"signal {number}")
    code = os.WEXITSTATUS(status)
    if code == MEMORY_CODE:
        return "memory", f"it needs more than the limit of {memory} MiB of memory"
    if code == SANDBOX_CODE:
        return "sandbox", "the sandbox could not be set up"
    if code == INTERNAL_CODE:
        return "crashed", "it met an error of its own, which the log shows"
    return ("finished", "") if code == 0 else ("crashed", f"it ended itself with code {code}")


def record(kind: bytes, payload: Mapping[str, Any]) -> bytes:
    """A record for the pipe."""
    body = json.dumps(payload, allow_nan=False, default=str).encode("utf-8", "replace")
    return RECORD.pack(kind, len(body)) + body
