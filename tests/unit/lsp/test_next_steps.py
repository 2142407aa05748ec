"""A command that is refused names what a person can do next."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ts_shape_server.contract.places import Location, Range
from ts_shape_server.contract.report import Failure, Report, ScriptAttempt, TorchScript
from ts_shape_server.lsp import commands
from ts_shape_server.lsp.documents import Document
from ts_shape_server.lsp.server import Server
from ts_shape_server.probing.requests import ExportResult
from ts_shape_server.settings import Settings
from ts_shape_server.workspace import Workspace

TEXT = "from torch import nn\n\n\nclass Net(nn.Module):\n    def forward(self, x):\n        return x\n"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server with one file open, whose class has the report that a test gives it."""
    monkeypatch.setattr(Server, "can", lambda self, *names: False)
    made = Server()
    made.session.configured.set()
    path = str(tmp_path / "net.py")
    document = Document(path, Path(path).as_uri(), TEXT, Workspace(()).quick)
    document.take_snapshot(document.quick, Settings())
    made.session._documents[path] = document
    service: Any = SimpleNamespace(problem=None)
    made.session.service = service
    return made


def opened(server: Server) -> Document:
    (document,) = server.session._documents.values()
    return document


def failed(document: Document) -> Failure:
    return Failure("shape-mismatch", "It does not fit.", Location(document.path, Range(6, 8, 6, 16)))


async def refused(server: Server, command: str) -> dict[str, Any]:
    asked = {"uri": opened(server).uri, "class": "Net"}
    work = commands.export_class if command == "export" else commands.repair_class
    answer = await commands._guarded(server, work(server, asked))
    assert answer["ok"] is False
    return answer


@pytest.mark.parametrize("command", ["export", "repair"])
async def test_where_nothing_may_be_run_the_workspace_can_be_trusted(server: Server, command: str) -> None:
    server.session.service = None
    assert (await refused(server, command))["next"] == {"kind": "trust"}


@pytest.mark.parametrize("command", ["export", "repair"])
async def test_without_an_interpreter_one_can_be_chosen(server: Server, command: str) -> None:
    service: Any = SimpleNamespace(problem=object())
    server.session.service = service
    opened(server).obstacle = "No Python with torch was found."
    answer = await refused(server, command)
    assert (answer["message"], answer["next"]) == ("No Python with torch was found.", {"kind": "interpreter"})


async def test_a_class_that_fails_leads_to_the_line_that_does(server: Server) -> None:
    document = opened(server)
    document.take(Report(document.path, "Net", 4, "failed", failed(document), stage="final"), 0, Settings())
    answer = await refused(server, "export")
    assert answer["message"] == "Net in net.py cannot be exported: It does not fit."
    assert answer["next"] == {"kind": "place", "uri": document.uri, "line": 6}


async def test_an_export_that_is_refused_offers_the_repair_where_there_is_one_and_else_the_line(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = opened(server)
    refusal = failed(document)
    report = Report(document.path, "Net", 4, "ok", torchscript=TorchScript(ScriptAttempt(False, (refusal,))))
    result = ExportResult(False, "script", "It does not script.", failure=refusal)
    place = {"kind": "place", "uri": document.uri, "line": 6}
    assert commands._after_export(server, document, report, result) == place
    monkeypatch.setattr(Document, "fixes_of", lambda self, name: [object()])
    repair = {"kind": "repair", "uri": document.uri, "class": "Net"}
    assert commands._after_export(server, document, report, result) == repair
    program = ExportResult(False, "program", "It is refused.", failure=refusal)
    assert commands._after_export(server, document, report, program) == place
    elsewhere = Failure("script-error", "It does not script.", Location("/nowhere/net.py", Range(1, 0, 1, 1)))
    assert (
        commands._after_export(server, document, report, ExportResult(False, "program", "", failure=elsewhere)) is None
    )
