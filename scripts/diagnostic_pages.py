"""``python -m scripts.diagnostic_pages``: makes a page for each code of a diagnostic from its section of
``pages/diagnostics.md``, so that an editor that renders pages opens a code at its heading.
"""

from __future__ import annotations

import re
from pathlib import Path

from ts_shape_server.features.diagnostics import PAGES, SEVERITIES

WHOLE = PAGES.parent / "diagnostics.md"
_HEADING = re.compile(r"(?m)^## (.+)$")
_LINK = re.compile(r"\]\(#([\w-]+)\)")


def pages() -> dict[Path, str]:
    """The text of each page by its path."""
    parts = _HEADING.split(WHOLE.read_text(encoding="utf-8"))
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    return {PAGES / f"{code}.md": _page(code, sections[code]) for code in SEVERITIES}


def _page(code: str, section: str) -> str:
    def link(found: re.Match[str]) -> str:
        return f"]({found[1]}.md)" if found[1] in SEVERITIES else f"](../{WHOLE.name}#{found[1]})"

    return f"# {code}\n\n{_LINK.sub(link, section).strip()}\n\n[All diagnostics](../{WHOLE.name})\n"


if __name__ == "__main__":
    PAGES.mkdir(exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
