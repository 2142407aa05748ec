"""The least of an editor: starts a language server, speaks JSON-RPC over stdio, answers what the server asks.

Any server will do, so that others can be timed in the same run. Knows nothing of the project.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

SECONDS = 120.0
"""How long any one answer may take."""
_LONGEST_LINE = 1 << 24


class Client:
    """One session. `published` holds the newest diagnostics of each document, with the version they are of."""

    def __init__(self, process: asyncio.subprocess.Process, configuration: Mapping[str, Any]) -> None:
        self.process = process
        self.published: dict[str, dict[str, Any]] = {}
        self.news = asyncio.Event()
        self._configuration = configuration
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._last = 0
        self._reading = asyncio.ensure_future(self._read())

    async def request(self, method: str, params: Any = None) -> Any:
        """The result of a request; RuntimeError where the server answers with an error, or has ended."""
        if self._reading.done():
            raise RuntimeError("the server has ended")
        self._last += 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[self._last] = answer
        self._send({"id": self._last, "method": method, "params": params})
        return await asyncio.wait_for(answer, SECONDS)

    def notify(self, method: str, params: Any = None) -> None:
        self._send({"method": method, "params": params})

    async def until_published(self, uri: str, wanted: Any) -> None:
        """Wait until `wanted` holds of the diagnostics of a document."""

        async def wait() -> None:
            while not (uri in self.published and wanted(self.published[uri])):
                self.news.clear()
                await self.news.wait()

        await asyncio.wait_for(wait(), SECONDS)

    async def close(self) -> None:
        with contextlib.suppress(Exception):
            await self.request("shutdown")
            self.notify("exit")
            await asyncio.wait_for(self.process.wait(), 10)
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        self._reading.cancel()

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        data = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(data) + data)

    async def _read(self) -> None:
        assert self.process.stdout is not None
        try:
            while True:
                length = 0
                while line := (await self.process.stdout.readuntil(b"\r\n")).strip():
                    name, _, value = line.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                self._take(json.loads(await self.process.stdout.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError):
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(RuntimeError("the server has ended"))

    def _take(self, message: Mapping[str, Any]) -> None:
        method, params = message.get("method"), message.get("params") or {}
        if method is None:
            answer = self._waiting.pop(message["id"], None)
            if answer is not None and not answer.done():
                error = message.get("error")
                if error is None:
                    answer.set_result(message.get("result"))
                else:
                    answer.set_exception(RuntimeError(str(error.get("message"))))
        elif method == "textDocument/publishDiagnostics":
            self.published[params["uri"]] = params
            self.news.set()
        elif "id" in message:
            asked = params.get("items", ()) if method == "workspace/configuration" else None
            result = None if asked is None else [self._configuration for _ in asked]
            self._send({"id": message["id"], "result": result})


@contextlib.asynccontextmanager
async def started(
    command: Sequence[str], folder: Path, cache: Path, configuration: Mapping[str, Any]
) -> AsyncIterator[Client]:
    """A server that runs, not yet initialized; ended afterwards."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=_LONGEST_LINE,
    )
    client = Client(process, configuration)
    try:
        yield client
    finally:
        await client.close()


async def initialize(client: Client, folder: Path, options: Mapping[str, Any]) -> None:
    """From ``initialize`` to ``initialized``."""
    capabilities = {
        "workspace": {
            "configuration": True,
            "inlayHint": {"refreshSupport": True},
            "codeLens": {"refreshSupport": True},
            "workspaceEdit": {"documentChanges": True},
        },
        "textDocument": {
            "hover": {"contentFormat": ["markdown"]},
            "publishDiagnostics": {"versionSupport": True},
            "codeAction": {"codeActionLiteralSupport": {"codeActionKind": {"valueSet": ["quickfix", "source"]}}},
        },
        "window": {"workDoneProgress": True},
    }
    await client.request(
        "initialize",
        {
            "processId": os.getpid(),
            "rootUri": folder.as_uri(),
            "workspaceFolders": [{"uri": folder.as_uri(), "name": folder.name}],
            "capabilities": capabilities,
            "initializationOptions": options,
        },
    )
    client.notify("initialized", {})
