"""Between the plain data of the server and the types of LSP: the one place where positions and URIs change their form.

Inside, lines start at 1 and columns count code points; outside, lines start at 0 and characters count what client and
server agreed on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from lsprotocol import types
from pygls import uris

from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Location, Range, TextEdit
from ts_shape_server.features.diagnostics import Finding
from ts_shape_server.features.hints import InlayHint
from ts_shape_server.features.lenses import Lens

SOURCE = "ts-shape"
LONGEST_PATH = 4096
"""Bytes."""

_SEVERITIES = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "information": types.DiagnosticSeverity.Information,
    "hint": types.DiagnosticSeverity.Hint,
}

_COMMANDS = {
    "report": "tsShape.showReport",
    "export": "tsShape.exportTorchScript",
    "repair": "tsShape.repairClass",
}
"""What a click on a lens does."""

Texts = Callable[[str], SourceText]
"""Gives the source of a path as it stands; an empty one when it cannot be read."""


def path_of(uri: str) -> str | None:
    """The absolute path of a file URI; None for any other, and where no file can have such a path."""
    if not uri.startswith("file:"):
        return None
    try:
        path = uris.to_fs_path(uri)
    except ValueError:
        return None
    return None if path is None or not is_path(path) else os.path.normpath(path)


def is_path(text: str) -> bool:
    """Whether a file can have this path: no system takes a NUL in one, or one that is so long."""
    try:
        return "\0" not in text and len(os.fsencode(text)) <= LONGEST_PATH
    except UnicodeError:
        return False


def uri_of(path: str) -> str:
    return uris.from_fs_path(path) or path


Where = Callable[[str, int], tuple[str, int]]
"""Gives the URI in which the client has a line of a path, and how many lines of the path come before it."""


def _in_files(path: str, line: int) -> tuple[str, int]:
    return uri_of(path), 0


class Converter:
    """Converts for one client: `encoding` is the position encoding agreed on at start. Of the document that is asked
    about `before` lines of the text come before what the client has of it: a cell of a notebook begins somewhere.
    """

    def __init__(self, encoding: str, texts: Texts, where: Where = _in_files, before: int = 0) -> None:
        self.encoding = encoding
        self._texts, self._where, self._before = texts, where, before

    def place(self, source: SourceText, position: types.Position) -> tuple[int, int]:
        return source.from_client(position.line + self._before, position.character, self.encoding)

    def lines(self, source: SourceText, span: types.Range) -> Range:
        start, end = self.place(source, span.start), self.place(source, span.end)
        return Range(*start, *end)

    def position(self, source: SourceText, line: int, column: int) -> types.Position:
        number, character = source.to_client(line, column, self.encoding)
        return types.Position(max(0, number - self._before), character)

    def range(self, source: SourceText, span: Range) -> types.Range:
        start = self.position(source, span.line, span.column)
        return types.Range(start, self.position(source, span.end_line, span.end_column))

    def of(self, path: str, line: int) -> tuple[str, Converter]:
        """The URI in which the client has a line of a path, and the converter for it."""
        uri, before = self._where(path, line)
        return uri, Converter(self.encoding, self._texts, self._where, before)

    def location(self, location: Location) -> types.Location:
        uri, convert = self.of(location.path, location.range.line)
        return types.Location(uri, convert.range(self._texts(location.path), location.range))

    def diagnostic(self, finding: Finding) -> types.Diagnostic:
        related = [types.DiagnosticRelatedInformation(self.location(item), item.message) for item in finding.related]
        _, convert = self.of(finding.path, finding.range.line)
        return types.Diagnostic(
            range=convert.range(self._texts(finding.path), finding.range),
            message=finding.message,
            severity=_SEVERITIES[finding.severity],
            code=finding.code,
            code_description=types.CodeDescription(finding.link),
            source=SOURCE,
            related_information=related or None,
            data={"class": finding.class_name, "message": finding.message},
        )

    def hint(self, source: SourceText, hint: InlayHint) -> types.InlayHint:
        return types.InlayHint(
            position=self.position(source, hint.line, hint.column),
            label=hint.label,
            kind=types.InlayHintKind.Type,
            tooltip=types.MarkupContent(types.MarkupKind.Markdown, hint.tooltip),
            padding_left=False,
        )

    def lens(self, source: SourceText, uri: str, lens: Lens) -> types.CodeLens:
        command = _COMMANDS[lens.action]
        argument = {"uri": uri, "class": lens.class_name}
        return types.CodeLens(self.range(source, lens.range), types.Command(lens.title, command, arguments=[argument]))

    def edits(self, source: SourceText, edits: Iterable[TextEdit]) -> list[types.TextEdit]:
        return [types.TextEdit(self.range(source, edit.range), edit.text) for edit in edits]
