"""What lies in a workspace is read only if it is a plain file of a size that can be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ts_shape_server import reading
from ts_shape_server.probing.store import file_digest

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    """Things that a repository or an archive may hold where a source is looked for."""
    found = {name: tmp_path / name for name in ("device", "pipe", "folder", "large", "nothing", "loop")}
    found["device"].symlink_to("/dev/zero")
    os.mkfifo(found["pipe"])
    found["folder"].mkdir()
    found["large"].write_bytes(b"x" * (reading.LARGEST + 1))
    found["loop"].symlink_to("loop")
    return {**found, "a NUL": tmp_path / "a\0b"}


@pytest.mark.parametrize("name", ["device", "pipe", "folder", "large", "nothing", "loop", "a NUL"])
def test_what_is_no_plain_file_is_an_error_at_once(places: dict[str, Path], name: str) -> None:
    with pytest.raises(OSError):  # of whatever kind
        reading.data(places[name])


def test_a_plain_file_is_read_also_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a\xff")
    (tmp_path / "link").symlink_to("file")
    assert reading.data(tmp_path / "link", 2) == b"a\xff"
    assert reading.text(str(tmp_path / "link")) == "a\ufffd"
    with pytest.raises(OSError, match="larger than"):
        reading.data(tmp_path / "link", 1)


@pytest.mark.parametrize("name", ["device", "pipe", "folder", "nothing", "loop", "a NUL"])
def test_what_a_report_says_it_was_made_from_may_be_anything(places: dict[str, Path], name: str) -> None:
    assert file_digest(str(places[name]), {}) == "unreadable"


def test_a_large_file_is_told_by_its_state(places: dict[str, Path]) -> None:
    first = file_digest(str(places["large"]), {})
    with places["large"].open("ab") as file:
        file.write(b"x")
    assert file_digest(str(places["large"]), {}) != first
