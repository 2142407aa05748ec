"""The pygls server: its protocol made to end rightly, and everything a client is told without having asked.

Holds the one `Session` and knows what this client can do. What a request does is in `handlers` and `commands`.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import cattrs
from lsprotocol import converters, types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidRequest, JsonRpcParseError
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, lsp_method

from ts_shape_server import __version__
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.deadline import within
from ts_shape_server.lsp.buffers import Buffers
from ts_shape_server.lsp.convert import Converter, is_path, path_of, uri_of
from ts_shape_server.lsp.scopes import WindowStatus
from ts_shape_server.lsp.session import EditorSession

log = logging.getLogger(__name__)

STATUS = "tsShape/status"
NOTEBOOKS = types.NotebookDocumentSyncOptions(
    [
        types.NotebookDocumentFilterWithNotebook(
            types.NotebookDocumentFilterNotebookType("jupyter-notebook"), [types.NotebookCellLanguage("python")]
        )
    ]
)
"""Of which documents a client tells the cells."""


class Protocol(LanguageServerProtocol):
    """pygls leaves through `SystemExit` in a callback, which loses the exit code; here the server is told instead."""

    @lsp_method(types.EXIT)
    def lsp_exit(self, *arguments: object) -> Generator[Any, Any, None]:
        yield from ()
        server = self._server
        assert isinstance(server, Server)
        server.leave(0 if self._shutdown else 1)

    def structure_message(self, data: dict[str, Any]) -> Any:
        """pygls leaves a request that it cannot read without an answer, and its client waiting for ever."""
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            self._refuse(data.get("id"), data.get("method"), error)
            raise

    def handle_message(self, message: Any) -> None:
        if self._shutdown:
            self._refuse(getattr(message, "id", None), getattr(message, "method", None), JsonRpcInvalidRequest())
        super().handle_message(message)

    def _refuse(self, number: Any, method: Any, error: JsonRpcException) -> None:
        """Answer a request with an error; what is a notification or an answer itself gets none."""
        if isinstance(number, (int, str)) and method is not None:
            self._send_response(number, error=error.to_response_error())


def lenient_converter() -> cattrs.Converter:
    """lsprotocol's converter, with one malformed diagnostic costing itself alone and not the whole request."""
    converter = converters.get_converter()
    structure = converter.structure

    def context(data: Any, _: object) -> types.CodeActionContext:
        found: list[types.Diagnostic] = []
        for item in data.get("diagnostics") or () if isinstance(data, dict) else ():
            try:
                found.append(structure(item, types.Diagnostic))
            except Exception:
                log.debug("a diagnostic of the client cannot be read and is left out")
        only = data.get("only") if isinstance(data, dict) else None
        kinds = [item for item in only if isinstance(item, str)] if isinstance(only, list) else None
        trigger = data.get("triggerKind") if isinstance(data, dict) else None
        automatic = types.CodeActionTriggerKind.Automatic if trigger == 2 else None
        return types.CodeActionContext(diagnostics=found, only=kinds, trigger_kind=automatic)

    converter.register_structure_hook(types.CodeActionContext, context)
    return converter


