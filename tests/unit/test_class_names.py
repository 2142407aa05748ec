"""One name, one class: who reads a name in one folder must not think of that of another."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "ts_shape_server"


def duplicates(folder: Path) -> dict[str, list[str]]:
    """The places of the classes of each name that there is more than once."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(f"{path.relative_to(folder)}:{node.lineno}")
    return {name: places for name, places in found.items() if len(places) > 1}


def test_no_class_gets_a_name_that_another_one_has() -> None:
    assert duplicates(PACKAGE) == {}


def test_a_second_class_of_a_name_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("class Net: ...\nclass Other: ...\n")
    (tmp_path / "b.py").write_text("class Net: ...\n")
    assert duplicates(tmp_path) == {"Net": ["a.py:1", "b.py:1"]}
