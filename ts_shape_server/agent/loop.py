"""The agent's loop: handshake, one child per job, deadlines and kills. Runs nothing of the user's itself.

A child writes records to its pipe (`endings`). The loop passes the texts on unread. The deadline counts anew from each
``B``; there may be as many as the job has classes.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field, replace
from typing import Callable

from ts_shape_server import folders
from ts_shape_server.agent import endings, guards, ready
from ts_shape_server.agent.children import Child, Forks, Source, Spares, command
from ts_shape_server.agent.sandbox import policy
from ts_shape_server.agent.waiting import Polling, Threads, Waiter
from ts_shape_server.contract import wire
from ts_shape_server.contract.asked import CancelAsked, ReportJob, RunAsked, read_request
from ts_shape_server.contract.jobs import (
    Ended,
    Hello,
    Message,
    NotReady,
    Outcome,
    Relayed,
    SandboxTier,
    Working,
    write_message,
)
from ts_shape_server.contract.schema import ContractError

_RECORDS = 20
"""So many records may come for each class: that it begins, that it is loaded, and reports, each more precise."""
_LAST_WORDS_SECONDS = 0.2
BEAT_SECONDS = 1.0
"""Between two words of a job under way: the server takes a longer silence for the agent's end."""
_CLOSED_SECONDS = 1.0
_KILLED_SECONDS = 10.0


@dataclass
class RunningJob:
    """A job under way: its process and what is left of its allowance.

    `started` is a value of `time.monotonic()` in seconds; `memory` is the limit in MiB. `ended`: its pipe is at its
    end.
    """

    number: int
    child: Child
    guard: guards.JobGuard
    started: float
    wall: float
    memory: int
    begins: int
    records: int
    allowance: guards.Allowance
    beat: float = 0.0
    buffer: bytearray = field(default_factory=bytearray)
    received: int = 0
    problem: str = ""
    ended: bool = False


@dataclass(frozen=True)
class LoopOptions:
    """How the agent was started. `spares`: children are processes of their own, and descriptors are read by threads;
    `site` are folders of packages that those need to be told of.
    """

    request: int
    reply: int
    scratch: str
    sandbox: str
    spares: bool
    site: tuple[str, ...] = ()


def serve(options: LoopOptions) -> int:
    """Answer requests until their descriptor ends. Exit code 0, or 3 when this interpreter cannot be used."""
    os.set_inheritable(options.request, False)
    os.set_inheritable(options.reply, False)
    policy.adopt_orphans()
    source: Source | None = None
    try:
        source, hello = _start(options)
        _send(options.reply, hello)
        if source is None or isinstance(hello, NotReady):
            return 3
        # From here on the end of the request descriptor says so, and what runs is ended in order.
        policy.outlive_server()
        waiter: Waiter = Threads() if options.spares else Polling()
        Loop(options, source, waiter, hello.sandbox.tier).run()
    except BrokenPipeError:
        # The server is gone; the child dies with this process.
        return 0
    finally:
        if source is not None:
            source.close()
        policy.end_strays()
        with contextlib.suppress(Exception):
            folders.remove(options.scratch)
    return 0


def _start(options: LoopOptions) -> tuple[Source | None, Hello | NotReady]:
    """Where children come from, and what to tell the server."""
    if options.spares:
        sites = [argument for folder in options.site for argument in ("--site", folder)]
        spares = Spares([*command(), *sites], options.scratch)
        hello = spares.hello
        source: Source = spares
        seen_by: Callable[[str], str] = spares.witnessed
    else:
        hello = ready.hello()
        source = Forks(hello)
        if isinstance(hello, Hello) and (count := ready.threads()) > 1:
            words = f"torch {hello.torch} keeps {count} threads here, and such a process cannot be forked."
            return source, NotReady("no-start", f"{words} Look at the log, or choose another interpreter.")
        seen_by = _forked_witness(options.scratch)
    if isinstance(hello, NotReady):
        return source, hello
    applied = policy.available(turned_off=options.sandbox == "off")
    answer = seen_by(applied.tier)
    if answer != policy.ON:
        applied = policy.weakened(applied, answer)
    lacking = too_weak(applied, options.sandbox)
    if lacking:
        return source, NotReady("sandbox", lacking)
    return source, replace(hello, pid=os.getpid(), sandbox=SandboxTier(applied.tier, dict(applied.layers)))


