"""Each code of a diagnostic has a page of its own, made from the page of all, and the extension has it rendered."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from pathlib import Path

import pytest

from scripts import diagnostic_pages
from ts_shape_server.features.diagnostics import PAGES, SEVERITIES, page_of

MANIFEST = Path(__file__).parents[2] / "vscode-client" / "package.json"


@pytest.mark.parametrize("code", SEVERITIES)
def test_the_page_of_a_code_is_not_stale(code: str) -> None:
    path = PAGES / f"{code}.md"
    made = diagnostic_pages.pages()[path]
    assert path.read_text(encoding="utf-8") == made, "run `python -m scripts.diagnostic_pages`"
    assert made.startswith(f"# {code}\n") and "](#" not in made
    assert page_of(code) == path.as_uri()


def test_no_page_is_left_of_a_code_that_is_gone() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == set(SEVERITIES)


def test_the_extension_has_the_pages_opened_rendered() -> None:
    defaults = json.loads(MANIFEST.read_text(encoding="utf-8"))["contributes"]["configurationDefaults"]
    ((pattern, editor),) = defaults["workbench.editorAssociations"].items()
    assert editor == "vscode.markdown.preview.editor"
    assert all(fnmatch(str(path), pattern) for path in diagnostic_pages.pages())
