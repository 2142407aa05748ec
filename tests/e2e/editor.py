"""An editor for the tests: starts the real server in a process of its own and talks to it over stdio."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from lsprotocol import types
from pytest_lsp import LanguageClient, make_test_lsp_client

SECONDS = 90.0


def capabilities(**changes: Any) -> types.ClientCapabilities:
    """Those of an editor that takes what is published and answers what the server asks."""
    found = types.ClientCapabilities(
        workspace=types.WorkspaceClientCapabilities(
            configuration=True,
            workspace_edit=types.WorkspaceEditClientCapabilities(document_changes=True),
            inlay_hint=types.InlayHintWorkspaceClientCapabilities(refresh_support=True),
            code_lens=types.CodeLensWorkspaceClientCapabilities(refresh_support=True),
            did_change_watched_files=types.DidChangeWatchedFilesClientCapabilities(dynamic_registration=True),
        ),
        window=types.WindowClientCapabilities(work_done_progress=True),
        general=types.GeneralClientCapabilities(position_encodings=[types.PositionEncodingKind.Utf16]),
    )
    for name, value in changes.items():
        setattr(found, name, value)
    return found


class Editor:
    """One session. `configuration` is what ``workspace/configuration`` is answered with, `of_folders` what it is of a
    folder, by its URI.
    """

    def __init__(self, client: LanguageClient, folder: Path) -> None:
        self.client = client
        self.folder = folder
        self.configuration: dict[str, Any] = {}
        self.of_folders: dict[str, dict[str, Any]] = {}
        self.statuses: list[Any] = []
        self.progress: list[Any] = []
        self.pid = 0
        self._news = asyncio.Event()

        def news(params: Any) -> None:
            self._news.set()

        def published(params: types.PublishDiagnosticsParams) -> None:
            client.diagnostics[params.uri] = list(params.diagnostics)
            self._news.set()

        def status(params: Any) -> None:
            self.statuses.append(params)
            self._news.set()

        def progress(params: Any) -> None:
            self.progress.append(params)
            self._news.set()

        def configured(params: Any) -> list[Any]:
            return [{**self.configuration, **self.of_folders.get(item.scope_uri or "", {})} for item in params.items]

        answers: dict[str, Callable[[Any], Any]] = {
            "tsShape/status": status,
            types.PROGRESS: progress,
            types.WORKSPACE_CONFIGURATION: configured,
            types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS: published,
            types.WORKSPACE_INLAY_HINT_REFRESH: news,
            types.WORKSPACE_CODE_LENS_REFRESH: news,
            types.WORKSPACE_DIAGNOSTIC_REFRESH: news,
            types.CLIENT_REGISTER_CAPABILITY: news,
            types.WINDOW_WORK_DONE_PROGRESS_CREATE: news,
        }
        for name, answer in answers.items():
            client.protocol.fm._features.pop(name, None)
            client.feature(name)(answer)

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def open(self, name: str, text: str | None = None) -> str:
        uri = self.uri(name)
        text = (self.folder / name).read_text(encoding="utf-8") if text is None else text
        item = types.TextDocumentItem(uri, types.LanguageKind.Python, 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return uri

    def replace(self, uri: str, text: str, version: int) -> None:
        whole = types.TextDocumentContentChangeWholeDocument(text)
        identifier = types.VersionedTextDocumentIdentifier(version, uri)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [whole]))

    async def hover(self, uri: str, line: int, character: int) -> str:
        """The hover at a position as editors count it, lines from 0."""
        position = types.Position(line, character)
        params = types.HoverParams(types.TextDocumentIdentifier(uri), position)
        found = await asyncio.wait_for(self.client.text_document_hover_async(params), SECONDS)
        if found is None:
            return ""
        assert isinstance(found.contents, types.MarkupContent)
        return found.contents.value

    async def until(self, there: Callable[[], Any], seconds: float = SECONDS) -> Any:
        """Wait until `there()` is true, or fail."""

        async def wait() -> Any:
            while not (found := there()):
                self._news.clear()
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._news.wait(), 0.2)
            return found

        return await asyncio.wait_for(wait(), seconds)

    async def hover_until(self, uri: str, line: int, character: int, words: str) -> str:
        async def ask() -> str:
            while words not in (text := await self.hover(uri, line, character)):
                await asyncio.sleep(0.1)
            return text

        return await asyncio.wait_for(ask(), SECONDS)

    def diagnostics(self, uri: str) -> list[types.Diagnostic]:
        return list(self.client.diagnostics.get(uri, []))

    def codes(self, uri: str) -> list[str]:
        return [str(item.code) for item in self.diagnostics(uri)]

    async def actions(self, uri: str, line: int, only: list[str] | None = None) -> list[types.CodeAction]:
        span = types.Range(types.Position(line, 0), types.Position(line, 200))
        context = types.CodeActionContext(diagnostics=[], only=only)
        params = types.CodeActionParams(types.TextDocumentIdentifier(uri), span, context)
        found = await asyncio.wait_for(self.client.text_document_code_action_async(params), SECONDS)
        return [item for item in found or [] if isinstance(item, types.CodeAction)]

    async def command(self, name: str, *arguments: Any) -> Any:
        params = types.ExecuteCommandParams(name, list(arguments))
        return plain(await asyncio.wait_for(self.client.workspace_execute_command_async(params), SECONDS))

    def children(self) -> set[int]:
        return descendants(self.pid)


def plain(data: Any) -> Any:
    """JSON as the client's library hands it over, as plain dictionaries."""
    if hasattr(data, "_asdict"):
        data = data._asdict()
    if isinstance(data, dict):
        return {key: plain(item) for key, item in data.items()}
    return data


