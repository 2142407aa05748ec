"""What a client that asks for findings itself is told besides: findings of files that it does not have open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ts_shape_server.contract.places import Range
from ts_shape_server.features.diagnostics import Finding
from ts_shape_server.lsp.documents import Document
from ts_shape_server.lsp.server import Server
from ts_shape_server.workspace import Workspace

PATH = str(Path("/", "somewhere", "net.py"))
FINDING = Finding(PATH, Range(1, 0, 1, 4), "call-mismatch", "error", "It does not fit.", "Net")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(Server, "pulls", True)
    monkeypatch.setattr(Server, "converter", lambda self: self)
    monkeypatch.setattr(Server, "diagnostic", lambda self, item: item.code, raising=False)
    made: Any = Server()
    made.said = []
    made.text_document_publish_diagnostics = lambda params: made.said.append(params.diagnostics)
    made.session.findings = lambda path: [FINDING]
    return made


def test_nothing_of_a_file_that_nobody_asked_for(server: Any) -> None:
    server.push({PATH})
    assert server.said == []


def test_what_was_told_of_a_file_is_taken_back(server: Any) -> None:
    server.push({PATH}, unopened=True)
    server.session.findings = lambda path: []
    server.push({PATH})
    server.push({PATH})
    assert server.said == [["call-mismatch"], []]


def test_a_file_that_is_opened_is_asked_for(server: Any) -> None:
    server.push({PATH}, unopened=True)
    server.session.files.documents[PATH] = Document(PATH, Path(PATH).as_uri(), "x = 1\n", Workspace(()).quick)
    server.push({PATH})
    server.push({PATH})
    assert server.said == [["call-mismatch"], []]
