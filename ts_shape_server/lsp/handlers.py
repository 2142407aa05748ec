"""What the server does when a client asks or tells something. Each handler is a coroutine, so that it can be cancelled.

A handler takes what it needs of the text in its first statement; everything it awaits has a deadline.
"""

from __future__ import annotations

import ast
import asyncio
import hashlib
import json
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lsprotocol import types

from ts_shape_server.analysis.evidence import program_of
from ts_shape_server.analysis.instance_calls import InstanceCall, instance_call
from ts_shape_server.analysis.local_names import from_modules, from_shape, is_called, method_at, statement_at
from ts_shape_server.analysis.names import Subject, name_at
from ts_shape_server.analysis.shifting import Replacement, Shift, shift
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Range
from ts_shape_server.deadline import within
from ts_shape_server.features import hover, lenses
from ts_shape_server.features.known import Known, unparsed
from ts_shape_server.features.plain_text import as_text
from ts_shape_server.lsp import menu
from ts_shape_server.lsp.convert import SOURCE, Converter
from ts_shape_server.lsp.documents import Document
from ts_shape_server.lsp.server import Server
from ts_shape_server.settings import parse
from ts_shape_server.workspace import Snapshot

log = logging.getLogger(__name__)

SECTION = "tsShape"
_CONFIGURATION_SECONDS = 5.0
_PULL_SECONDS = 60.0
MENU = types.CodeActionOptions(code_action_kinds=menu.KINDS, resolve_provider=True)


def register(server: Server) -> None:
    """Teach the server every request and notification of the language-server part."""
    _register_life(server)
    _register_documents(server)
    _register_notebooks(server)
    _register_answers(server)
    _register_diagnostics(server)


