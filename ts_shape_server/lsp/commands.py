"""The commands that a client may execute. Each takes at most one JSON object and answers with plain JSON.

A command never fails with a protocol error for what a person did: it answers ``{"ok": false, "message": …}``.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

from lsprotocol import types

from ts_shape_server.contract.choices import EXPORT_DTYPES, EXPORT_METHODS
from ts_shape_server.contract.report import Report
from ts_shape_server.contract.wire import printable
from ts_shape_server.deadline import within
from ts_shape_server.features import hover
from ts_shape_server.features.html_page import html_page
from ts_shape_server.features.page import page
from ts_shape_server.features.picture import picture, saved_picture
from ts_shape_server.lsp import menu
from ts_shape_server.lsp.convert import is_path, path_of
from ts_shape_server.lsp.documents import Document
from ts_shape_server.lsp.scopes import UNTRUSTED
from ts_shape_server.lsp.server import Server
from ts_shape_server.probing.requests import ExportOrder

log = logging.getLogger(__name__)

EXPORT = "tsShape.exportTorchScript"
EXPORT_PROGRAM = "tsShape.exportProgram"
INSPECT = "tsShape.inspectArchive"
RESTART = "tsShape.restartAgent"
REPORT = "tsShape.showReport"
CHECK = "tsShape.checkWorkspace"
REPAIR = "tsShape.repairClass"
_MOST_SECONDS = 3600.0
_CONFIGURED_SECONDS = 10


class CommandRefused(Exception):
    """The command cannot be done; the text is for the person who asked."""


def register(server: Server) -> None:
    @server.command(EXPORT)
    async def export(*arguments: Any) -> dict[str, Any]:
        return await _guarded(server, export_class(server, _argument(arguments)))

    @server.command(EXPORT_PROGRAM)
    async def export_program(*arguments: Any) -> dict[str, Any]:
        return await _guarded(server, export_class(server, {**_argument(arguments), "method": "program"}))

    @server.command(INSPECT)
    async def inspect(*arguments: Any) -> dict[str, Any]:
        return await _guarded(server, inspect_archive(server, _argument(arguments)))

    @server.command(RESTART)
    async def restart(*arguments: Any) -> dict[str, Any]:
        message = await server.session.restart()
        services = server.session.scopes.services()
        ok = bool(services) and all(service.problem is None for service in services)
        return {"ok": ok, "message": message}

    @server.command(REPORT)
    async def report(*arguments: Any) -> dict[str, Any]:
        return await _guarded(server, show_report(server, _argument(arguments)))

    @server.command(REPAIR)
    async def repair(*arguments: Any) -> dict[str, Any]:
        return await _guarded(server, repair_class(server, _argument(arguments)))

    @server.command(CHECK)
    async def check(*arguments: Any) -> dict[str, Any]:
        return await _guarded(server, check_workspace(server))


def _argument(arguments: tuple[Any, ...]) -> Mapping[str, Any]:
    given = arguments[0] if arguments else {}
    return given if isinstance(given, Mapping) else {}


async def _guarded(server: Server, work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """The answer of a command, once the settings are known: one that comes right after the start waits for them."""
    try:
        await _configured(server)
        answer = await work
    except CommandRefused as refused:
        return {"ok": False, "message": str(refused)}
    except asyncio.CancelledError:
        work.close()
        return {"ok": False, "message": "Cancelled.", "cancelled": True}
    return answer


async def _configured(server: Server) -> None:
    try:
        await within(server.session.configured.wait(), _CONFIGURED_SECONDS)
    except asyncio.TimeoutError:
        log.warning("the client has not told its configuration within %d s", _CONFIGURED_SECONDS)


async def _subject(server: Server, given: Mapping[str, Any]) -> tuple[Document, str]:
    """The class that the argument names, else the one around its position, else the only one of its file."""
    uri = given.get("uri")
    path = server.buffers.path(uri) if isinstance(uri, str) else None
    document = server.session.document(path) if path is not None else None
    if document is None:
        raise CommandRefused("The argument must name an existing file: {uri, class}.")
    name = given.get("class")
    if isinstance(name, str) and name:
        return document, name
    while document.current is None and document.working:
        await document.news(1.0)
    snapshot = document.current or server.session.scope(document.path).workspace.quick(document.path, document.text)
    position = given.get("position")
    line = position.get("line") if isinstance(position, Mapping) else None
    around = [
        item
        for item in snapshot.modules
        if isinstance(line, int) and item.name_range.line <= line + 1 <= item.body.end_line
    ]
    if not around and len(snapshot.modules) == 1:
        around = list(snapshot.modules)
    if not around:
        raise CommandRefused(
            f"Which class of {Path(path or '').name}? Put the cursor into it, or name it: {{uri, class}}."
        )
    return document, max(around, key=lambda item: item.name_range.line).name


async def _final(server: Server, document: Document, name: str) -> Report:
    """The final report of the class as it stands; `CommandRefused` with the reason why there is none."""
    session = server.session
    if session.scope(document.path).service is None:
        raise CommandRefused(UNTRUSTED)
    while document.current is None and document.working:
        await document.news(1.0)
    if document.current is not None and document.current.module(name) is None:
        raise CommandRefused(f"There is no nn.Module {name} in {Path(document.path).name}.")
    await session.wait_for(document, name, _MOST_SECONDS, final=True)
    known = document.known(name)
    if known.current is None:
        raise CommandRefused(known.note())
    return known.current


async def repair_class(server: Server, given: Mapping[str, Any]) -> dict[str, Any]:
    """Make the repair of one class that was tried, in the editor, as one step to undo."""
    document, name = await _subject(server, given)
    last, file = name.rsplit(".", 1)[-1], Path(document.path).name
    async with server.work(f"Repairing {last}") as tell:
        tell("Waiting for the report", None)
        server.session.look_for_fixes(document)
        report = await _final(server, document, name)
        if report.torchscript.script.ok:
            return {"ok": True, "message": f"{last} in {file} scripts as it is."}
        tell("Trying what TorchScript would take", None)
        found = await menu.repair(server, document, name)
    if found.edit is None:
        raise CommandRefused(found.why)
    label = f"Repair {last} for TorchScript"
    made = await server.workspace_apply_edit_async(types.ApplyWorkspaceEditParams(found.edit, label))
    if not made.applied:
        raise CommandRefused(
            f"The editor did not make the change of {file}: {made.failure_reason or 'it says no more'}."
        )
    return {"ok": True, "message": f"{last} in {file} was repaired: it was tried, and computes the same."}


async def export_class(server: Server, given: Mapping[str, Any]) -> dict[str, Any]:
    """Export one class; the file is written only once a fresh process has loaded and compared it."""
    document, name = await _subject(server, given)
    method = given.get("method") or "auto"
    if method not in EXPORT_METHODS:
        raise CommandRefused(f'The method must be one of {", ".join(EXPORT_METHODS)}, not "{method}".')
    dtype = given.get("dtype") or ""
    if dtype not in ("", *EXPORT_DTYPES):
        raise CommandRefused(f'The dtype must be one of {", ".join(EXPORT_DTYPES)}, not "{dtype}".')
    async with server.work(f"Exporting {name}") as tell:
        tell("Waiting for the report", None)
        report = await _final(server, document, name)
        if report.status != "ok":
            reason = report.reason.message if report.reason is not None else "its forward does not run"
            raise CommandRefused(f"{name} cannot be exported: {reason}")
        assert document.current is not None
        output = _output(document, name, method, given.get("output"))
        scope = server.session.scope(document.path)
        service = scope.service
        request = await asyncio.to_thread(scope.workspace.request, document.current, [name])
        if service is None:
            raise CommandRefused(UNTRUSTED)
        checkpoint = given.get("checkpoint")
        order = ExportOrder(
            output,
            method,
            given.get("force") is True,
            _beside(document, checkpoint) if isinstance(checkpoint, str) and checkpoint else None,
            dtype,
        )
        result = await service.export(request, name, report, order, lambda message: tell(message, None))
    answer: dict[str, Any] = {"ok": result.ok, "message": result.message, "method": result.method}
    answer["path"] = None if result.path is None else str(result.path)
    there = os.path.exists(output)  # noqa: PTH110  # the method of paths raises for a name that is too long
    answer["exists"] = there and not result.ok and given.get("force") is not True
    answer["output"] = str(output)
    answer["largestDifference"] = result.largest_difference
    answer["notes"] = list(result.notes)
    return answer


def _output(document: Document, name: str, method: str, given: Any) -> Path:
    if isinstance(given, str) and given:
        return _beside(document, given)
    suffix = ".pt2" if method == "program" else ".pt"
    return Path(document.path).parent / (name.rsplit(".", 1)[-1] + suffix)


async def inspect_archive(server: Server, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a saved file holds and what goes into the module in it; the file is opened in the sandbox only."""
    name = given.get("path") or given.get("uri")
    if not isinstance(name, str) or not name:
        raise CommandRefused("The argument must name a saved file: {path}.")
    path = _path(name)
    service = server.session.scope(path).service
    if service is None:
        raise CommandRefused(UNTRUSTED)
    async with server.work(f"Inspecting {Path(path).name}"):
        found = await service.inspect(Path(path))
    drawn = html_page([saved_picture(found)], found.path.name)
    return {**found.to_json(), "ok": found.known, "markdown": hover.saved_file(found), "html": drawn}