class Server(LanguageServer):
    """One server for one client."""

    def __init__(self, trust_workspace: bool = False, flags: Mapping[str, Any] | None = None) -> None:
        super().__init__(
            name="ts-shape-server",
            version=__version__,
            protocol_cls=Protocol,
            converter_factory=lenient_converter,
            notebook_document_sync=NOTEBOOKS,
        )
        self.session = EditorSession(self._changed, self._status, self._warn)
        self.buffers = Buffers(self.folders)
        self.trust_workspace = trust_workspace
        self.flags = {key: value for key, value in (flags or {}).items() if value is not None}
        self.exit_code = 1
        self.connected = False
        self._left = asyncio.Event()
        self._pushed: set[str] = set()
        self._told: WindowStatus | None = None

    def folders(self) -> tuple[str, ...]:
        """Those that the client has open."""
        folders = [path for uri in self.workspace.folders if (path := path_of(uri)) is not None]
        root = self.workspace.root_path
        return (root,) if not folders and root and is_path(root) else tuple(folders)

    def uri_of_folder(self, folder: str) -> str:
        """The URI under which the client has a folder open."""
        return next((uri for uri in self.workspace.folders if path_of(uri) == folder), uri_of(folder))

    async def leaving(self) -> None:
        await self._left.wait()

    def leave(self, code: int) -> None:
        self.exit_code = code
        self._left.set()

    def report_server_error(self, error: Exception, source: Any) -> None:
        """To the log alone: telling a client whose connection broke would fail again, without end. What is no JSON gets
        the answer that the protocol has for it: it may have been a request.
        """
        log.error("%s: %s", getattr(source, "__name__", source), error)
        if source is JsonRpcException and isinstance(error, (ValueError, RecursionError)):
            nobody: Any = None
            self.protocol._send_response(nobody, error=JsonRpcParseError().to_response_error())

    def converter(self, uri: str = "") -> Converter:
        """For this client's encoding, the texts as they stand, and the document at this URI."""
        encoding = str(getattr(self.workspace.position_encoding, "value", self.workspace.position_encoding))
        cell = self.buffers.cell(uri)
        return Converter(encoding, self.source, self.where, 0 if cell is None else cell.first_line)

    def where(self, path: str, line: int) -> tuple[str, int]:
        return self.buffers.where(path, line, self.session.uri(path))

    def document_of(self, path: str, line: int) -> tuple[str, int] | None:
        """The URI under which the client can open what has a line of a path, and which line it is there, counted from
        1: a cell of a notebook, a buffer that is open, or a file; None where there is none.
        """
        uri, before = self.where(path, line)
        cells = self.buffers.uris(path)
        there = uri in cells if cells else self.session.opened(path) is not None or Path(path).is_file()
        return (uri, line - before) if there else None

    def source(self, path: str) -> SourceText:
        return self.session.source(path)

    def can(self, *names: str) -> bool:
        """Whether the client has the capability at this path of attributes."""
        found: Any = self.client_capabilities
        for name in names:
            found = getattr(found, name, None)
        return found is not None and found is not False

    @property
    def pulls(self) -> bool:
        return self.can("text_document", "diagnostic")

    @property
    def refreshes(self) -> bool:
        return self.can("workspace", "diagnostics", "refresh_support")

    @property
    def shows_markdown(self) -> bool:
        """Whether the client takes markdown in hovers; one that does not say is taken at its silence."""
        hover = getattr(getattr(self.client_capabilities, "text_document", None), "hover", None)
        formats = getattr(hover, "content_format", None)
        return not formats or types.MarkupKind.Markdown in formats

    def _changed(self, paths: set[str]) -> None:
        """Reports of these files changed: push or have the client pull, and have it ask for hints and lenses anew."""
        if not self.connected:
            return
        self.push(paths)
        if self.pulls and self.refreshes:
            self.ask(self.workspace_diagnostic_refresh_async(None))
        if self.can("workspace", "inlay_hint", "refresh_support"):
            self.ask(self.workspace_inlay_hint_refresh_async(None))
        if self.can("workspace", "code_lens", "refresh_support"):
            self.ask(self.workspace_code_lens_refresh_async(None))

    def push(self, paths: set[str], unopened: bool = False) -> None:
        """Publish the findings of these files, for those that the client does not pull itself: of files that are not
        open what was published before is kept up to date, and taken back when they are opened.
        """
        convert = self.converter()
        for path in sorted(paths):
            document, uri = self.session.opened(path), self.session.uri(path)
            if self.pulls and document is None and not unopened and uri not in self._pushed:
                continue
            told: dict[str, list[types.Diagnostic]] = {each: [] for each in self.buffers.uris(path) or [uri]}
            if not self.pulls or document is None:
                for item in self.session.findings(path):
                    told.setdefault(self.where(path, item.range.line)[0], []).append(convert.diagnostic(item))
            version = document.version if document is not None and not self.buffers.uris(path) else None
            for each, found in told.items():
                if found or each in self._pushed:
                    self._pushed.add(each)
                    params = types.PublishDiagnosticsParams(each, found, version)
                    self.text_document_publish_diagnostics(params)
                if not found:
                    self._pushed.discard(each)

    def ask(self, question: Any) -> None:
        """Send a request whose answer changes nothing; a client that refuses or never answers is no error."""

        async def asked() -> None:
            try:
                await within(asyncio.ensure_future(question), 30)
            except Exception as error:
                log.debug("the client did not answer: %s", error)

        self.session.keep(asyncio.ensure_future(asked()))

    def _status(self, status: WindowStatus) -> None:
        if self.connected and status != self._told:
            self._told = status
            self.protocol.notify(STATUS, status.to_json())

    def _warn(self, message: str) -> None:
        log.warning("%s", message)
        if self.connected:
            self.window_show_message(types.ShowMessageParams(types.MessageType.Warning, message))

    @asynccontextmanager
    async def work(self, title: str, token: Any = None) -> AsyncIterator[Callable[[str, int | None], None]]:
        """Work-done progress around what is done inside; cancelling it in the editor cancels the task inside."""
        if token is None and not self.can("window", "work_done_progress"):
            yield lambda message, percentage: None
            return
        progress = self.work_done_progress
        if token is None:
            token = f"ts-shape-{uuid.uuid4()}"
            try:
                await within(progress.create_async(token), 5)
            except Exception as error:
                log.debug("no progress in this client: %s", error)
                yield lambda message, percentage: None
                return
        progress.begin(token, types.WorkDoneProgressBegin(title, cancellable=True, percentage=None))
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        cancelled = progress.tokens.get(token)
        if cancelled is not None and task is not None:
            running = task
            cancelled.add_done_callback(
                lambda future: loop.call_soon_threadsafe(running.cancel) if future.cancelled() else None
            )
        try:
            yield lambda message, percentage: progress.report(
                token, types.WorkDoneProgressReport(message=message, percentage=percentage, cancellable=True)
            )
        finally:
            progress.end(token, types.WorkDoneProgressEnd())
            progress.tokens.pop(token, None)