def _register_life(server: Server) -> None:
    sent: dict[str, Any] = {"settings": {}, "trusted": False}

    @server.feature(types.INITIALIZE)
    async def initialize(params: types.InitializeParams) -> None:
        given = params.initialization_options
        given = given if isinstance(given, Mapping) else {}
        sent["settings"] = given.get("settings") if isinstance(given.get("settings"), Mapping) else {}
        sent["trusted"] = given.get("trusted") is True or server.trust_workspace
        # A hover may come before the client has told its configuration, and waits as long as these say.
        server.session.scope().settings, _ = parse(server.flags, sent["settings"])

    @server.feature(types.INITIALIZED)
    async def initialized(params: types.InitializedParams) -> None:
        server.connected = True
        await configure()
        watched = [types.FileSystemWatcher("**/*.py"), types.FileSystemWatcher("**/pyproject.toml")]
        if server.can("workspace", "did_change_watched_files", "dynamic_registration"):
            options = types.DidChangeWatchedFilesRegistrationOptions(watched)
            registration = types.Registration("watch", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
            server.ask(server.client_register_capability_async(types.RegistrationParams([registration])))
        _warm(server)

    async def configure() -> None:
        folders, own = server.folders(), {}
        layers: list[Mapping[str, Any]] = [server.flags, sent["settings"]]
        if server.can("workspace", "configuration"):
            everywhere, *each = await _configuration(server, folders)
            layers.append(everywhere)
            own = {folder: [layer] for folder, layer in zip(folders, each, strict=True)}
        await server.session.configure(folders, sent["trusted"], layers, own)

    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    async def did_change_configuration(params: types.DidChangeConfigurationParams) -> None:
        given = params.settings
        if isinstance(given, Mapping) and isinstance(given.get(SECTION), Mapping):
            # The whole section: a key that is no longer in it has been unset.
            sent["settings"] = given[SECTION]
        elif isinstance(given, Mapping) and given:
            sent["settings"] = {**sent["settings"], **given}
        await configure()

    @server.feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    async def did_change_folders(params: types.DidChangeWorkspaceFoldersParams) -> None:
        await configure()

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    async def did_change_watched(params: types.DidChangeWatchedFilesParams) -> None:
        if any(change.uri.endswith("pyproject.toml") for change in params.changes):
            await configure()
        else:
            await server.session.disk_changed()


async def _configuration(server: Server, folders: Sequence[str]) -> list[Mapping[str, Any]]:
    """The section of the client's configuration, then that of each folder; empty where the client does not answer."""
    items = [types.ConfigurationItem(section=SECTION)]
    items += [types.ConfigurationItem(server.uri_of_folder(folder), SECTION) for folder in folders]
    answer: Sequence[Any] = ()
    try:
        asked = asyncio.ensure_future(server.workspace_configuration_async(types.ConfigurationParams(items)))
        answer = await within(asked, _CONFIGURATION_SECONDS) or ()
    except Exception as error:
        log.warning("the client did not tell its configuration: %s", error)
    found = [item if isinstance(item, Mapping) else {} for item in answer][: len(items)]
    return [*found, *({} for _ in range(len(items) - len(found)))]


def _warm(server: Server) -> None:
    """Make the first answers as fast as the later ones: the converter compiles each type at its first use."""
    span = types.Range(types.Position(0, 0), types.Position(0, 1))
    content = types.MarkupContent(types.MarkupKind.Markdown, "")
    lens = types.CodeLens(span, types.Command("", ""))
    hint = types.InlayHint(types.Position(0, 0), "", types.InlayHintKind.Type, tooltip=content)
    found = types.Diagnostic(span, "", code_description=types.CodeDescription(""), related_information=[])
    items: list[Any] = [types.Hover(content, span), lens, hint, found, types.WorkspaceEdit(changes={})]
    for item in items:
        server.protocol._converter.unstructure(item)
    document = {"textDocument": {"uri": "file:///x"}}
    zero = {"line": 0, "character": 0}
    whole = {"start": zero, "end": zero}
    questions = [
        ({**document, "position": zero}, types.HoverParams),
        ({**document, "range": whole}, types.InlayHintParams),
        (document, types.CodeLensParams),
        ({**document, "range": whole, "context": {"diagnostics": []}}, types.CodeActionParams),
    ]
    for data, type_ in questions:
        server.protocol._converter.structure(data, type_)


def _register_documents(server: Server) -> None:
    session = server.session

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    async def did_open(params: types.DidOpenTextDocumentParams) -> None:
        item = params.text_document
        path = server.buffers.name(item.uri)
        if path is not None:
            session.open(path, item.uri, item.text, item.version)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    async def did_change(params: types.DidChangeTextDocumentParams) -> None:
        path = server.buffers.path(params.text_document.uri)
        document = None if path is None else session.opened(path)
        if path is not None and document is not None:
            edits = changed(document.source, params.content_changes, server.converter())
            text = edits[-1].after.text if edits else document.text
            session.change(path, text, params.text_document.version, edits)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    async def did_save(params: types.DidSaveTextDocumentParams) -> None:
        await session.disk_changed(server.buffers.path(params.text_document.uri) or "")

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    async def did_close(params: types.DidCloseTextDocumentParams) -> None:
        path = server.buffers.path(params.text_document.uri)
        if path is not None:
            session.close(path)
            server.buffers.forget(path)


def _register_notebooks(server: Server) -> None:
    session = server.session

    def read(uri: str, version: int) -> None:
        """Take a notebook as it is by now: its cells in their order as one module."""
        book = server.workspace.get_notebook_document(notebook_uri=uri)
        code = [item.document for item in book.cells if item.kind == types.NotebookCellKind.Code] if book else []
        cells = [(cell, server.workspace.get_text_document(cell).source) for cell in code]
        known = set(server.buffers.uris(server.buffers.path(uri) or ""))
        made = server.buffers.notebook(uri, cells)
        if made is None:
            return
        path, text = made
        for gone in known - set(code):
            server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(gone, []))
        if session.opened(path) is None:
            session.open(path, uri, text, version)
        else:
            session.change(path, text, version)

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_OPEN)
    async def did_open(params: types.DidOpenNotebookDocumentParams) -> None:
        read(params.notebook_document.uri, params.notebook_document.version)

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_CHANGE)
    async def did_change(params: types.DidChangeNotebookDocumentParams) -> None:
        read(params.notebook_document.uri, params.notebook_document.version)

    @server.feature(types.NOTEBOOK_DOCUMENT_DID_CLOSE)
    async def did_close(params: types.DidCloseNotebookDocumentParams) -> None:
        path = server.buffers.path(params.notebook_document.uri)
        if path is not None:
            session.close(path)
            server.buffers.forget(path)


