"""Which files a change of some reaches: those that import it, over any number of steps, and those that it imports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

import pytest

from ts_shape_server.analysis.reaching import module, reached

FILES = {
    "app/__init__.py": "",
    "app/blocks.py": "class Block: ...",
    "app/layers/__init__.py": "from .conv import Conv",
    "app/layers/conv.py": "class Conv: ...",
    "app/net.py": "from app.blocks import Block\nfrom .layers import Conv\nclass Net: ...",
    "app/other.py": "import os\nclass Other: ...",
    "train.py": "def main():\n    import app.net as n\n    n.Net()",
    "src/tool.py": "from layers.conv import Conv",
    "broken.py": "from app import (",
}


def check(changed: str, expected: str, files: Mapping[str, str] = FILES, texts: tuple[str, ...] = ()) -> None:
    modules = {}
    for path, text in files.items():
        parts = PurePosixPath(path).with_suffix("").parts
        package = parts[-1] == "__init__"
        modules[path] = module(parts[:-1] if package else parts, text, package)
    assert reached(changed.split(), texts, modules) == set(expected.split())


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("app/other.py", "app/other.py"),
        ("app/blocks.py", "app/blocks.py app/net.py train.py"),
        ("app/layers/conv.py", "app/layers/conv.py app/layers/__init__.py app/net.py train.py src/tool.py"),
        ("train.py", "train.py app/net.py app/__init__.py"),
        ("src/tool.py", "src/tool.py app/layers/__init__.py app/layers/conv.py app/__init__.py"),
        ("broken.py", "broken.py"),
        ("gone.py", ""),
        ("", ""),
    ],
)
def test_what_a_change_reaches(changed: str, expected: str) -> None:
    check(changed, expected)


def test_a_user_is_evidence_for_what_a_package_passes_on() -> None:
    files = {"a/__init__.py": "from .b import Net", "a/b.py": "class Net: ...", "use.py": "import a\na.Net()"}
    check("use.py", "use.py a/__init__.py a/b.py", files)


def test_a_document_reaches_the_classes_that_it_names_and_their_users() -> None:
    check("README.md", "app/blocks.py app/net.py train.py", texts=("Use `Block(3)`.",))
    check("README.md", "", texts=("Use nothing.",))


def test_files_that_import_each_other_end() -> None:
    check("a.py", "a.py b.py", {"a.py": "import b", "b.py": "from . import a"})
