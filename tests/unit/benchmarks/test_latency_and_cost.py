"""The timing of sessions, against a server of a few lines, and what the system counts for a command."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.cost import __main__ as cost
from benchmarks.latency import __main__ as latency
from benchmarks.latency import client

SERVER = """import json, sys

def send(message):
    data = json.dumps({"jsonrpc": "2.0", **message}).encode()
    sys.stdout.buffer.write(b"Content-Length: %d\\r\\n\\r\\n" % len(data) + data)
    sys.stdout.buffer.flush()

while True:
    length = int(sys.stdin.buffer.readline().split(b":")[1])
    sys.stdin.buffer.readline()
    message = json.loads(sys.stdin.buffer.read(length))
    method = message.get("method")
    if method == "exit":
        break
    if method == "initialized":
        send({"id": "s1", "method": "workspace/configuration", "params": {"items": [{}, {}]}})
    elif method is None:
        answer = message["result"]
    elif method == "textDocument/didOpen":
        uri = message["params"]["textDocument"]["uri"]
        send({"method": "textDocument/publishDiagnostics", "params": {"uri": uri, "diagnostics": [{"code": "a"}]}})
    elif method == "textDocument/hover":
        send({"id": message["id"], "result": {"contents": answer, "at": message["params"]["position"]}})
    elif method == "fail":
        send({"id": message["id"], "error": {"code": 1, "message": "no such thing"}})
    elif "id" in message:
        send({"id": message["id"], "result": {}})
"""


async def test_a_session_asks_waits_and_answers_what_the_server_asks(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    command = [sys.executable, str(tmp_path / "server.py")]
    async with client.started(command, tmp_path, tmp_path / "cache", {"jobs": 2}) as session:
        await client.initialize(session, tmp_path, {})
        uri = latency.opened(session, tmp_path / "net.py", "import torch\n\nclass Net: ...\n")
        await session.until_published(uri, lambda found: found["diagnostics"][0]["code"] == "a")
        found = await latency.hover(session, uri, "import torch\n\nclass Net: ...\n", "class Net")
        assert found == {"contents": [{"jobs": 2}, {"jobs": 2}], "at": {"line": 2, "character": 8}}
        with pytest.raises(RuntimeError, match="no such thing"):
            await session.request("fail")
    assert session.process.returncode == 0


async def test_a_server_that_ends_is_an_error_and_no_wait(tmp_path: Path) -> None:
    async with client.started([sys.executable, "-c", "pass"], tmp_path, tmp_path, {}) as session:
        with pytest.raises(RuntimeError, match="has ended"):
            await session.request("initialize")


def test_medians_are_told_and_a_tail_only_of_many() -> None:
    timed = latency.Timed()
    timed.taken = {"few": [3.0, 1.0, 2.0], "many": [float(number) for number in range(100)]}
    assert [(item.name, item.value) for item in timed.figures()] == [
        ("few, median of 3", 2.0),
        ("many, median of 100", 49.5),
        ("many, p95", 95.0),
    ]


def test_a_command_is_counted_with_what_it_started(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'sum(range(3 * 10**6))']); print('done')"
    run = cost.taken([sys.executable, "-c", code], tmp_path, tmp_path)
    alone = cost.taken([sys.executable, "-c", "print('done')"], tmp_path, tmp_path)
    assert run.output == "done\n"
    assert run.core > alone.core
    with pytest.raises(SystemExit, match="ended with 2"):
        cost.taken([sys.executable, "-c", "raise SystemExit(2)"], tmp_path, tmp_path)