def changed(
    source: SourceText, changes: Sequence[types.TextDocumentContentChangeEvent], convert: Converter
) -> list[Shift]:
    """What these changes do to the text, each on top of the one before.

    Not pygls' own document: it takes form feeds and other rare signs for line ends, and edits then land elsewhere.
    """
    found: list[Shift] = []
    for change in changes:
        replaced = None
        if isinstance(change, types.TextDocumentContentChangePartial):
            span = convert.lines(source, change.range)
            start, end = source.offset(span.line, span.column), source.offset(span.end_line, span.end_column)
            replaced = Replacement(start, max(start, end), change.text)
            after = SourceText(source.text[:start] + change.text + source.text[max(start, end) :])
        else:
            after = SourceText(change.text)
        found.append(shift(source, after, replaced))
        source = after
    return found


def _document(server: Server, uri: str) -> Document | None:
    path = server.buffers.path(uri)
    return None if path is None else server.session.opened(path)


def _register_answers(server: Server) -> None:
    session = server.session

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    async def on_hover(params: types.HoverParams) -> types.Hover | None:
        document = _document(server, params.text_document.uri)
        if document is None:
            return None
        found = await hover_at(server, document, params.position, params.text_document.uri)
        return found if found is None or server.shows_markdown else _as_text(found)

    @server.feature(types.TEXT_DOCUMENT_INLAY_HINT)
    async def on_hints(params: types.InlayHintParams) -> list[types.InlayHint]:
        uri = params.text_document.uri
        document = _document(server, uri)
        if document is None:
            return []
        convert, source, cell = server.converter(uri), document.source, server.buffers.cell(uri)
        # An editor asks for what is on its screen.
        document.shown = shown = convert.lines(source, params.range)
        if session.scope(document.path).settings.inlay_hints == "off":
            return []
        found = [hint for item in document.drawn.values() for hint in item.hints]
        inside = [hint for hint in found if cell is None or cell.holds(hint.line)]
        return [convert.hint(source, hint) for hint in inside if shown.line <= hint.line <= shown.end_line]

    @server.feature(types.TEXT_DOCUMENT_CODE_LENS, types.CodeLensOptions(resolve_provider=False))
    async def on_lenses(params: types.CodeLensParams) -> list[types.CodeLens]:
        document = _document(server, params.text_document.uri)
        if document is None or not session.scope(document.path).settings.code_lens:
            return []
        uri = params.text_document.uri
        convert, source, cell = server.converter(uri), document.source, server.buffers.cell(uri)
        found = [lens for item in document.drawn.values() for lens in item.lenses]
        new = [item for item in document.quick.places() if item.name not in document.drawn]
        found += lenses.lenses(new, {item.name: document.known(item.name) for item in new})
        found.sort(key=lambda lens: lens.range.line)
        return [convert.lens(source, uri, item) for item in found if cell is None or cell.holds(item.range.line)]

    @server.feature(types.TEXT_DOCUMENT_CODE_ACTION, MENU)
    async def on_actions(params: types.CodeActionParams) -> list[types.CodeAction]:
        document = _document(server, params.text_document.uri)
        if document is None:
            return []
        # An editor asks where the cursor comes to rest.
        session.look_at(document.path)
        document.is_at(server.converter(params.text_document.uri).place(document.source, params.range.start)[0])
        return await menu.code_actions(server, document, params)

    @server.feature(types.CODE_ACTION_RESOLVE)
    async def on_resolve(action: types.CodeAction) -> types.CodeAction:
        return await menu.resolve(server, action)


