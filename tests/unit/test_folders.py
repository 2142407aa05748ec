"""Folders that a stranger's code has filled are counted and removed, whatever was done to them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from ts_shape_server import folders
from ts_shape_server.folders import Usage

DEEP = 1200
"""More than Python recurses, than a process may hold descriptors, and so many names that no path is so long."""
NAME = "folder"


def nest(place: Path, depth: int, name: str = NAME) -> None:
    """Folders inside of each other, and a file in the innermost."""
    place.mkdir(exist_ok=True)
    inner = os.open(place, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=inner)
        outer, inner = inner, os.open(name, os.O_RDONLY, dir_fd=inner)
        os.close(outer)
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=inner))
    os.close(inner)


def open_below(place: Path) -> list[str]:
    """What this process has open in a folder: what others in it opened meanwhile is none of a test's business."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(entry.readlink()))
    return [path for path in found if Path(path).is_relative_to(place)]


def test_folders_nested_without_end_are_removed(tmp_path: Path) -> None:
    nest(tmp_path / "place", DEEP)
    folders.remove(str(tmp_path / "place"))
    assert list(tmp_path.iterdir()) == []


def test_many_folders_beside_each_other_are_removed(tmp_path: Path) -> None:
    for outer in range(12):
        for inner in range(12):
            (tmp_path / "place" / str(outer) / str(inner)).mkdir(parents=True)
            (tmp_path / "place" / str(outer) / f"file{inner}").touch()
    folders.remove(str(tmp_path / "place"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["nothing", "file", "link", "a\0b"])
def test_what_is_no_folder_stays_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("kept")
    folders.remove(str(tmp_path / name))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "file", "kept", "link"]


def test_a_link_is_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "place" / "inner").mkdir(parents=True)
    (tmp_path / "place" / "inner" / "link").symlink_to(tmp_path / "kept")
    folders.remove(str(tmp_path / "place"))
    assert (tmp_path / "kept" / "file").exists()
    assert not (tmp_path / "place").exists()


def test_all_files_are_counted_with_the_folders(tmp_path: Path) -> None:
    (tmp_path / "one" / "two").mkdir(parents=True)
    for place in ("a", "one/b", "one/two/c"):
        (tmp_path / place).write_bytes(bytes(4096))
    found = folders.usage(str(tmp_path), 100)
    assert (found.files, found.too_deep) == (5, False)
    assert found.size >= 3 * 4096


def test_a_file_at_the_end_of_a_path_that_is_too_long_is_counted(tmp_path: Path) -> None:
    nest(tmp_path / "place", 30, "x" * 255)
    assert folders.usage(str(tmp_path / "place"), 100) == Usage(0, 31)
    folders.remove(str(tmp_path / "place"))


def test_a_folder_without_rights_is_counted(tmp_path: Path) -> None:
    """A process with all rights sees into it anyway."""
    nest(tmp_path / "place", 3)
    (tmp_path / "place" / NAME).chmod(0o300)
    assert folders.usage(str(tmp_path / "place"), 100) == Usage(0, 4)


def test_counting_ends_where_there_is_too_much(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / str(number)).touch()
    assert folders.usage(str(tmp_path), 10).files == 11
    nest(tmp_path / "place", DEEP)
    before = open_below(tmp_path)
    assert folders.usage(str(tmp_path / "place"), 2 * DEEP).too_deep
    assert open_below(tmp_path) == before == []
    folders.remove(str(tmp_path / "place"))


def test_no_folder_holds_nothing(tmp_path: Path) -> None:
    assert folders.usage(str(tmp_path / "none"), 10) == Usage(0, 0)