def too_weak(applied: policy.Applied, sandbox: str) -> str:
    """Why the setting forbids to run probes in this sandbox; empty if it does not."""
    if sandbox != "required" or applied.tier in policy.STRONG:
        return ""
    missing = "; ".join(f"{name}: {state}" for name, state in applied.layers.items() if state != policy.ON)
    advice = 'Set `sandbox` to "bestEffort" to run probes all the same.'
    return f"The sandbox here is only of the tier `{applied.tier}` ({missing}). {advice}"


def _forked_witness(scratch: str) -> Callable[[str], str]:
    """A function that tells what a fork of this process, in the sandbox of a tier, sees of it."""

    def look(tier: str) -> str:
        reader, writer = os.pipe()
        agent = os.getpid()
        pid = os.fork()
        if pid == 0:
            from ts_shape_server.agent import child

            os.write(writer, child.try_sandbox(tier, scratch, writer, agent).encode()[:500])
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            answer = pipe.read().decode("utf-8", "replace")
        os.waitpid(pid, 0)
        return answer or "it ended the process"

    return look


def _send(descriptor: int, message: Message) -> None:
    data = memoryview(wire.encode(write_message(message)))
    while data:
        data = data[os.write(descriptor, data) :]


class Loop:
    """Waits for requests and for the running child. One job at a time; others wait in order."""

    def __init__(self, options: LoopOptions, source: Source, waiter: Waiter, tier: str) -> None:
        self._request = options.request
        self._reply = options.reply
        self._scratch = options.scratch
        self._source = source
        self._waiter = waiter
        self._tier = tier
        self._decoder = wire.Decoder()
        self._waiting: list[RunAsked] = []
        self._job: RunningJob | None = None

    def run(self) -> None:
        self._waiter.add(self._request)
        while True:
            if self._job is None and self._waiting:
                self._begin(self._waiting.pop(0))
            for descriptor, data in self._waiter.wait(self._patience()):
                job = self._job
                if descriptor == self._request:
                    if not self._take_requests(data or b""):
                        self._kill()
                        return
                elif job is not None and descriptor == job.child.pipe:
                    if self._take_records(job, data or b""):
                        self._finish("finished")
                elif job is not None and descriptor == job.child.exit:
                    self._take_last_words(job)
                    self._finish("finished")
            self._look_after()

    def _patience(self) -> float | None:
        job = self._job
        if job is None:
            return None
        return min(guards.SECONDS, job.allowance.left() or guards.SECONDS)

    def _look_after(self) -> None:
        """End a job that is past its deadline, or that uses up what no limit of the system holds."""
        job = self._job
        if job is None:
            return
        if job.allowance.over():
            self._finish("timeout")
            return
        if time.monotonic() >= job.beat:
            job.beat = time.monotonic() + BEAT_SECONDS
            _send(self._reply, Working(job.number))
        outcome, words = job.guard.problem()
        if outcome is not None:
            job.problem = words
            self._finish(outcome)

    def _take_requests(self, data: bytes) -> bool:
        """False when there will be no more."""
        if not data:
            return False
        try:
            requests = [read_request(message) for message in self._decoder.feed(data)]
        except ContractError:
            return False
        for request in requests:
            if isinstance(request, RunAsked):
                self._waiting.append(request)
            elif isinstance(request, CancelAsked):
                self._cancel(request.id)
            else:
                return False
        return True

    def _cancel(self, number: int) -> None:
        if self._job is not None and self._job.number == number:
            self._finish("cancelled")
            return
        if any(asked.id == number for asked in self._waiting):
            self._waiting = [asked for asked in self._waiting if asked.id != number]
            self._done(number, "cancelled", "", 0.0)

    def _begin(self, asked: RunAsked) -> None:
        try:
            self._job = self._start(asked)
        except BrokenPipeError:
            raise
        except OSError as error:
            # A full disk, or no process to be had: this job is lost, and the next may fare better.
            self._done(asked.id, "crashed", f"it could not be started: {error.strerror or error}", 0.0)

    def _start(self, asked: RunAsked) -> RunningJob:
        limits = asked.limits
        scratch = os.path.join(self._scratch, f"job-{asked.id}")
        os.makedirs(scratch, exist_ok=True)
        child = self._source.start(asked, scratch, self._tier)
        memory = limits.memory_bytes
        guard = guards.JobGuard(scratch, limits.file_bytes, child.pid, memory if policy.watches_memory() else None)
        wall = limits.wall_ms / 1000
        now = time.monotonic()
        begins = max(1, len(asked.job.classes)) if isinstance(asked.job, ReportJob) else 1
        self._waiter.add(child.pipe)
        if child.exit is not None:
            self._waiter.add_end(child.exit, lambda: child.wait(wall * (begins + 1)))
        allowance = guards.Allowance(child.pid, wall)
        return RunningJob(asked.id, child, guard, now, wall, memory >> 20, begins, _RECORDS * begins, allowance)

    def _take_records(self, job: RunningJob, data: bytes) -> bool:
        """Pass on what the child has written; True when it has closed its end or must go."""
        if not data:
            job.ended = True
            return True
        job.buffer += data
        job.received += len(data)
        if job.received > wire.MAXIMUM_CLAIMS:
            job.problem = f"it sent more than {wire.MAXIMUM_CLAIMS >> 20} MiB"
            return True
        while len(job.buffer) >= endings.RECORD.size:
            kind, length = endings.RECORD.unpack_from(job.buffer)
            if length > wire.MAXIMUM_CLAIM or kind not in (b"B", b"C"):
                job.problem = "it sent something that is no report"
                return True
            end = endings.RECORD.size + length
            if len(job.buffer) < end:
                break
            job.records -= 1
            if job.records < 0:
                job.problem = "it sent reports without end"
                return True
            text = bytes(job.buffer[endings.RECORD.size : end]).decode("utf-8", "replace")
            del job.buffer[:end]
            if kind == b"B" and job.begins > 0:
                job.begins -= 1
                job.allowance = guards.Allowance(job.child.pid, job.wall)
            _send(self._reply, Relayed(job.number, text))
        return False

    def _take_last_words(self, job: RunningJob) -> None:
        """It has ended, though something that it started may still hold the pipe: take what is there."""
        deadline = time.monotonic() + _LAST_WORDS_SECONDS
        while self._job is job and not job.ended and not job.problem and (left := deadline - time.monotonic()) > 0:
            for descriptor, data in self._waiter.wait(left):
                if descriptor == job.child.pipe:
                    self._take_records(job, data or b"")
                elif descriptor == self._request and not self._take_requests(data or b""):
                    raise BrokenPipeError

    def _kill(self) -> None:
        if self._job is not None:
            self._job.child.kill()
            self._job.child.wait(_KILLED_SECONDS)

    def _finish(self, outcome: Outcome) -> None:
        job = self._job
        if job is None:
            return
        child = job.child
        self._job = None
        self._waiter.remove(child.pipe)
        if child.exit is not None:
            self._waiter.remove(child.exit)
        if outcome == "finished" and not job.problem:
            code = child.wait(_CLOSED_SECONDS)
            outcome, detail = "crashed", "it closed its result and went on running"
            if code is not None:
                outcome, detail = endings.in_words(code, job.memory)
        elif outcome == "timeout":
            detail = f"it took longer than {job.wall:.3g} s"
        else:
            detail = job.problem
            outcome = "crashed" if outcome == "finished" else outcome
        child.kill()
        child.wait(_KILLED_SECONDS)
        child.close()
        policy.end_strays(self._source.pids)
        self._done(job.number, outcome, detail, time.monotonic() - job.started)

    def _done(self, number: int, outcome: Outcome, detail: str, elapsed: float) -> None:
        _send(self._reply, Ended(number, outcome, detail, int(elapsed * 1000)))
