"""The agent as an operating system process: how it is launched, its two private pipes, what it prints, its end.

Where a process is given no descriptors but its standard ones (Windows), these are the pipes: what comes before a token
that nothing can know is what the interpreter printed at its start. Knows how to frame bytes and nothing of what they
mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ts_shape_server.contract import wire
from ts_shape_server.contract.jobs import Message, read_message
from ts_shape_server.contract.schema import ContractError
from ts_shape_server.deadline import within
from ts_shape_server.probing import model_files, scratch

log = logging.getLogger(__name__)

LOG_LINES = 500
LOG_LINE = 2000
LOG_BYTES_PER_SECOND = 1 << 20
END_SECONDS = 1.0
SETTLE_SECONDS = 0.5
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "SYSTEMROOT", "VIRTUAL_ENV", "TZ")
_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "WANDB_MODE": "disabled"}
_ALONE = {
    "CUDA_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "MPLBACKEND": "Agg",
}
"""One thread, no accelerator, no window: an agent must be a process that can be forked."""


@dataclass(frozen=True)
class Launch:
    """What is launched: an interpreter, the variables that the settings add, how strict the sandbox must be, and the
    folder of the user's own packages, which the interpreter would not find in a scratch home. `readable` is that
    setting.
    """

    interpreter: str
    environment: Mapping[str, str] = field(default_factory=dict)
    sandbox: str = "bestEffort"
    site: str | None = None
    readable: tuple[str, ...] = ()

    def arguments(self, place: str, *pipes: str) -> list[str]:
        """The command; `pipes` say by which way it is to speak."""
        script = Path(__file__).parent.parent / "agent" / "__main__.py"
        return [
            self.interpreter,
            *("-B", "-E", "-X", "utf8", str(script)),
            *(*pipes, "--scratch", place, "--sandbox", self.sandbox),
            *(("--site", self.site) if self.site else ()),
        ]

    def variables(self, place: str) -> dict[str, str]:
        """The whole environment of the agent: an allow-list, and what the settings add. Copies what is `readable`."""
        passed = {name: value for name, value in os.environ.items() if name in _PASSED_ON}
        granted = model_files.granted(self.readable, place, os.environ)
        own = {name: text for name, text in self.environment.items() if name != model_files.FOLDERS}
        return {**passed, "HOME": place, "TMPDIR": place, **_ALONE, **_OFFLINE, **granted, **own}


class Output:
    """The last lines that user code printed. Past a rate, bytes are read and forgotten."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=LOG_LINES)
        self._partial = ""
        self._window = 0.0
        self._seen = 0

    def feed(self, data: bytes) -> None:
        now = time.monotonic()
        if now - self._window > 1.0:
            self._window, self._seen = now, 0
        self._seen += len(data)
        if self._seen > LOG_BYTES_PER_SECOND:
            self._partial = ""
            return
        *lines, self._partial = (self._partial + data.decode("utf-8", "replace")).split("\n")
        self._partial = self._partial[:LOG_LINE]
        for line in lines:
            kept = wire.printable(line[:LOG_LINE].rstrip("\r"))
            self._lines.append(kept)
            log.debug("probe: %s", kept)

    def last(self, count: int = LOG_LINES) -> list[str]:
        return [*self._lines, *([wire.printable(self._partial)] if self._partial else [])][-count:]


