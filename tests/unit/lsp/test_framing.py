"""Frames as clients send them: read whatever the case of a header, and never waited on in silence."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from typing import Any

import pytest
from pygls.io_ import run_async

from ts_shape_server.lsp.framing import LARGEST, LONGEST_LINE, Frames, FramingError

MESSAGE = b'{"jsonrpc": "2.0", "id": 1, "method": "shutdown"}'
HEADER = b"Content-Length: %d\r\n\r\n" % len(MESSAGE)


class Protocol:
    """Keeps what is read."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def structure_message(self, data: Any) -> Any:
        return data

    def handle_message(self, message: Any) -> None:
        self.messages.append(message)


async def read(data: bytes, ended: bool = True, seconds: float = 60.0) -> list[Any]:
    """What pygls reads of these bytes, errors of single messages included. FramingError as `Frames`."""
    stream = asyncio.StreamReader()
    stream.feed_data(data)
    if ended:
        stream.feed_eof()
    protocol: Any = Protocol()

    def failed(error: Exception, source: Any) -> None:
        protocol.messages.append(type(error).__name__)

    await run_async(threading.Event(), Frames(stream, seconds), protocol, None, failed)
    return list(protocol.messages)


@pytest.mark.parametrize(
    "header",
    [
        HEADER,
        HEADER.lower(),
        HEADER.upper(),
        HEADER.replace(b": ", b":"),
        HEADER.replace(b": ", b" :\t "),
        HEADER.replace(b"\r", b""),
        b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\n" + HEADER.lower(),
        HEADER[:-2].lower() + b"content-type: x\r\n\r\n",
        b"\r\n\n" + HEADER,
    ],
)
async def test_a_message_is_read_however_its_headers_are_spelled(header: bytes) -> None:
    message = json.loads(MESSAGE)
    assert await read((header + MESSAGE) * 2) == [message, message]


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Length: -5\r\n\r\n",
        b"Content-Length: 0\r\n\r\n",
        b"Content-Length: five\r\n\r\n",
        b"Content-Length: \r\n\r\n",
        b"Content-Length: %d\r\n\r\n" % (LARGEST + 1),
        b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"Content-Type: x\r\n\r\n" + MESSAGE,
        b"X" * (LONGEST_LINE * 20),
        MESSAGE + b"\r\n",
    ],
)
async def test_what_is_no_frame_ends_the_connection(data: bytes) -> None:
    with pytest.raises(FramingError):
        await read(data, ended=False)


async def test_a_length_that_is_too_short_is_answered_and_then_ends_it() -> None:
    with pytest.raises(FramingError):
        await read(b"Content-Length: 9\r\n\r\n" + MESSAGE + b"\r\n" + HEADER + MESSAGE)


async def test_a_length_that_takes_from_the_next_message_is_answered_and_then_ends_it() -> None:
    long = b"Content-Length: %d\r\n\r\n" % (len(MESSAGE) + len(HEADER) + 9)
    with pytest.raises(FramingError):
        await read(long + MESSAGE + HEADER + MESSAGE + b"\n", ended=False)


@pytest.mark.parametrize("data", [b"Content-Length: 999\r\n\r\n" + MESSAGE, HEADER[:-2]])
async def test_a_message_that_does_not_come_to_its_end_is_waited_for_and_no_longer(data: bytes) -> None:
    with pytest.raises(FramingError):
        await read(data, ended=False, seconds=0.01)


@pytest.mark.parametrize("data", [b"", HEADER[:10], HEADER, HEADER + MESSAGE[:9]])
async def test_the_end_of_the_input_is_the_end(data: bytes) -> None:
    assert [item for item in await read(data) if item != "JSONDecodeError"] == []


def served(data: bytes) -> tuple[int, str]:
    """How a real server ends over these bytes, after which its input stays open, and what it answers."""
    command = [sys.executable, "-m", "ts_shape_server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as running:
        assert running.stdin is not None and running.stdout is not None
        running.stdin.write(data)
        running.stdin.flush()
        answer = running.stdout.read().decode()
        return running.wait(), answer


def test_a_real_server_ends_over_what_is_no_frame() -> None:
    broken = b"content-length: 3\r\n\r\n{x}"
    code, answer = served(broken + HEADER.lower() + MESSAGE + b"what is this\r\n")
    assert code == 1
    assert '"code": -32700' in answer
    assert '"id": 1' in answer
