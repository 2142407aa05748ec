"""What a client gets back for a message that is none: an answer to every request, and none to anything else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pygls.exceptions import JsonRpcException

from ts_shape_server.lsp.server import Server


class Wire:
    """A server that writes into a list."""

    def __init__(self) -> None:
        self.server = Server()
        self.sent: list[Any] = []
        self.server.protocol.set_writer(self, include_headers=False)

    def write(self, data: bytes) -> None:
        self.sent.append(json.loads(data))

    def close(self) -> None:
        return None

    def receive(self, message: dict[str, Any]) -> None:
        try:
            found = self.server.protocol.structure_message(message)
        except JsonRpcException:
            return
        self.server.protocol.handle_message(found)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, -32602),
        ({"textDocument": {"uri": "file:///x.py"}}, -32602),
        ({"textDocument": {"uri": "file:///x.py"}, "position": {"line": -1, "character": -5}}, -32602),
        (3, -32602),
    ],
)
async def test_a_request_that_cannot_be_read_is_answered(params: Any, code: int) -> None:
    wire = Wire()
    wire.receive({"jsonrpc": "2.0", "id": 7, "method": "textDocument/hover", "params": params})
    assert [(item["id"], item["error"]["code"]) for item in wire.sent] == [(7, code)]


async def test_a_notification_that_cannot_be_read_is_not_answered() -> None:
    wire = Wire()
    wire.receive({"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {}})
    assert wire.sent == []


async def test_a_request_after_shutdown_is_refused() -> None:
    wire = Wire()
    wire.receive({"jsonrpc": "2.0", "id": 1, "method": "shutdown"})
    await asyncio.sleep(0)
    wire.receive({"jsonrpc": "2.0", "id": 2, "method": "shutdown"})
    assert [(item["id"], item.get("error", {}).get("code")) for item in wire.sent] == [(1, None), (2, -32600)]
