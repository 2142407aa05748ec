"""Notebooks and unnamed buffers as modules: paths, and which line is whose."""

from __future__ import annotations

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