class Process:
    """A running agent. `messages` gives what it says, checked against the contract, then None when it says no more;
    `ending` is set then.
    """

    def __init__(self, process: asyncio.subprocess.Process, place: str) -> None:
        self.scratch = place
        self.ended = False
        self.ending = asyncio.Event()
        self.messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self._process = process
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.BaseTransport | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """How it ended, as `subprocess` tells; None while it runs."""
        return self._process.returncode

    def is_stopped(self) -> bool:
        """Whether a signal has stopped it, so that it does nothing until another lets it go on; False if that cannot be
        told here.
        """
        try:
            told = (Path("/proc") / str(self.pid) / "stat").read_text("ascii", "replace")
        except OSError:
            return False
        return told.rpartition(")")[2].split()[:1] in (["T"], ["t"])

    async def connect_standard(self, token: str, output: Output) -> None:
        """Speak by the standard input and output; what comes before the token is none of the agent's."""
        printed, reader, self._writer = self._process.stderr, self._process.stdout, self._process.stdin
        assert printed is not None and reader is not None
        self._tasks = [
            asyncio.create_task(self._read(reader, token.encode())),
            asyncio.create_task(self._drain(printed, output)),
        ]

    async def connect(self, request: int, reply: int, output: Output) -> None:
        """Take over the server's ends of the pipes."""
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(
            asyncio.streams.FlowControlMixin, os.fdopen(request, "wb", buffering=0)
        )
        self._writer = asyncio.StreamWriter(transport, protocol, None, loop)
        reader = asyncio.StreamReader(limit=1 << 22)
        self._reading, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reply, "rb", buffering=0)
        )
        assert self._process.stdout is not None
        self._tasks = [
            asyncio.create_task(self._read(reader)),
            asyncio.create_task(self._drain(self._process.stdout, output)),
        ]

    async def send(self, frame: bytes) -> None:
        """Raises OSError if it has ended."""
        if self._writer is None or self.ended:
            raise BrokenPipeError
        self._writer.write(frame)
        await self._writer.drain()

    async def settle(self) -> None:
        """Wait a moment for the end of a process that has closed its pipe, so that `code` says how it ended."""
        with contextlib.suppress(asyncio.TimeoutError):
            await within(self._process.wait(), SETTLE_SECONDS)

    async def _read(self, reader: asyncio.StreamReader, token: bytes = b"") -> None:
        decoder = wire.Decoder()
        try:
            if token:
                await reader.readuntil(token)
            while data := await reader.read(1 << 16):
                for message in decoder.feed(data):
                    self.messages.put_nowait(read_message(message))
        except (ContractError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.warning("the agent sent what is no message: %s", error)
        self.ended = True
        self.messages.put_nowait(None)
        self.ending.set()

    async def _drain(self, printed: asyncio.StreamReader, output: Output) -> None:
        while data := await printed.read(1 << 16):
            output.feed(data)

    async def end(self) -> None:
        """Let it end by itself if it is about to, else kill it; nothing of it is left."""
        self.ended = True
        if self._writer is not None:
            self._writer.close()
        if self._process.returncode is None:
            with contextlib.suppress(asyncio.TimeoutError):
                await within(self._process.wait(), END_SECONDS)
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                self._kill()
            await self._process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._reading is not None:
            self._reading.close()
        self.messages.put_nowait(None)
        self.ending.set()
        await scratch.remove(self.scratch)

    def _kill(self) -> None:
        if os.name == "nt":
            # Its child ends with the pipe that it waits for.
            self._process.kill()
        else:
            os.killpg(self._process.pid, signal.SIGKILL)


async def launch(description: Launch, output: Output, standard: bool = os.name == "nt") -> Process:
    """Start an agent, to speak over its standard pipes if `standard`. Raises OSError."""
    place = tempfile.mkdtemp(prefix="ts-shape-")
    if standard:
        return await _launch_standard(description, output, place)
    request_read, request_write = os.pipe()
    reply_read, reply_write = os.pipe()
    try:
        started = await asyncio.create_subprocess_exec(
            *description.arguments(place, "--request-fd", str(request_read), "--reply-fd", str(reply_write)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=(request_read, reply_write),
            env=await asyncio.to_thread(description.variables, place),
            cwd=place,
            start_new_session=True,
        )
    except BaseException:
        os.close(request_write)
        os.close(reply_read)
        await scratch.remove(place)
        raise
    finally:
        os.close(request_read)
        os.close(reply_write)
    process = Process(started, place)
    await process.connect(request_write, reply_read, output)
    return process


async def _launch_standard(description: Launch, output: Output, place: str) -> Process:
    token = secrets.token_hex(16)
    try:
        started = await asyncio.create_subprocess_exec(
            *description.arguments(place, "--token", token),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=await asyncio.to_thread(description.variables, place),
            cwd=place,
            start_new_session=os.name != "nt",
        )
    except BaseException:
        await scratch.remove(place)
        raise
    process = Process(started, place)
    await process.connect_standard(token, output)
    return process
