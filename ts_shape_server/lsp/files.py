"""The files that a session looks at: those that are open, and some that are looked at without being open.

Such a one is read from the disk: a person asked about a class in it, a check of the workspace came by, or an open file
makes one of its classes. Only the last of them stay; what a check found in another is told until that file changes.
Runs no probe and tells nobody of a change: that is for the session.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from ts_shape_server.analysis.local_names import made_elsewhere
from ts_shape_server.features.diagnostics import Finding, once
from ts_shape_server.lsp.documents import Document
from ts_shape_server.workspace import Workspace

MOST_UNOPENED = 32
"""Files that are looked at without being open."""
_MOST_CALLED = 12
"""Classes of other files that an open file makes, which are looked at with it."""


@dataclass(frozen=True)
class CheckedFile:
    """What a check of the workspace found in a file that is no longer looked at, and the text that it is true of."""

    text: str
    findings: tuple[Finding, ...]


class SessionFiles:
    """The files by their paths: `documents` are those that are looked at, open or not."""

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self._checked: dict[str, CheckedFile] = {}

    def opened(self, path: str) -> Document | None:
        """The file if it is open."""
        document = self.documents.get(path)
        return document if document is not None and document.open else None

    def overlays(self) -> Mapping[str, str]:
        """The texts of open files, which the disk may not have."""
        return {path: item.text for path, item in list(self.documents.items()) if item.open}

    def on_disk(self) -> list[str]:
        """The files of which something is told that is true of their text on the disk."""
        return [*(item.path for item in self.documents.values() if not item.open), *self._checked]

    def surplus(self) -> list[Document]:
        """The files that are not open and are to be looked at no longer, since others came after them."""
        return [item for item in self.documents.values() if not item.open][:-MOST_UNOPENED]

    def keep_check(self, document: Document) -> None:
        """Go on telling what a check of the workspace found, although the file will be looked at no longer."""
        if document.checked:
            self._checked[document.path] = CheckedFile(document.text, tuple(document.findings()))

    def withdraw_check(self, path: str) -> set[str]:
        """Tell no longer what a check of the workspace found in a file; gives the files in which that stood."""
        left = self._checked.pop(path, None)
        return set() if left is None else {path, *(item.path for item in left.findings)}

    def outdated_checks(self, texts: Mapping[str, str | None]) -> list[str]:
        """The checked files that are no longer looked at and have another text now."""
        return [path for path, left in self._checked.items() if path in texts and texts[path] != left.text]

    def findings(self, path: str) -> list[Finding]:
        """What is to say about this file, also what the reports of other files say about it."""
        looked_at = (item.findings() for item in self.documents.values())
        checked = (item.findings for item in self._checked.values())
        found = [item for each in itertools.chain(looked_at, checked) for item in each if item.path == path]
        return sorted(once(found), key=lambda item: (item.range.line, item.range.column, item.code))


async def called_from(document: Document, workspace: Workspace) -> list[str]:
    """The files of the workspace whose classes a file makes."""
    if document.current is None:
        return []
    places = made_elsewhere(document.current.classes.tree, document.current.classes.imports)
    text, source = document.text, document.source
    files: dict[str, None] = {}
    for line, column in places[:_MOST_CALLED]:
        at = source.from_ast(line, column)
        found = await asyncio.to_thread(workspace.definition, document.path, text, line, at)
        if found is not None and workspace.is_inside(found[0]):
            files[found[0]] = None
    return list(files)
