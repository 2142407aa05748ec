"""A line in a hover is a link where a client can open it, and is counted as the client counts it."""

from __future__ import annotations

from pathlib import Path

from lsprotocol import types

from ts_shape_server.contract.places import Location, Range
from ts_shape_server.features.hover import line_of
from ts_shape_server.lsp import handlers
from ts_shape_server.lsp.server import Server


def told(server: Server, path: Path, line: int) -> str:
    text = f"It fails ({line_of(Location(str(path), Range(line, 0, line, 1)))})."
    span = types.Range(types.Position(0, 0), types.Position(0, 1))
    found = handlers._led(server, types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text), span))
    assert isinstance(found.contents, types.MarkupContent)
    return found.contents.value


def test_a_file_is_opened_at_its_line(tmp_path: Path) -> None:
    file = tmp_path / "a (1).py"
    file.touch()
    link = file.as_uri().replace("(", "%28").replace(")", "%29")
    assert told(Server(), file, 9) == f"It fails ([line 9]({link}#L9))."
    assert told(Server(), tmp_path / "gone.py", 9) == "It fails (line 9)."


def test_a_line_of_a_cell_is_counted_in_it_and_is_no_link(tmp_path: Path) -> None:
    server = Server()
    made = server.buffers.notebook((tmp_path / "book.ipynb").as_uri(), [("cell:1", "a\nb"), ("cell:2", "c\nd")])
    assert made is not None
    assert told(server, Path(made[0]), 4) == "It fails (line 2)."