def _beside(document: Document, given: str) -> Path:
    """A path or ``file:`` URI; what is relative is so to the document's folder."""
    return Path(document.path).parent / _path(given)


def _path(given: str) -> str:
    """The path that a person gave, as one or as a ``file:`` URI."""
    path = path_of(given) if given.startswith("file:") else given
    if path is None or not is_path(path):
        raise CommandRefused(f"No file can have this path: {printable(given[:80])}")
    return path


async def show_report(server: Server, given: Mapping[str, Any]) -> dict[str, Any]:
    """The report as a page, drawn and as markdown, with a note if it is not of the text as it stands."""
    document, name = await _subject(server, given)
    await server.session.wait_for(document, name, server.session.scope(document.path).settings.hover_wait_ms / 1000)
    known = document.known(name)
    drawn = html_page([picture(known, document.quick, server.document_of)], f"{name} in {Path(document.path).name}")
    return {"ok": True, "class": name, "html": drawn, "markdown": page(known), "message": ""}


async def check_workspace(server: Server) -> dict[str, Any]:
    """Probe every class of every file of the workspace; findings of files that are not open are published."""
    session = server.session
    if not session.scopes.services():
        raise CommandRefused(UNTRUSTED)
    listed = [
        await asyncio.to_thread(session.scope(folder).workspace.files, folder) for folder in session.scopes.folders
    ]
    paths = list(dict.fromkeys(path for each in listed for path in each))
    counts = {"files": 0, "classes": 0, "errors": 0, "warnings": 0}
    async with server.work("Checking the workspace") as tell:
        for number, path in enumerate(paths):
            text = session.scope(path).workspace.text(path)
            if text is None or "class " not in text:
                continue
            tell(Path(path).name, 100 * number // len(paths))
            document = session.document(path)
            if document is None:
                continue
            document.checked = True
            await session.settled(document)
            counts["files"] += 1
            counts["classes"] += len(document.all_known())
            server.push(document.concerned(), unopened=True)
            for finding in session.findings(path):
                counts["errors"] += finding.severity == "error"
                counts["warnings"] += finding.severity == "warning"
    message = (
        f"{counts['classes']} classes in {counts['files']} files: "
        f"{counts['errors']} errors and {counts['warnings']} warnings."
    )
    return {"ok": True, "message": message, **counts}
