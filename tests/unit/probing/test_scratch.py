"""What a probe leaves is removed, and nothing beside it is touched."""

from __future__ import annotations

import stat
from pathlib import Path

from ts_shape_server.probing import scratch


async def test_a_missing_folder_leaves_the_one_around_it_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    await scratch.remove(str(tmp_path / "gone"))
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


async def test_a_folder_that_cannot_go_leaves_the_one_around_it_as_it_is(tmp_path: Path) -> None:
    place = tmp_path / "link"
    place.symlink_to(tmp_path)
    tmp_path.chmod(0o755)
    await scratch.remove(str(place))
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


async def test_locked_folders_go_with_all_that_is_in_them(tmp_path: Path) -> None:
    place = tmp_path / "place"
    inner = place / "one" / "two"
    inner.mkdir(parents=True)
    (inner / "file").write_text("")
    for folder in (inner, inner.parent):
        folder.chmod(0)
    await scratch.remove(str(place))
    assert not place.exists()


async def test_a_link_is_not_followed_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("")
    place = tmp_path / "place"
    place.mkdir()
    (place / "link").symlink_to(outside)
    await scratch.remove(str(place))
    assert not place.exists()
    assert (outside / "kept").exists()