def descendants(pid: int) -> set[int]:
    """The processes below this one that are alive."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                if fields[0] != "Z":
                    parents[int(entry.name)] = int(fields[1])
    found: set[int] = set()
    grown = True
    while grown:
        more = {child for child, parent in parents.items() if parent == pid or parent in found} - found
        found |= more
        grown = bool(more)
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@contextlib.asynccontextmanager
async def editor(
    folder: Path,
    cache: Path,
    *,
    trusted: Any = True,
    flags: tuple[str, ...] = (),
    settings: dict[str, Any] | None = None,
    configuration: dict[str, Any] | None = None,
    of_folders: dict[Path, dict[str, Any]] | None = None,
    client_capabilities: types.ClientCapabilities | None = None,
) -> AsyncIterator[Editor]:
    """A session from ``initialize`` to ``exit``; afterwards no process of it may be alive. `trusted` None: the client
    says nothing of it. With `of_folders` several folders are open, each with settings of its own.
    """
    client = make_test_lsp_client()
    session = Editor(client, folder)
    session.configuration = configuration or {}
    session.of_folders = {each.as_uri(): found for each, found in (of_folders or {}).items()}
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    await client.start_io(sys.executable, "-m", "ts_shape_server", "serve", *flags, env=environment)
    process: Any = client._server
    session.pid = process.pid
    params = types.InitializeParams(
        capabilities=client_capabilities or capabilities(),
        process_id=os.getpid(),
        root_uri=folder.as_uri(),
        workspace_folders=[types.WorkspaceFolder(each.as_uri(), each.name) for each in of_folders or [folder]],
        initialization_options={
            **({} if trusted is None else {"trusted": trusted}),
            "settings": {"hover": {"waitMs": 20000}, **(settings or {})},
        },
    )
    try:
        await asyncio.wait_for(client.initialize_session(params), SECONDS)
        yield session
        family = session.children()
        await asyncio.wait_for(client.shutdown_session(), SECONDS)
        await asyncio.wait_for(process.wait(), SECONDS)
        assert process.returncode == 0
        await session.until(lambda: not any(map(alive, family)), 5)
    finally:
        if process.returncode is None:
            process.kill()
        await client.stop()
