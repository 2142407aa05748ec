"""One agent process: started, asked, cancelled, killed, started again. Every wait here has a deadline.

The state changes in one place, `_become`, which logs it and tells. What a child claims is validated before it leaves
this module. Knows the wire, and nothing of reports beyond their schema.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import os
import shutil
import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ts_shape_server.probing import wire

log = logging.getLogger(__name__)

START_SECONDS = 60.0
GRACE_SECONDS = 5.0
STOP_SECONDS = 2.0
BACKOFF = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
LOG_LINES = 500
LOG_BYTES_PER_SECOND = 1 << 20
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "SYSTEMROOT", "VIRTUAL_ENV")


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
    file: int = 2 << 30

    def to_wire(self, classes: int) -> dict[str, int]:
        cpu = int(self.wall * max(1, classes)) + 5
        return {
            "wall_ms": int(self.wall * 1000),
            "cpu_s": cpu,
            "memory_bytes": self.memory,
            "file_bytes": self.file,
            "result_bytes": wire.MAXIMUM_CLAIMS,
        }


class AgentError(Exception):
    """The agent cannot be used. `code` is one of the refusals of the wire, ``no-start`` or ``died``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Agent:
    """A process in the user's interpreter. One job at a time; `run` waits its turn."""

    def __init__(
        self,
        interpreter: str,
        environment: Mapping[str, str] | None = None,
        on_state: Callable[[State], None] | None = None,
        sandbox: str = "bestEffort",
        site: str | None = None,
    ) -> None:
        self.interpreter = interpreter
        self._arguments = ("--sandbox", sandbox, *(("--site", site) if site else ()))
        self.state = State.STOPPED
        self.hello: dict[str, Any] = {}
        self.output: deque[str] = deque(maxlen=LOG_LINES)
        self.scratch = ""
        self._environment = dict(environment or {})
        self._on_state = on_state
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._turn = asyncio.Lock()
        self._jobs = 0
        self._failures = 0
        self._may_start = 0.0

    async def start(self) -> None:
        """Start, if it is not running. AgentError if that fails; it may be tried again after a pause that grows."""
        if self.state in (State.READY, State.BUSY):
            return
        pause = self._may_start - time.monotonic()
        if pause > 0:
            await asyncio.sleep(min(pause, BACKOFF[-1]))
        self._become(State.STARTING)
        try:
            await asyncio.wait_for(self._launch(), START_SECONDS)
        except AgentError:
            await self._failed()
            raise
        except asyncio.TimeoutError:
            await self._failed()
            message = f"{self.interpreter} did not get torch ready within {START_SECONDS:.0f} s."
            raise AgentError("no-start", f"{message} Look at the log, or choose another interpreter.") from None
        except OSError as error:
            await self._failed()
            raise AgentError("no-start", f"{self.interpreter} cannot be started: {error.strerror or error}.") from None
        except asyncio.CancelledError:
            await self._end()
            self._become(State.STOPPED)
            raise
        self._failures = 0
        self._become(State.READY)

    async def run(
        self, job: Mapping[str, Any], limits: Limits, on_claim: Callable[[dict[str, Any]], None]
    ) -> tuple[Done, str]:
        """Run a job; claims arrive as they come. Returns how it ended and the job's scratch folder.

        Cancelling the task kills the child. AgentError if the agent cannot be used or dies.
        """
        async with self._turn:
            await self.start()
            self._become(State.BUSY)
            self._jobs += 1
            number = self._jobs
            classes = max(1, len(job.get("classes", ())))
            message = {"type": "run", "id": number, "job": dict(job), "limits": limits.to_wire(classes)}
            try:
                await self._send(message)
                deadline = limits.wall * (classes + 1) + GRACE_SECONDS
                done = await asyncio.wait_for(self._listen(number, on_claim), deadline)
            except asyncio.TimeoutError:
                await self._failed()
                raise AgentError("died", "The agent did not keep its own deadline and was ended.") from None
            except asyncio.CancelledError:
                await asyncio.shield(self._cancel(number))
                raise
            except AgentError:
                await self._failed()
                raise
            self._become(State.READY)
            return done, str(Path(self.scratch) / f"job-{number}")

    async def stop(self) -> None:
        """End the process and all that it started, and remove its scratch folder."""
        with contextlib.suppress(AgentError, OSError):
            if self._writer is not None:
                await asyncio.wait_for(self._send({"type": "shutdown"}), STOP_SECONDS)
        await self._end()
        self._become(State.STOPPED)

    def _become(self, state: State) -> None:
        if state is not self.state:
            log.debug("agent %s: %s -> %s", self.interpreter, self.state.value, state.value)
            self.state = state
            if self._on_state is not None:
                self._on_state(state)

    async def _launch(self) -> None:
        self.scratch = tempfile.mkdtemp(prefix="ts-shape-")
        request_read, request_write = os.pipe()
        reply_read, reply_write = os.pipe()
        script = Path(__file__).parent.parent / "agent" / "__main__.py"
        try:
            self._process = await asyncio.create_subprocess_exec(
                self.interpreter,
                *("-B", "-E", "-X", "utf8", str(script)),
                *("--request-fd", str(request_read), "--reply-fd", str(reply_write), "--scratch", self.scratch),
                *self._arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                pass_fds=(request_read, reply_write),
                env=self._environment_of_agent(),
                cwd=self.scratch,
                start_new_session=True,
            )
        except BaseException:
            os.close(request_write)
            os.close(reply_read)
            raise
        finally:
            os.close(request_read)
            os.close(reply_write)
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(
            asyncio.streams.FlowControlMixin, os.fdopen(request_write, "wb")
        )
        self._writer = asyncio.StreamWriter(transport, protocol, None, loop)
        reader = asyncio.StreamReader(limit=1 << 22)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reply_read, "rb"))
        self._messages = asyncio.Queue()
        self._tasks = [
            asyncio.create_task(self._read(reader)),
            asyncio.create_task(self._drain(self._process)),
        ]
        hello = await self._messages.get()
        if hello is None:
            await asyncio.sleep(0.05)
            last = " ".join(list(self.output)[-3:]).strip()
            raise AgentError("no-start", f"{self.interpreter} ended before it was ready. {last}"[:500])
        if hello.get("type") == "refused":
            raise AgentError(str(hello.get("code")), str(hello.get("message")))
        if hello.get("type") != "hello" or hello.get("protocol") != wire.PROTOCOL:
            raise AgentError("no-start", f"{self.interpreter} answered something else than this version's handshake.")
        self.hello = hello

    def _environment_of_agent(self) -> dict[str, str]:
        """The variables that a child may see: an allow-list, and what the settings add."""
        passed = {name: value for name, value in os.environ.items() if name in _PASSED_ON}
        return {
            **passed,
            "HOME": self.scratch,
            "TMPDIR": self.scratch,
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            **self._environment,
        }

    async def _read(self, reader: asyncio.StreamReader) -> None:
        decoder = wire.Decoder()
        try:
            while data := await reader.read(1 << 16):
                for message in decoder.feed(data):
                    self._messages.put_nowait(message)
        except (wire.WireError, OSError) as error:
            log.warning("agent %s: %s", self.interpreter, error)
        self._messages.put_nowait(None)

    async def _drain(self, process: asyncio.subprocess.Process) -> None:
        """Keep the last lines of what the user's code prints; past a rate, read and forget."""
        assert process.stdout is not None
        window, seen = time.monotonic(), 0
        while data := await process.stdout.read(1 << 16):
            now = time.monotonic()
            if now - window > 1.0:
                window, seen = now, 0
            seen += len(data)
            if seen > LOG_BYTES_PER_SECOND:
                continue
            for line in data.decode("utf-8", "replace").splitlines():
                self.output.append(line[:2000])
                log.debug("probe: %s", line[:2000])

    async def _send(self, message: Mapping[str, Any]) -> None:
        if self._writer is None:
            raise AgentError("died", "The agent is not running.")
        try:
            self._writer.write(wire.encode(message))
            await self._writer.drain()
        except (ConnectionError, OSError):
            raise AgentError("died", "The agent has ended.") from None

    async def _listen(self, number: int, on_claim: Callable[[dict[str, Any]], None]) -> Done:
        while True:
            message = await self._messages.get()
            if message is None:
                raise AgentError("died", f"The agent ended during a probe{self._death()}.")
            if message.get("id") != number:
                continue
            if message.get("type") == "done":
                outcome = message.get("outcome")
                outcome = outcome if outcome in wire.OUTCOMES else "crashed"
                return Done(outcome, str(message.get("detail", ""))[:500], int(message.get("elapsed_ms", 0)))
            if message.get("type") == "claim":
                try:
                    claim = wire.validate_claim(str(message.get("payload", "")))
                except wire.WireError as error:
                    log.warning("a probe sent a claim that is none: %s", error)
                    continue
                on_claim(claim)

    def _death(self) -> str:
        code = self._process.returncode if self._process is not None else None
        if code is None:
            return ""
        return f" ({signal.Signals(-code).name})" if code < 0 else f" (code {code})"

    async def _cancel(self, number: int) -> None:
        """Have the child killed; if the agent does not confirm, kill the agent."""
        try:
            await asyncio.wait_for(self._send({"type": "cancel", "id": number}), STOP_SECONDS)
            await asyncio.wait_for(self._listen(number, lambda claim: None), STOP_SECONDS)
            self._become(State.READY)
        except (AgentError, asyncio.TimeoutError):
            await self._failed()

    async def _failed(self) -> None:
        await self._end()
        self._may_start = time.monotonic() + BACKOFF[min(self._failures, len(BACKOFF) - 1)]
        self._failures += 1
        self._become(State.FAILED)

    async def _end(self) -> None:
        """No process, no task and no file of this agent is left afterwards."""
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(process.wait(), 0.2)
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if self.scratch:
            shutil.rmtree(self.scratch, ignore_errors=True)
            self.scratch = ""
