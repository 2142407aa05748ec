"""One agent process: started, asked, cancelled, killed, started again. Every wait here has a deadline.

The state changes in one place, `_become`, which logs it and tells. What a child claims is read, and so
checked, before it leaves this module. Knows nothing of what reports mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import signal
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ts_shape_server.contract import wire
from ts_shape_server.contract.asked import (
    CancelAsked,
    Job,
    JobLimits,
    ReportJob,
    Request,
    RunAsked,
    ShutdownAsked,
    write_request,
)
from ts_shape_server.contract.jobs import Ended, Hello, Message, NotReady, ProbeClaim, Working, read_claim
from ts_shape_server.contract.schema import ContractError
from ts_shape_server.deadline import within
from ts_shape_server.probing import scratch
from ts_shape_server.probing.process import Launch, Output, Process, launch

log = logging.getLogger(__name__)

START_SECONDS = 180.0
"""For torch to be imported, from a cold disk and beside whatever else the machine does."""
GRACE_SECONDS = 5.0
SILENCE_SECONDS = 15.0
"""An agent with a job says every second that it is working, from when the job's process is there."""
LOOK_SECONDS = 1.0
LOOKS = 3
"""So often in a row is an agent that says nothing seen to be stopped by a signal before it is ended."""
STOP_SECONDS = 2.0
BACKOFF = (0.0, 0.5, 2.0, 10.0, 30.0)
"""Seconds from a failure to the next start, by how many came before it without a job in between that went well."""
_DID_NOT_END = "The agent did not end a probe when asked to, and was ended."
PATIENCE = 1.0
"""A pause that is no longer than this is waited for; in a longer one the last error is the answer."""


