"""The map of the package has every module, with what it says of itself."""

from __future__ import annotations

import re

from scripts import map_page

_PATH = re.compile(r"`((?:\w+/)+(?:\w+\.py)?)`")
_BESIDE = ("", "ts_shape_server", "ts_shape_server/agent", "ts_shape_server/agent/infer", "tests/agent/infer")


def test_the_map_is_not_stale() -> None:
    assert map_page.PAGE.read_text(encoding="utf-8") == map_page.page(), "run `python -m scripts.map_page`"


def test_each_module_says_what_it_is_for() -> None:
    silent = [path for folder in map_page.folders() for path in map_page.modules(folder) if not map_page.purpose(path)]
    assert silent == []


def test_what_the_page_of_the_architecture_names_exists() -> None:
    text = (map_page.ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = _PATH.findall(text)
    assert len(named) > 40
    places = [map_page.ROOT / folder for folder in _BESIDE]
    rooms = [path for path in (map_page.PACKAGE / "agent" / "infer").iterdir() if path.is_dir()]
    missing = [name for name in named if not any((place / name).exists() for place in (*places, *rooms))]
    assert missing == []