async def hover_at(server: Server, document: Document, position: types.Position, uri: str = "") -> types.Hover | None:
    """The hover at a position: from the last report, waiting for a first one no longer than the settings say."""
    session, source, snapshot = server.session, document.source, document.quick
    convert = server.converter(uri)
    line, column = convert.place(source, position)
    subject = name_at(source, snapshot.classes, line, column)
    if subject is None:
        return _unparsed(convert, document, line, column)
    wait = session.scope(document.path).settings.hover_wait_ms / 1000
    span = convert.range(source, subject.range)
    if subject.kind == "archive_path":
        text = await session.saved.told(session, document.path, subject.name, wait)
        return None if text is None else _hover(text, span)
    name = subject.class_name
    if subject.kind == "name" and snapshot.module(subject.name) is not None:
        # A variable that holds a module.
        name = subject.name
    if name is None or snapshot.module(name) is None:
        if snapshot.classes.syntax_error is not None:
            return _unparsed(convert, document, line, column)
        if subject.kind in ("class", "name"):
            text = await _elsewhere(server, document, subject, line, column, wait)
            return None if text is None else _hover(text, span)
        if document.current is not None or name is None:
            return None
    document.focus = name
    session.look_at(document.path)
    if document.known(name).report is None:
        await session.wait_for(document, name, wait)
    text = _told(document, document.quick, name, subject)
    if text is None and subject.kind == "part":
        text = await _elsewhere(server, document, subject, line, column, wait)
    return None if text is None else _hover(text, span)


def _unparsed(convert: Converter, document: Document, line: int, column: int) -> types.Hover | None:
    """Where a syntax error took a class out of the tree: what was known there when the text last parsed; over the name
    of a class that has no report, why there is none.
    """
    snapshot = document.quick
    if snapshot.classes.syntax_error is None:
        return None
    before = document.parsed
    place = None if before is None else shift(snapshot.source, before.source).place(line, column)
    if before is not None and place is not None:
        subject = name_at(before.source, before.classes, *place)
        name = None if subject is None else subject.class_name
        span = None if subject is None else shift(before.source, snapshot.source).range(subject.range)
        if subject is not None and name is not None and span is not None and document.known(name).report is not None:
            text = _told(document, before, name, subject, line)
            return None if text is None else _hover(text, convert.range(snapshot.source, span))
    named = re.match(r"\s*class\s+(\w+)", snapshot.source.line(line))
    if named is None or not named.start(1) <= column <= named.end(1):
        return None
    span = Range(line, named.start(1), line, named.end(1))
    said = unparsed(snapshot.classes.syntax_error)
    return _hover(f"_{hover.plain(said)}_", convert.range(snapshot.source, span))


def _as_text(found: types.Hover) -> types.Hover:
    assert isinstance(found.contents, types.MarkupContent)
    plain = types.MarkupContent(types.MarkupKind.PlainText, as_text(found.contents.value))
    return types.Hover(plain, found.range)


def _hover(text: str, span: types.Range) -> types.Hover:
    return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text), span)


def _told(document: Document, snapshot: Snapshot, name: str, subject: Subject, line: int = 0) -> str | None:
    """Markdown for a subject of `snapshot`. `line`: where it stands in the document's text, if that is another."""
    known = document.known(name)
    declared = snapshot.module(name)
    if subject.kind == "class" or (subject.kind == "name" and declared is not None):
        return hover.class_hover(known, declared)
    if subject.kind == "forward":
        return hover.forward_hover(known, declared)
    if subject.kind == "parameter":
        return hover.parameter_hover(known, subject.name, line or subject.line)
    tree, moved = snapshot.classes.tree, (line or subject.line) - subject.line
    around = statement_at(tree, subject.line)
    lines = range(around.first + moved, around.last + moved + 1)
    if subject.kind in ("layer", "part"):
        return hover.layer_hover(known, subject.name, declared, lines, called=_is_called(snapshot, subject))
    if subject.kind != "variable":
        return None
    said = hover.variable_hover(known, subject.name, subject.line + moved, lines, stored=_is_stored(snapshot, subject))
    return said if said is not None else _no_tensor(known, tree, subject, moved, lines)


