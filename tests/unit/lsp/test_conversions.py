"""Positions, edits and messages between client and server, at their edges."""

from __future__ import annotations

from typing import Any

import pytest
from lsprotocol import types

from ts_shape_server.analysis.text import SourceText
from ts_shape_server.contract.places import Location, Range
from ts_shape_server.features.diagnostics import Finding
from ts_shape_server.lsp.convert import Converter, path_of, uri_of
from ts_shape_server.lsp.handlers import changed
from ts_shape_server.lsp.server import lenient_converter

TEXT = 'x = "𝒳é"; y = 1\r\nz\x0c = 2\n'


def converter(encoding: str) -> Converter:
    return Converter(encoding, lambda path: SourceText(TEXT))


@pytest.mark.parametrize(("encoding", "character"), [("utf-8", 16), ("utf-16", 13), ("utf-32", 12)])
def test_a_place_is_the_same_in_every_encoding(encoding: str, character: int) -> None:
    source = SourceText(TEXT)
    column = TEXT.index("= 1") - 2 + 1
    convert = converter(encoding)
    span = convert.range(source, Range(1, column, 1, column))
    assert convert.place(source, span.start) == (1, column)
    back = convert.place(source, types.Position(0, span.start.character))
    assert back == (1, column)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_edits_land_where_the_client_means_them(encoding: str) -> None:
    convert, source = converter(encoding), SourceText(TEXT)
    start = convert.range(source, Range(2, 0, 2, 1))
    events = [types.TextDocumentContentChangePartial(range=start, text="zz")]
    assert changed(source, events, convert)[-1].after.text == TEXT.replace("z", "zz")


def test_changes_build_on_each_other_and_a_whole_text_replaces_all() -> None:
    convert = converter("utf-16")
    first = types.TextDocumentContentChangeWholeDocument("a\nb")
    span = types.Range(types.Position(1, 0), types.Position(1, 1))
    second = types.TextDocumentContentChangePartial(range=span, text="c")
    assert changed(SourceText(TEXT), [first, second], convert)[-1].after.text == "a\nc"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///a/b%20c.py", "/a/b c.py"),
        ("untitled:Untitled-1", None),
        ("vscode-notebook-cell:/x#1", None),
        ("file:///a/../b.py", "/b.py"),
        ("file:///a%00b.py", None),
        ("file:///a\0b.py", None),
        ("file:///" + "a" * 5000, None),
        ("file://[a/b.py", None),
        ("file:///\udc00\ud800", None),
    ],
)
def test_only_files_have_paths(uri: str, path: str | None) -> None:
    assert path_of(uri) == path


def test_a_path_becomes_its_uri() -> None:
    assert uri_of("/a/b c.py") == "file:///a/b%20c.py"


def test_a_finding_keeps_its_code_link_and_related_places() -> None:
    related = (Location("/p.py", Range(2, 0, 2, 1), "made here"),)
    finding = Finding("/p.py", Range(1, 0, 1, 1), "script-error", "warning", "words", "Net", "", related)
    found = converter("utf-16").diagnostic(finding)
    assert (found.source, found.code, found.severity) == ("ts-shape", "script-error", types.DiagnosticSeverity.Warning)
    assert found.code_description is not None
    assert found.code_description.href.endswith("pages/diagnostics.md#script-error")
    assert [item.message for item in found.related_information or []] == ["made here"]


@pytest.mark.parametrize(
    ("diagnostics", "left"),
    [
        ([], 0),
        ([{"message": "a", "range": {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 1}}}], 1),
        ([{"message": "no range"}, 7, None], 0),
        (None, 0),
    ],
)
def test_one_malformed_diagnostic_costs_itself_alone(diagnostics: Any, left: int) -> None:
    data = {
        "textDocument": {"uri": "file:///a.py"},
        "range": {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}},
        "context": {"diagnostics": diagnostics, "only": ["quickfix"]},
    }
    found = lenient_converter().structure(data, types.CodeActionParams)
    assert len(found.context.diagnostics) == left
    assert [str(getattr(item, "value", item)) for item in found.context.only or []] == ["quickfix"]
