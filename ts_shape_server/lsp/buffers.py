"""What an editor has open that is no file of its own: notebooks, whose cells are one module, and unnamed buffers.

Each has the path of a Python file that does not exist, beside the notebook or in a folder of the workspace; everything
below this knows only that path. The lines of a cell begin somewhere in the module's text, and those that are for
IPython are comments there.
"""

from __future__ import annotations

import itertools
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ts_shape_server.lsp.convert import path_of

_MAGIC = re.compile(r"(?m)^([ \t]*)(?=[%!]|\?\w)|^([ \t]*)(?=\w[\w.]*\?{1,2}[ \t]*$)")
_CELL_MAGIC = re.compile(r"\s*%%")
_NO_NAME = re.compile(r"\W+")


@dataclass(frozen=True)
class Cell:
    """A cell of code: where its lines begin in the module's text, counted from 0, and how many they are."""

    uri: str
    first_line: int
    lines: int

    def holds(self, line: int) -> bool:
        """Whether the line of the module, counted from 1, is of this cell."""
        return self.first_line < line <= self.first_line + self.lines


class Buffers:
    """Which URI means which path, and in which lines of it."""

    def __init__(self, folders: Callable[[], Sequence[str]]) -> None:
        self._folders = folders
        self._own: tempfile.TemporaryDirectory[str] | None = None
        self._cells: dict[str, tuple[Cell, ...]] = {}
        self._paths: dict[str, str] = {}

    def path(self, uri: str) -> str | None:
        """The path that a URI means; None for what is neither a file nor open here."""
        return self._paths.get(uri) or path_of(uri)

    def cell(self, uri: str) -> Cell | None:
        path = self._paths.get(uri)
        return next((item for item in self._cells.get(path or "", ()) if item.uri == uri), None)

    def where(self, path: str, line: int, uri: str) -> tuple[str, int]:
        """The URI in which an editor has a line of a path, and how many lines of the path come before it."""
        for item in self._cells.get(path, ()):
            if item.holds(line):
                return item.uri, item.first_line
        return uri, 0

    def uris(self, path: str) -> list[str]:
        """Those of the cells of a notebook; none for anything else."""
        return [item.uri for item in self._cells.get(path, ())]

    def name(self, uri: str) -> str | None:
        """The path for a buffer that was opened, which may have no file."""
        if not uri.startswith("untitled:"):
            return self.path(uri)
        if uri not in self._paths:
            name = _NO_NAME.sub("_", uri.partition(":")[2].rsplit("/", 1)[-1].removesuffix(".py")).strip("_").lower()
            self._paths[uri] = self._free(self._folder(), f"{name or 'untitled'}_unsaved")
        return self._paths[uri]

    def _folder(self) -> Path:
        """Where buffers without a file are thought to be: in the workspace, else in a folder where nothing else is."""
        folders = self._folders()
        if folders:
            return Path(folders[0])
        if self._own is None:
            self._own = tempfile.TemporaryDirectory(prefix="ts-shape-unsaved-")
        return Path(self._own.name)

    def close(self) -> None:
        """Remove the folder, if there was one."""
        if self._own is not None:
            self._own.cleanup()

    def _free(self, folder: Path, stem: str) -> str:
        """A path of a Python file that neither exists nor is another buffer's."""
        names = itertools.chain([stem], (f"{stem}_{number}" for number in itertools.count(2)))
        paths = (folder / f"{name}.py" for name in names)
        taken = set(self._paths.values())
        return next(str(path) for path in paths if str(path) not in taken and not path.exists())

    def notebook(self, uri: str, cells: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
        """The path and the text of a notebook with these cells of code, each with its URI."""
        path = self._paths.get(uri) or self._module_of(uri)
        if path is None:
            return None
        texts, found, line = [], [], 0
        for cell, text in cells:
            python = as_python(text)
            count = python.count("\n") + 1
            found.append(Cell(cell, line, count))
            texts.append(python)
            line += count
        self.forget(path)
        self._cells[path] = tuple(found)
        self._paths.update({uri: path, **{item.uri: path for item in found}})
        return path, "\n".join([*texts, ""])

    def _module_of(self, uri: str) -> str | None:
        """The path for the cells of a notebook that was opened."""
        file = path_of(uri)
        if file is None:
            return self.name(uri)
        return self._free(Path(file).parent, f"{Path(file).stem}_{Path(file).suffix.strip('.') or 'notebook'}")

    def forget(self, path: str) -> None:
        """A notebook or a buffer was closed, or has other cells."""
        self._cells.pop(path, None)
        self._paths = {uri: known for uri, known in self._paths.items() if known != path}


def as_python(text: str) -> str:
    """The text of a cell with the same lines, as Python: what is for IPython alone is a comment."""
    plain = "\n".join(text.splitlines()) if "\r" in text else text
    if _CELL_MAGIC.match(plain):
        return "\n".join(f"# {line}" for line in plain.split("\n"))
    return _MAGIC.sub(lambda found: f"{found[1] or found[2] or ''}# ", plain)
