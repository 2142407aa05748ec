"""The state of one editor session: open files, their probes, what is known, and what stands in the way.

Every change of a file starts one task that reads the text, asks the store, asks the agent and then tries fixes; a newer
change cancels it, and with it the child process. Knows no LSP type: the server is told through three callbacks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ts_shape_server.analysis.shifting import Shift, shift
from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.report import Report
from ts_shape_server.features import actions
from ts_shape_server.features.diagnostics import Finding
from ts_shape_server.features.known import unparsed
from ts_shape_server.features.offers import Offer
from ts_shape_server.lsp.convert import uri_of
from ts_shape_server.lsp.documents import Document
from ts_shape_server.lsp.files import SessionFiles, called_from
from ts_shape_server.lsp.instances import InstanceReports
from ts_shape_server.lsp.saved import SavedFiles
from ts_shape_server.lsp.scopes import UNTRUSTED, FolderScope, FolderScopes, Layers, WindowStatus
from ts_shape_server.lsp.trials import RewriteTrials, is_of_agent
from ts_shape_server.probing.service import FileRequest, ProbeService
from ts_shape_server.workspace import Snapshot

log = logging.getLogger(__name__)

_PAUSE_FOR_OTHERS = 0.5


class EditorSession:
    """Not started until `configure` has said which folders, whether they are trusted, and the settings."""

    def __init__(
        self,
        on_change: Callable[[set[str]], None],
        on_status: Callable[[WindowStatus], None],
        on_warning: Callable[[str], None],
    ) -> None:
        self.trusted = False
        self.configured = asyncio.Event()
        self.files = SessionFiles()
        self.scopes = FolderScopes(self.files.overlays, self.tell_status, self.keep)
        self.front = ""
        """The path of the file that a person is at."""
        self.saved = SavedFiles()
        self.instances = InstanceReports()
        self.state = 0
        """Changes with the text of any file, with the settings and with the interpreter."""
        self._on_change, self._on_status, self._on_warning = on_change, on_status, on_warning
        self._tasks: set[asyncio.Task[Any]] = set()
        self._others: asyncio.Task[None] | None = None
        self._warned: set[str] = set()
        self._reconfiguring = asyncio.Lock()

    # ---- configuration

    async def configure(
        self,
        folders: Sequence[str],
        trusted: bool,
        layers: Layers,
        own: Mapping[str, Layers] = MappingProxyType({}),
    ) -> None:
        """Take new settings, `own` those of a folder alone. A service whose options changed is replaced, and every open
        file looked at anew.
        """
        async with self._reconfiguring:
            self.trusted = trusted
            changed, problems = await self.scopes.configure(folders, trusted, layers, own)
            for problem in problems:
                self._warn_once(problem)
            logging.getLogger("ts_shape_server").setLevel(self.scope().settings.loglevel.upper())
            if changed:
                self.state += 1
                self.tell_status()
        self.configured.set()
        self._on_change(set(self.files.documents))
        self.refresh_all()

    def scope(self, path: str = "") -> FolderScope:
        """The folder that a path is in, with its settings, its interpreter and its files."""
        return self.scopes.of(path)

    async def restart(self) -> str:
        """End the agents, look for an interpreter anew, probe the open files again; what came of it in a sentence."""
        if not self.scopes.services():
            return UNTRUSTED
        for document in self.files.documents.values():
            self._cancel(document)
        problem = await self.scopes.restart()
        self.state += 1
        self._warned.clear()
        self.refresh_all()
        return problem or "The agent was started anew."

    async def stop(self) -> None:
        """End every task and every process."""
        pending = [task for task in self._tasks if not task.done()]
        for task in pending:
            task.cancel()
        await self.scopes.stop()
        if pending:
            await asyncio.wait(pending, timeout=2)

    # ---- files

    def look_at(self, path: str) -> None:
        """A person is at this file."""
        before, self.front = self.scope(self.front), path
        scope = self.scope(path)
        if scope.service is not None:
            scope.service.look_at(path)
        if scope is not before:
            self.tell_status()

    def open(self, path: str, uri: str, text: str, version: int) -> Document:
        self.look_at(path)
        known = self.files.documents.get(path)
        if known is not None:
            known.open, known.uri = True, uri
            self._change(known, text, version, _whole(known, text))
        else:
            known = self._add(Document(path, uri, text, self._quick, version))
        self.refresh(known, pause=False)
        return known

    def change(self, path: str, text: str, version: int, edits: Sequence[Shift] | None = None) -> None:
        """An open file has a new text; `edits` lead to it, where the editor has told them."""
        document = self.files.documents.get(path)
        if document is not None:
            self.look_at(path)
            self._change(document, text, version, _whole(document, text) if edits is None else edits)
            self.refresh(document)
            self._refresh_others(document)

    def _change(self, document: Document, text: str, version: int, edits: Sequence[Shift]) -> None:
        self.state += 1
        document.change(text, version, edits)
        for other in self.files.documents.values():
            if other is not document:
                for edit in edits:
                    other.move_said(document.path, edit)

    def _quick(self, path: str, text: str) -> Snapshot:
        return self.scope(path).workspace.quick(path, text)

    def _add(self, document: Document) -> Document:
        """Look at one more file."""
        self._withdraw(document.path)
        self.files.documents[document.path] = document
        return document

    def close(self, path: str) -> None:
        document = self.files.documents.get(path)
        if document is not None:
            self._forget(document)

    def _forget(self, document: Document) -> None:
        """Look at a file no more, and take back what was said of it and because of it."""
        del self.files.documents[document.path]
        self._cancel(document)
        self._on_change({document.path, *document.told})

    def opened(self, path: str) -> Document | None:
        return self.files.opened(path)

    def document(self, path: str) -> Document | None:
        """The file, opened or not; an unopened one is read from disk and probed like an open one."""
        known = self.files.documents.get(path)
        text = self.scope(path).workspace.text(path)
        if known is not None and (known.open or text == known.text):
            return known
        if text is None:
            return None
        if known is None:
            known = self._add(Document(path, uri_of(path), text, self._quick, open=False))
            self._forget_unopened()
        else:
            self._change(known, text, 0, _whole(known, text))
        self.refresh(known, pause=False)
        return known

    def _forget_unopened(self) -> None:
        for item in self.files.surplus():
            self.files.keep_check(item)
            self._forget(item)

    def _withdraw(self, path: str) -> None:
        """What a check of the workspace said of a file is no longer true, or is going to be asked anew."""
        concerned = self.files.withdraw_check(path)
        if concerned:
            self._on_change(concerned)

    def look_for_fixes(self, document: Document) -> None:
        """Try the fixes of a file that is not open too."""
        if not document.open and not document.fixes_wanted:
            document.fixes_wanted = True
            self.refresh(document, pause=False)

    def source(self, path: str) -> SourceText:
        document = self.files.documents.get(path)
        return document.source if document is not None else SourceText(self.scope(path).workspace.text(path) or "")

    def uri(self, path: str) -> str:
        document = self.files.documents.get(path)
        return document.uri if document is not None else uri_of(path)

    # ---- probing

    def refresh_all(self) -> None:
        for document in list(self.files.documents.values()):
            self.refresh(document, pause=False)

    def refresh(self, document: Document, pause: bool = True) -> None:
        """Start looking at this file as it stands; what was under way for it is cancelled."""
        self._cancel(document)
        document.again = False
        document.settled.clear()
        document.working = self.scope(document.path).service is not None or not self.configured.is_set()
        document.obstacle = "" if document.working else UNTRUSTED
        document.task = self.keep(asyncio.ensure_future(self._look(document, document.edition, pause)))

    def _refresh_others(self, changed: Document) -> None:
        """Other files may import the changed one: look at them once typing pauses. The store makes this cheap."""
        if self._others is not None:
            self._others.cancel()

        async def look() -> None:
            await asyncio.sleep(_PAUSE_FOR_OTHERS)
            for workspace in self.scopes.workspaces():
                await asyncio.to_thread(workspace.reread)
            await self._look_at_others(changed.path)

        self._others = self.keep(asyncio.ensure_future(look()))

    async def disk_changed(self, path: str = "") -> None:
        """Files were saved, `path` among them: what was read from the disk is read again."""
        for workspace in self.scopes.workspaces():
            await asyncio.to_thread(workspace.forget)
        self.state += 1
        await self._look_at_others(path)

    async def _look_at_others(self, path: str) -> None:
        """A file was saved or changed: every other one that is looked at may depend on it, or be called in it. Those
        that are not open are read again.
        """
        places = self.files.on_disk()
        texts = await asyncio.to_thread(lambda: {place: self.scope(place).workspace.text(place) for place in places})
        for place in self.files.outdated_checks(texts):
            self._withdraw(place)
        for document in list(self.files.documents.values()):
            if document.path == path:
                continue
            text = document.text if document.open else texts.get(document.path, document.text)
            if text is None:
                self._forget(document)
            elif text != document.text:
                self._change(document, text, 0, _whole(document, text))
                self.refresh(document, pause=False)
            elif document.working:
                document.again = True
            else:
                self.refresh(document, pause=False)

    def _cancel(self, document: Document) -> None:
        if document.task is not None and not document.task.done():
            document.task.cancel()
        document.stop_trying()
        document.task, document.working = None, False

    async def _look(self, document: Document, edition: int, pause: bool) -> None:
        try:
            debounce = self.scope(document.path).settings.debounce_ms
            if pause and debounce:
                await asyncio.sleep(debounce / 1000)
            await self._read(document)
            # Once the settings are known every open file is looked at anew.
            await self.configured.wait()
            scope = self.scope(document.path)
            service = scope.service
            if service is not None and scope.found is not None and not scope.found.done():
                await asyncio.shield(scope.found)
                # The interpreter is known now, and with it the packages that base classes may come from.
                await self._read(document)
            if service is None or document.obstacle or document.snapshot is None or not document.snapshot.modules:
                document.working = False
                self._told(document)
            else:
                await self._probe(service, document, edition)
            if service is not None and document.open:
                await self._look_at_called(document)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("looking at %s failed", document.path)
            document.obstacle = "The server failed over this file; its log says where."
        finally:
            if edition == document.edition and document.task is asyncio.current_task():
                document.working, document.task = False, None
                document.wake()
                if document.again:
                    self.refresh(document, pause=False)

    async def _look_at_called(self, document: Document) -> None:
        """The files whose classes an open file makes: a call that does not fit is then found without a hover."""
        for path in await called_from(document, self.scope(document.path).workspace):
            if path not in self.files.documents:
                self.document(path)

    async def _read(self, document: Document) -> None:
        scope = self.scope(document.path)
        snapshot = await asyncio.to_thread(scope.workspace.snapshot, document.path, document.text)
        document.take_snapshot(snapshot, scope.settings)
        error = snapshot.classes.syntax_error
        if error is not None:
            document.obstacle = unparsed(error)
        document.wake()

    async def _probe(self, service: ProbeService, document: Document, edition: int) -> None:
        assert document.snapshot is not None
        names = [item.name for item in document.snapshot.modules]
        scope = self.scope(document.path)
        request = await asyncio.to_thread(scope.workspace.request, document.snapshot, names)
        document.purposes = await asyncio.to_thread(scope.workspace.purposes, document.snapshot)
        began = time.monotonic()

        def received(report: Report) -> None:
            if self._is_obstacle(document, report):
                return
            before = document.drawn.get(report.name)
            if document.take(report, edition, scope.settings) and document.drawn.get(report.name) != before:
                self._told(document)

        reports = await service.reports(request, received, document.tiers)
        log.info("%s: %d classes in %.0f ms", document.path, len(reports), 1000 * (time.monotonic() - began))
        for report in reports:
            if not self._is_obstacle(document, report):
                document.take(report, edition, scope.settings)
        document.working = False
        document.wake()
        self._told(document)
        if document.open or document.fixes_wanted:
            await self._try_fixes(service, request, document, edition)

    def _is_obstacle(self, document: Document, report: Report) -> bool:
        """A report that speaks of the agent and not of the class is no report: it stands in the way of all."""
        if report.reason is None or not is_of_agent(report):
            return False
        document.obstacle = report.reason.message
        document.settled.add(report.name)
        self._warn_once(report.reason.message)
        self.tell_status()
        return True

    async def _try_fixes(self, service: ProbeService, request: FileRequest, document: Document, edition: int) -> None:
        """Try each candidate in the sandbox, so that the menu has only what works and opens at once."""
        assert document.snapshot is not None
        trials = RewriteTrials(service, self.scope(document.path).workspace, document.snapshot, request)
        found = {item.name: document.known(item.name).current for item in document.snapshot.modules}
        reports = {name: report for name, report in found.items() if report is not None}
        for name, report in reports.items():
            if document.was_tried(name) and all(actions.edits_for(fix, trials.text) for fix in document.fixes_of(name)):
                continue
            fixes = await trials.fixes(report, list(reports.values()))
            if edition == document.edition:
                document.fixes[name] = (report, fixes)
                document.wake()
        edits = await trials.together(reports, {name: document.fixes_of(name) for name in reports})
        if edition == document.edition:
            document.fix_all = None if not edits else actions.all_of(trials.text, edits)
            document.repaired = frozenset(reports)
            document.wake()

    async def proven(self, document: Document, possible: Sequence[Offer], seconds: float) -> list[Offer]:
        """Those of the offers that keep their promise. What is not known after so many seconds is tried on.

        Nothing is tried while the file's own probes are under way, or with no time to wait for it.
        """
        scope, snapshot, edition = self.scope(document.path), document.current, document.edition
        service = scope.service
        if service is None or snapshot is None or document.working:
            return []
        new = [offer for offer in possible if document.is_to_be_tried(offer.rewrite)]
        if new and seconds:
            request = await asyncio.to_thread(scope.workspace.request, snapshot)
            if edition != document.edition:
                return []
            trials = RewriteTrials(service, scope.workspace, snapshot, request)
            for offer in new:
                report = document.known(offer.class_name).current
                also = [document.known(name).current for name in offer.also]
                if report is not None and document.is_to_be_tried(offer.rewrite):
                    trying = trials.keeps(offer, report, [item for item in also if item is not None])
                    document.trying[offer.rewrite] = self.keep(asyncio.ensure_future(trying))
        running = [document.trying[offer.rewrite] for offer in possible if offer.rewrite in document.trying]
        if running and seconds:
            await asyncio.wait(running, timeout=seconds)
        return [offer for offer in possible if document.is_kept(offer.rewrite)]

    # ---- answers

    async def wait_for(self, document: Document, name: str, seconds: float, final: bool = False) -> None:
        """Wait for a report of the class (if `final`, for the last word on the text as it is), at most so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if name in document.settled or not document.working:
                return
            if not final and document.known(name).current is not None:
                return
            await document.news(left)

    async def settled(self, document: Document) -> None:
        """Wait until nothing is under way for the file; the caller has a deadline."""
        while document.working:
            await document.news(1.0)

    def findings(self, path: str) -> list[Finding]:
        """What is to say about this file, also what the reports of other files say about it."""
        return self.files.findings(path)

    def _told(self, document: Document) -> None:
        """Tell of the files that findings of this one stand in now, and of those that they stood in before."""
        before, document.told = document.told, document.concerned()
        self._on_change({*before, *document.told})

    def tell_status(self) -> None:
        self._on_status(self.scopes.status(self.front))

    def _warn_once(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            self._on_warning(message)

    def keep(self, task: asyncio.Task[Any]) -> asyncio.Task[Any]:
        """Hold a task until it is done, and log what it dies of."""
        self._tasks.add(task)
        task.add_done_callback(self._dropped)
        return task

    def _dropped(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a task failed", exc_info=task.exception())


def _whole(document: Document, text: str) -> tuple[Shift, ...]:
    return (shift(document.source, SourceText(text)),)
