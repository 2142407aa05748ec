"""The report's page as one file that needs no network: what is drawn, and the script and style that draw it.

What came from elsewhere is data in it, never markup: the script puts it on the page as text.
"""

from __future__ import annotations

import html
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

_PAGES = Path(__file__).parent.parent / "pages"
_PLACE = re.compile(r"@(NONCE|TITLE|STYLE|REPORTS|SCRIPT)@")


def html_page(pictures: Sequence[Mapping[str, Any]], title: str) -> str:
    """A page with these reports."""
    # A script ends at the first `</script`, even inside of a text.
    data = json.dumps(list(pictures), ensure_ascii=True).replace("<", "\\u003c")
    parts = {
        "NONCE": secrets.token_urlsafe(16),
        "TITLE": html.escape(title),
        "STYLE": _read("report.css"),
        "REPORTS": data,
        "SCRIPT": _read("report.js"),
    }
    return _PLACE.sub(lambda found: parts[found[1]], _read("report.html"))


@cache
def _read(name: str) -> str:
    return (_PAGES / name).read_text(encoding="utf-8")
