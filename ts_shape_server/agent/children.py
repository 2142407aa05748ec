"""Where children come from: a fork of the agent where that is safe, else processes of their own that wait for one job.

Both are given a job and a scratch folder and write records; both are killed with all they started. The loop knows no
difference.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Protocol

from ts_shape_server.contract import schema, wire
from ts_shape_server.contract.asked import Handed, RunAsked
from ts_shape_server.contract.jobs import Hello, Message, NotReady, read_message

_READY_SECONDS = 60.0


class Child(Protocol):
    """A process that runs one job. `pipe` gives its records; `exit` stands for its end, a descriptor that then becomes
    readable or, where threads wait, just a number (None: there is no such thing).
    """

    pid: int
    pipe: int
    exit: int | None

    def wait(self, seconds: float) -> int | None:
        """Its exit code as `subprocess` tells it; None if it still runs after so long."""

    def kill(self) -> None:
        """End it and all that it started."""

    def close(self) -> None:
        """Close the descriptors."""


class Source(Protocol):
    """Makes children."""

    hello: Hello | NotReady

    @property
    def pids(self) -> frozenset[int]:
        """Processes that wait, which are no strays."""

    def start(self, asked: RunAsked, scratch: str, tier: str) -> Child:
        """A child that works on the job."""

    def close(self) -> None:
        """End what waits."""


class Forked:
    """A child that is a fork of the agent."""

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid = pid
        self.pipe = pipe
        self.exit = _watched(pid)
        self._code: int | None = None

    def wait(self, seconds: float) -> int | None:
        deadline = time.monotonic() + seconds
        while self._code is None and time.monotonic() <= deadline:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done == self.pid:
                self._code = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.001)
        return self._code

    def kill(self) -> None:
        # Its number may belong to another process once it has been waited for; its group's number may not.
        for target in (-self.pid, self.pid) if self._code is None else (-self.pid,):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(target, signal.SIGKILL)

    def close(self) -> None:
        os.close(self.pipe)
        if self.exit is not None:
            os.close(self.exit)


class Forks:
    """Forks of this process, which has torch loaded and one thread."""

    pids: frozenset[int] = frozenset()

    def __init__(self, hello: Hello | NotReady) -> None:
        self.hello = hello

    def start(self, asked: RunAsked, scratch: str, tier: str) -> Child:
        reader, writer = os.pipe()
        agent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            from ts_shape_server.agent import child

            child.main(asked, writer, scratch, agent, tier)
            os._exit(0)
        os.close(writer)
        return Forked(pid, reader)

    def close(self) -> None:
        return None


class Spare:
    """A process that has torch loaded, or will have, and takes one job by its standard input.

    What an interpreter prints while it starts comes before a token that nothing can know, and is dropped.
    """

    def __init__(self, command: Sequence[str], scratch: str) -> None:
        token = secrets.token_hex(16)
        self._token = token.encode()
        self._process = subprocess.Popen(
            [*command, "--scratch", scratch, "--spare", token],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            cwd=scratch,
        )
        assert self._process.stdout is not None
        self.pid = self._process.pid
        self.pipe = self._process.stdout.fileno()
        self.exit: int | None = -self.pid

    def wait(self, seconds: float) -> int | None:
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """On Windows the job object that it is in ends what it started."""
        self._process.kill()
        if os.name != "nt":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()

    def hello(self) -> Message | None:
        """What it says once it is ready; None if it ended before, which it does by itself if that takes too long."""
        head, decoder = bytearray(), wire.Decoder()
        while True:
            data = os.read(self.pipe, 1 << 16 if self._token in head else 1)
            if not data:
                return None
            if self._token not in head:
                head += data
                head = head[-len(self._token) :]
                continue
            for message in decoder.feed(data):
                return read_message(message)

    def give(self, handed: Handed) -> None:
        """Hand it its job. Raises OSError if it has ended."""
        assert self._process.stdin is not None
        self._process.stdin.write(wire.encode(schema.write(handed)))
        self._process.stdin.flush()


class Spares:
    """One process always waits, warm; each takes one job."""

    def __init__(self, command: Sequence[str], scratch: str) -> None:
        self._command = command
        self._scratch = scratch
        self._waiting = Spare(command, scratch)
        found = self._waiting.hello()
        ended = NotReady("no-start", "A spare process ended at its start.")
        self.hello = found if isinstance(found, (Hello, NotReady)) else ended
        self._ready = True

    @property
    def pids(self) -> frozenset[int]:
        return frozenset((self._waiting.pid,))

    def start(self, asked: RunAsked, scratch: str, tier: str) -> Child:
        spare = self._waiting
        if not self._ready and not isinstance(spare.hello(), Hello):
            raise BrokenPipeError("a spare process did not get ready")
        self._waiting, self._ready = Spare(self._command, self._scratch), False
        spare.give(Handed(tier, scratch, os.getpid(), asked))
        return spare

    def witnessed(self, tier: str) -> str:
        """What a process that enters the sandbox says of it: ``on``, or what does not hold."""
        witness = Spare([*self._command, "--witness"], self._scratch)
        try:
            if witness.hello() is None:
                return "it ended the process"
            witness.give(Handed(tier, self._scratch, os.getpid()))
            with os.fdopen(os.dup(witness.pipe), "rb") as pipe:
                return pipe.read().decode("utf-8", "replace") or "it ended the process"
        except OSError:
            return "it ended the process"
        finally:
            witness.kill()
            witness.wait(_READY_SECONDS)
            witness.close()

    def close(self) -> None:
        self._waiting.kill()
        self._waiting.wait(_READY_SECONDS)
        self._waiting.close()


def command() -> list[str]:
    """How this program starts another process of its own kind."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "__main__.py")
    return [sys.executable, "-B", "-E", "-X", "utf8", script]


def _watched(pid: int) -> int | None:
    """A descriptor that becomes readable when the process ends; None where the system has no such thing."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
