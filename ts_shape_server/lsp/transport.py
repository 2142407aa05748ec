"""How the server talks: over stdio, TCP or a web socket, and how it ends.

Standard output belongs to the protocol: it is moved to a private descriptor before anything can print into it. The
server ends with the client: at ``exit``, at the end of its input, or when the connection closes; then the agents are
stopped first, and nothing that still runs in a thread can hold the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from threading import Event
from typing import Any, BinaryIO, NoReturn

from pygls.io_ import StdoutWriter, run_async, run_websocket

from ts_shape_server.deadline import within
from ts_shape_server.lsp import commands, handlers
from ts_shape_server.lsp.framing import Frames, StandardInput
from ts_shape_server.lsp.server import Server

log = logging.getLogger(__name__)
_messages = logging.getLogger("pygls.transport")

STOP_SECONDS = 8.0


def private_stdout() -> BinaryIO:
    """The real standard output on its own descriptor; descriptor 1 and `sys.stdout` are standard error from now on."""
    private = os.dup(1)
    os.set_inheritable(private, False)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return os.fdopen(private, "wb")


def make_server(trust_workspace: bool, flags: Mapping[str, Any]) -> Server:
    """A server with everything registered; the flag trusts the workspace for editors that cannot say it."""
    server = Server(trust_workspace, flags)
    handlers.register(server)
    commands.register(server)
    return server


def serve_stdio(server: Server, stdout: BinaryIO) -> NoReturn:
    """Serve until the client ends it. Leaves the process: a thread that waits for input would hold it otherwise."""

    async def talk() -> None:
        reader = Frames(StandardInput(sys.stdin.buffer))
        server.protocol.set_writer(StdoutWriter(stdout))
        await run_async(Event(), reader, server.protocol, _messages, server.report_server_error)

    _leave(_run(server, talk))


def serve_tcp(server: Server, host: str, port: int) -> NoReturn:
    """Serve the first client that connects, until it leaves."""

    async def talk() -> None:
        left = asyncio.Event()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            server.protocol.set_writer(writer)
            try:
                await run_async(Event(), Frames(reader), server.protocol, _messages, server.report_server_error)
            finally:
                left.set()

        listening = await asyncio.start_server(connected, host, port)
        _announce("tcp", listening.sockets[0].getsockname())
        async with listening:
            await left.wait()

    _leave(_run(server, talk))


def serve_websocket(server: Server, host: str, port: int) -> NoReturn:
    """Serve the first client that connects to the web socket, until it leaves."""
    # Not a plain import: the package is an extra of pygls and may be absent.
    sockets = importlib.import_module("websockets.asyncio.server")

    async def talk() -> None:
        left = asyncio.Event()

        async def connected(socket: Any) -> None:
            try:
                await run_websocket(socket, Event(), server.protocol, _messages, server.report_server_error)
            finally:
                left.set()

        async with sockets.serve(connected, host, port) as listening:
            _announce("ws", next(iter(listening.sockets)).getsockname())
            await left.wait()

    _leave(_run(server, talk))


def _announce(kind: str, address: object) -> None:
    """One line for whoever waits for the port, also when the system chose it."""
    host, port = address[:2] if isinstance(address, tuple) else (address, "")
    print(f"ts-shape-server listens on {kind}://{host}:{port}", file=sys.stderr, flush=True)


def _run(server: Server, talk: Callable[[], Awaitable[None]]) -> int:
    async def main() -> int:
        talking = asyncio.ensure_future(talk())
        leaving = asyncio.ensure_future(server.leaving())
        try:
            await asyncio.wait({talking, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (talking, leaving):
                task.cancel()
        if talking.done() and not talking.cancelled() and (error := talking.exception()) is not None:
            log.error("the connection ended: %s", error)
            if isinstance(error, OSError) and not server.connected:
                raise error
        try:
            await within(server.session.stop(), STOP_SECONDS)
        except asyncio.TimeoutError:
            log.warning("an agent did not stop within %.0f s", STOP_SECONDS)
        server.buffers.close()
        return server.exit_code

    # Not `asyncio.run`: it would wait for threads that read the input or ask jedi.
    return asyncio.new_event_loop().run_until_complete(main())


def _leave(code: int) -> NoReturn:
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)