def _no_tensor(known: Known, tree: ast.Module, subject: Subject, moved: int, lines: range) -> str | None:
    """A local in which no tensor was seen: a module that a loop takes from a container, or a size of a tensor."""
    method = method_at(tree, subject.line)
    if method is None:
        return None
    looped = from_modules(method, subject.name, subject.line)
    if looped is not None:
        return hover.modules_hover(known, subject.name, looped.path, looped.position, lines)
    size = from_shape(method, subject.name)
    return None if size is None else hover.size_hover(known, subject.name, size.tensor, size.line + moved, size.dim)


def _is_called(snapshot: Snapshot, subject: Subject) -> bool:
    source, line = snapshot.source, subject.range.end_line
    column = len(source.line(line)[: subject.range.end_column].encode("utf-8", "surrogatepass"))
    return is_called(snapshot.classes.tree, line, column)


def _is_stored(snapshot: Snapshot, subject: Subject) -> bool:
    """Whether the name under the cursor is being assigned."""
    source = snapshot.source
    here = (subject.range.line, subject.range.column)
    return any(
        isinstance(node, ast.Name)
        and isinstance(node.ctx, ast.Store)
        and (node.lineno, source.from_ast(node.lineno, node.col_offset)) == here
        for node in ast.walk(snapshot.classes.tree)
    )


def _instance(document: Document, subject: Subject) -> InstanceCall | None:
    """The call that makes the object that a name holds."""
    if document.quick.classes.syntax_error is not None:
        return None
    program, imports = program_of(document.text)
    return instance_call(program, imports, subject.name, subject.line)


async def _elsewhere(
    server: Server, document: Document, subject: Subject, line: int, column: int, wait: float
) -> str | None:
    """The report of a class that another file defines, for a name that jedi has to follow; for a name that holds an
    instance, with the arguments of that.
    """
    session = server.session
    call = _instance(document, subject) if subject.kind == "name" else None
    if call is not None:
        line, column = call.line, document.source.from_ast(call.line, call.column)
    asked = asyncio.to_thread(
        session.scope(document.path).workspace.definition, document.path, document.text, line, column
    )
    try:
        found = await within(asked, max(wait, 0.2))
    except asyncio.TimeoutError:
        return None
    if found is None:
        return None
    path, name = found
    owner = session.document(path)
    if owner is None:
        return None
    if owner.current is None and not owner.working:
        return None
    if owner.current is None:
        await owner.news(max(wait, 0.2))
    if owner.current is None or owner.current.module(name) is None:
        return None
    await session.wait_for(owner, name, wait)
    last, known, declared = name.rsplit(".", 1)[-1], owner.known(name), owner.current.module(name)
    if subject.kind != "name" or subject.name == last or subject.name in document.quick.classes.imports:
        return hover.class_hover(known, declared)
    text = None
    if call is not None and call.class_name == last:
        text = await session.instances.told(session, owner, name, call, wait)
    return hover.of_any_instance(known, declared) if text is None else text


def _register_diagnostics(server: Server) -> None:
    session = server.session
    options = types.DiagnosticOptions(inter_file_dependencies=True, workspace_diagnostics=False, identifier=SOURCE)

    @server.feature(types.TEXT_DOCUMENT_DIAGNOSTIC, options)
    async def pull(params: types.DocumentDiagnosticParams) -> types.DocumentDiagnosticReport:
        uri = params.text_document.uri
        path = server.buffers.path(uri)
        document = None if path is None else session.opened(path)
        if path is None or document is None:
            return types.RelatedFullDocumentDiagnosticReport(items=[])
        if not server.refreshes:
            # This client never asks again by itself, so the answer waits until there is one.
            try:
                await within(session.settled(document), _PULL_SECONDS)
            except asyncio.TimeoutError:
                log.info("diagnostics of %s are asked for before they are all there", path)
        convert = server.converter()
        found = [item for item in session.findings(path) if server.where(path, item.range.line)[0] == uri]
        items = [convert.diagnostic(item) for item in found]
        identity = _identity(server, items)
        if params.previous_result_id == identity:
            return types.RelatedUnchangedDocumentDiagnosticReport(result_id=identity)
        return types.RelatedFullDocumentDiagnosticReport(items=items, result_id=identity)


def _identity(server: Server, items: list[types.Diagnostic]) -> str:
    text = json.dumps([server.protocol._converter.unstructure(item) for item in items], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