class State(enum.Enum):
    """Where an agent is in its life."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    FAILED = "failed"


@dataclass(frozen=True)
class Done:
    """How a job ended; `detail` says in words how the process died."""

    outcome: str
    detail: str
    elapsed_ms: int


@dataclass(frozen=True)
class Limits:
    """What a job may use; times in seconds, sizes in bytes. The wall time counts for each class of a job."""

    wall: float = 20.0
    memory: int = 4 << 30
    file: int = 16 << 20

    def of_export(self) -> Limits:
        """Making an archive and loading it again moves every weight, and writes them."""
        return replace(self, wall=self.wall * 6, file=8 << 30)

    def of_job(self, classes: int) -> JobLimits:
        """Those of a job with so many classes."""
        return JobLimits(int(self.wall * 1000), int(self.wall * classes) + 5, self.memory, self.file)


class AgentError(Exception):
    """The agent cannot be used. `code` is one of the refusals of an agent, ``no-start``, ``died`` or ``stopped``.

    `passing`: it ended without a reason of its own, so that another start may go well.
    """

    def __init__(self, code: str, message: str, passing: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.passing = passing


class Agent:
    """A process in the user's interpreter. One job at a time; `run` waits its turn."""

    def __init__(self, description: Launch, on_state: Callable[[State], None] | None = None) -> None:
        self.state = State.STOPPED
        self.hello: Hello | None = None
        self.output = Output()
        self._launch = description
        self._on_state = on_state
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._jobs = 0
        self._failures = 0
        self._may_start = 0.0
        self._error: AgentError | None = None
        self._stopped = False
        self._looking_after: asyncio.Task[None] | None = None

    @property
    def trouble(self) -> str:
        """Why it has ended and is started again, in a sentence; empty while it is well."""
        if self._error is None or not self._error.passing or self.state in (State.READY, State.BUSY, State.STOPPED):
            return ""
        return f"{self._error} It is started again."

    @property
    def scratch(self) -> str:
        """The folder that the process and its children may write; empty while there is none."""
        return self._process.scratch if self._process is not None else ""

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start, if it is not running; once more if it ends on the way. AgentError if that fails; it may be tried again
        after a pause that grows.
        """
        if self._process is not None and not self._process.ended:
            return
        await self._end()
        if self._pause() > PATIENCE and self._error is not None:
            raise self._error
        try:
            await self._try_to_start()
        except AgentError as error:
            if not error.passing or self._stopped or self._pause() > PATIENCE:
                raise
            log.warning("%s It is started again.", error)
            await self._try_to_start()

    def _pause(self) -> float:
        """Seconds until it may be started."""
        return max(0.0, self._may_start - time.monotonic())

    async def _try_to_start(self) -> None:
        await asyncio.sleep(self._pause())
        self._become(State.STARTING)
        try:
            await self._start()
        except AgentError as error:
            await self._failed(error)
            raise
        except BaseException:
            await self._end()
            self._become(State.STOPPED)
            raise
        assert self._process is not None
        self._looking_after = asyncio.ensure_future(self._look_after(self._process))
        self._become(State.READY)

    async def _look_after(self, process: Process) -> None:
        """Once a process has ended that nobody has stopped, start another: nobody may ask for a long time."""
        await process.ending.wait()
        async with self._turn:
            if self._process is process and not self._stopped:
                await process.settle()
                await self._failed(AgentError("died", f"The agent has ended{self._death()}.", passing=True))
        if self.state is State.FAILED and self._failures <= len(BACKOFF):
            await asyncio.sleep(self._pause())
            async with self._turn:
                if self.state is State.FAILED and not self._stopped:
                    with contextlib.suppress(AgentError):
                        await self.start()

    async def run(self, job: Job, limits: Limits, on_claim: Callable[[ProbeClaim], None]) -> tuple[Done, str]:
        """Run a job; claims arrive as they come. Returns how it ended and the job's scratch folder, which is the
        caller's to remove.

        Cancelling the task kills the child. AgentError if the agent cannot be used or dies.
        """
        async with self._turn:
            if self._stopped:
                raise _was_stopped()
            await self.start()
            self._become(State.BUSY)
            self._jobs += 1
            number = self._jobs
            place = str(Path(self.scratch) / f"job-{number}")
            try:
                done = await self._run(number, job, limits, on_claim)
            except asyncio.CancelledError:
                await _to_the_end(self._cancel(number))
                await _to_the_end(scratch.remove(place))
                raise
            except AgentError as error:
                await _to_the_end(self._failed(error))
                raise (_was_stopped() if self._stopped else error) from None
            self._failures = 0
            self._become(State.READY)
            return done, place

    async def stop(self) -> None:
        """End the process and all that it started, and remove its scratch folder."""
        self._stopped = True
        if self._looking_after is not None:
            self._looking_after.cancel()
            await asyncio.wait({self._looking_after}, timeout=STOP_SECONDS)
        with contextlib.suppress(AgentError, asyncio.TimeoutError):
            await within(self._send(ShutdownAsked()), STOP_SECONDS)
        await self._end()
        self._become(State.STOPPED)

    def _become(self, state: State) -> None:
        if state is not self.state:
            log.debug("agent %s: %s -> %s", self._launch.interpreter, self.state.value, state.value)
            self.state = state
            if self._on_state is not None:
                self._on_state(state)

    async def _start(self) -> None:
        interpreter = self._launch.interpreter
        try:
            self._process = await launch(self._launch, self.output)
            hello = await self._next(self._process, START_SECONDS)
        except asyncio.TimeoutError:
            message = f"{interpreter} did not get torch ready within {START_SECONDS:.0f} s."
            raise AgentError("no-start", f"{message} Look at the log, or choose another interpreter.") from None
        except OSError as error:
            raise AgentError("no-start", f"{interpreter} cannot be started: {error.strerror or error}.") from None
        if hello is None:
            await self._process.settle()
            last = " ".join(self.output.last(3)).strip()
            raise AgentError(
                "no-start", f"{interpreter} ended before it was ready. {last}"[:500].rstrip(), passing=True
            )
        if isinstance(hello, NotReady):
            raise AgentError(hello.code, hello.message)
        if not isinstance(hello, Hello) or hello.protocol != wire.PROTOCOL:
            raise AgentError("no-start", f"{interpreter} answered something else than this version's handshake.")
        self.hello = hello

    async def _run(self, number: int, job: Job, limits: Limits, on_claim: Callable[[ProbeClaim], None]) -> Done:
        classes = max(1, len(job.classes)) if isinstance(job, ReportJob) else 1
        try:
            await within(self._send(RunAsked(number, job, limits.of_job(classes))), GRACE_SECONDS)
            most = wire.CONTENTION * limits.wall * (classes + 1) + GRACE_SECONDS
            return await within(self._listen(number, on_claim), most)
        except asyncio.TimeoutError:
            raise AgentError("died", "The agent did not keep its own deadline and was ended.", passing=True) from None

    async def _next(self, process: Process, seconds: float) -> Message | None:
        """What it says next. `asyncio.TimeoutError` after so many seconds, AgentError if a signal has stopped it."""
        deadline, looks = time.monotonic() + seconds, 0
        while True:
            left = deadline - time.monotonic()
            try:
                return await within(process.messages.get(), min(LOOK_SECONDS, left))
            except asyncio.TimeoutError:
                looks = looks + 1 if process.is_stopped() else 0
                if looks >= LOOKS:
                    raise AgentError("died", "A signal had stopped the agent; it was ended.", passing=True) from None
                if left <= LOOK_SECONDS:
                    raise

    async def _send(self, request: Request) -> None:
        if self._process is None:
            raise AgentError("died", "The agent is not running.")
        try:
            await self._process.send(wire.encode(write_request(request)))
        except wire.WireError as error:
            raise AgentError("too-large", f"The files of this probe are too large to send: {error}.") from None
        except OSError:
            raise AgentError("died", f"The agent has ended{self._death()}.", passing=True) from None

    async def _listen(self, number: int, on_claim: Callable[[ProbeClaim], None]) -> Done:
        patience = START_SECONDS
        while True:
            process = self._process
            message = await self._next(process, patience) if process is not None else None
            patience = SILENCE_SECONDS
            if message is None:
                if process is not None:
                    await process.settle()
                raise AgentError("died", f"The agent ended during a probe{self._death()}.", passing=True)
            if isinstance(message, (Hello, NotReady, Working)) or message.id != number:
                continue
            if isinstance(message, Ended):
                return Done(message.outcome, message.detail[:500], message.elapsed_ms)
            try:
                claim = read_claim(message.payload)
            except ContractError as error:
                log.warning("a probe sent a claim that is none: %s", error)
                continue
            on_claim(claim)

    def _death(self) -> str:
        code = self._process.code if self._process is not None else None
        if code is None:
            return ""
        return f" ({signal.Signals(-code).name})" if code < 0 else f" (code {code})"

    async def _cancel(self, number: int) -> None:
        """Have the child killed; if the agent does not confirm, kill the agent."""
        try:
            await within(self._send(CancelAsked(number)), STOP_SECONDS)
            await within(self._listen(number, lambda claim: None), STOP_SECONDS)
            self._become(State.READY)
        except AgentError as error:
            await self._failed(error)
        except asyncio.TimeoutError:
            await self._failed(AgentError("died", _DID_NOT_END, passing=True))

    async def _failed(self, error: AgentError) -> None:
        await self._end()
        if self._stopped:
            self._become(State.STOPPED)
            return
        self._error = error
        self._may_start = time.monotonic() + BACKOFF[min(self._failures, len(BACKOFF) - 1)]
        self._failures += 1
        self._become(State.FAILED)

    async def _end(self) -> None:
        """No process, no task and no file of this agent is left afterwards."""
        process, self._process = self._process, None
        if process is not None:
            await process.end()


def _was_stopped() -> AgentError:
    return AgentError("stopped", "The agent was stopped.")


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Wait for work that must not be left half done, whatever is cancelled meanwhile. It has deadlines of its own."""
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            continue
    task.result()
