"""The frames of messages as clients send them, made into those that pygls reads: names of headers in any case.

What is no frame ends the connection with a sentence, since nobody can tell where the next message begins; so does a
frame that is not complete in time. A server that waits on in silence would only be deaf.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, Protocol

from pygls.io_ import StdinAsyncReader

from ts_shape_server.deadline import within

LONGEST_LINE = 1 << 13
"""Bytes of a header."""
LARGEST = 1 << 28
"""Bytes of a message."""
SECONDS = 60.0
"""So long may a message be on its way, once its first header has come."""
_HEADER = re.compile(rb"([A-Za-z][A-Za-z0-9-]*)[ \t]*:[ \t]*(.*?)[ \t]*\r?\n")


class FramingError(Exception):
    """What has come is no frame of the protocol, so that where the next one begins is not known."""


class Bytes(Protocol):
    """What frames are read from."""

    def readline(self) -> Awaitable[bytes]: ...

    def readexactly(self, n: int) -> Awaitable[bytes]: ...


class StandardInput(StdinAsyncReader):
    """The standard input, by a thread; a line that does not end is cut."""

    def __init__(self, stdin: BinaryIO) -> None:
        super().__init__(stdin, ThreadPoolExecutor(1))

    async def readline(self) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(self.executor, self.stdin.readline, LONGEST_LINE)


class Frames:
    """A reader for pygls over another one. Raises FramingError; then the connection is to be ended."""

    def __init__(self, reader: Bytes, seconds: float = SECONDS) -> None:
        self._reader = reader
        self._seconds = seconds
        self._length: int | None = None
        self._in_head = False

    async def readline(self) -> bytes:
        """A header as pygls knows it, the empty line after the headers, or nothing at the end."""
        try:
            line = await (self._in_time(self._reader.readline) if self._in_head else self._reader.readline())
        except ValueError:
            # What a stream says of a line that is longer than it holds.
            raise FramingError("a header without an end") from None
        if not line.endswith(b"\n") and len(line) < LONGEST_LINE:
            # The input has ended, perhaps amid a line.
            return b""
        if not line.strip():
            if self._in_head and self._length is None:
                raise FramingError("the headers of a message do not say how long it is")
            self._in_head = False
            return b"\r\n"
        found = _HEADER.fullmatch(line)
        if found is None:
            raise FramingError(f"what should be a header is none: {line[:60]!r}")
        self._in_head = True
        if found.group(1).lower() != b"content-length":
            return line
        self._length = _length(found.group(2))
        return b"Content-Length: %d\r\n" % self._length

    async def readexactly(self, n: int) -> bytes:
        """The message of a frame; less at the end of the input."""
        self._length = None
        try:
            return await self._in_time(lambda: self._reader.readexactly(n))
        except asyncio.IncompleteReadError as error:
            return error.partial

    async def _in_time(self, read: Callable[[], Awaitable[bytes]]) -> bytes:
        try:
            return await within(asyncio.ensure_future(read()), self._seconds)
        except asyncio.TimeoutError:
            raise FramingError(f"a message did not come to its end within {self._seconds:.0f} s") from None


def _length(text: bytes) -> int:
    if not re.fullmatch(rb"[0-9]{1,12}", text) or not 0 < int(text) <= LARGEST:
        raise FramingError(f"no length of a message: {text[:60]!r}")
    return int(text)
