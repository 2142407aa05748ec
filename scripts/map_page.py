"""``python -m scripts.map_page``: makes ``docs/map.md``, every module with what it is for, from their docstrings."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "map.md"
PACKAGE = ROOT / "ts_shape_server"
_HEAD = """# Map

Made by `python -m scripts.map_page` from the docstrings: every folder of the package and what each module in it is for.
[architecture.md](architecture.md) says how they work together, and where a change goes.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(line for folder in folders() for line in _folder(folder))]) + "\n"


def folders() -> list[Path]:
    """The folders of the package that hold modules, each before those inside of it."""
    return sorted({path.parent for path in PACKAGE.rglob("*.py")})


def modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")


def purpose(path: Path) -> str:
    """The first paragraph of a module's docstring on one line; empty where there is none."""
    told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(inspect.cleandoc(told).partition("\n\n")[0].split())


def _folder(folder: Path) -> Iterator[str]:
    init = folder / "__init__.py"
    yield f"\n## `{folder.relative_to(ROOT).as_posix()}/`\n"
    if init.is_file() and purpose(init):
        yield f"{purpose(init)}\n"
    yield "| module | is for |"
    yield "| --- | --- |"
    for path in modules(folder):
        told = purpose(path).replace("|", r"\|")
        yield f"| [`{path.stem}`](../{path.relative_to(ROOT).as_posix()}) | {told} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
