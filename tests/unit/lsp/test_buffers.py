"""Notebooks and unnamed buffers as modules: paths, and which line is whose."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from ts_shape_server.lsp.buffers import Buffers, as_python

FOLDER = Path("/", "somewhere")
BOOK = (FOLDER / "book.ipynb").as_uri()


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("x = 1\n%matplotlib inline\n!pip install it", "x = 1\n# %matplotlib inline\n# !pip install it"),
        ("if x:\n    %time y", "if x:\n    # %time y"),
        ("%%bash\nls -l", "# %%bash\n# ls -l"),
        ("x.shape?\nnn.Linear??\n?x", "# x.shape?\n# nn.Linear??\n# ?x"),
        ("y = x % 2\nz = (\n    x\n)", "y = x % 2\nz = (\n    x\n)"),
    ],
)
def test_what_is_for_ipython_alone_is_a_comment(text: str, python: str) -> None:
    assert as_python(text) == python


def test_the_cells_of_a_notebook_are_one_module() -> None:
    buffers = Buffers(tuple)
    assert buffers.notebook(BOOK, [("cell:1", "a\nb"), ("cell:2", "c")]) == (
        str(FOLDER / "book_ipynb.py"),
        "a\nb\nc\n",
    )
    path = str(FOLDER / "book_ipynb.py")
    assert [buffers.where(path, line, BOOK) for line in (1, 2, 3, 4)] == [
        ("cell:1", 0),
        ("cell:1", 0),
        ("cell:2", 2),
        (BOOK, 0),
    ]
    assert buffers.path("cell:2") == buffers.path(BOOK) == path
    buffers.notebook(BOOK, [("cell:2", "c")])
    assert buffers.path("cell:1") is None
    assert buffers.where(path, 1, BOOK) == ("cell:2", 0)
    buffers.forget(path)
    assert buffers.path("cell:2") is None


def test_a_buffer_without_a_name_is_a_module_of_the_workspace() -> None:
    buffers = Buffers(lambda: (str(FOLDER),))
    path = str(FOLDER / "untitled_1_unsaved.py")
    assert buffers.path("untitled:Untitled-1") is None
    assert buffers.name("untitled:Untitled-1") == path
    assert buffers.path("untitled:Untitled-1") == path
    assert buffers.name("vscode-remote:/x.py") is None


def test_buffers_with_names_that_are_almost_the_same_are_different_modules(tmp_path: Path) -> None:
    buffers = Buffers(lambda: (str(tmp_path),))
    uris = ["untitled:Untitled-1", "untitled:Untitled_1", "untitled:/one/net.py", "untitled:/other/net.py"]
    paths = [buffers.name(uri) for uri in uris]
    assert len(set(paths)) == len(uris)
    assert [buffers.path(uri) for uri in uris] == paths
    assert [buffers.name(uri) for uri in uris] == paths
    buffers.forget(paths[0] or "")
    assert [buffers.path(uri) for uri in uris] == [None, *paths[1:]]


def test_a_file_of_that_name_is_not_taken_for_a_buffer_or_a_notebook(tmp_path: Path) -> None:
    (tmp_path / "untitled_1_unsaved.py").touch()
    (tmp_path / "book_ipynb.py").touch()
    buffers = Buffers(lambda: (str(tmp_path),))
    assert buffers.name("untitled:Untitled-1") == str(tmp_path / "untitled_1_unsaved_2.py")
    book = (tmp_path / "book.ipynb").as_uri()
    made = buffers.notebook(book, [("cell:1", "a")])
    assert made is not None and made[0] == str(tmp_path / "book_ipynb_2.py")
    assert buffers.notebook(book, [("cell:1", "b")]) == (made[0], "b\n")


def test_a_buffer_without_a_workspace_is_alone_in_its_folder() -> None:
    buffers = Buffers(tuple)
    first, second = (Path(buffers.name(f"untitled:Untitled-{number}") or "") for number in (1, 2))
    assert first.parent == second.parent and list(first.parent.iterdir()) == []
    assert first.parent != Path(tempfile.gettempdir())
    made = buffers.notebook("untitled:Untitled-3.ipynb", [("cell:1", "a")])
    assert made is not None and Path(made[0]).parent == first.parent
    assert buffers.path("cell:1") == buffers.path("untitled:Untitled-3.ipynb") == made[0]
    buffers.close()
    assert not first.parent.exists()
