"""An export is written whole or not at all, over nothing that the user did not allow, from nothing but a plain file."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ts_shape_server.probing import landing
from ts_shape_server.probing.requests import ExportOrder


def symlink(place: Path, secret: Path) -> None:
    place.symlink_to(secret)


def hard_link(place: Path, secret: Path) -> None:
    os.link(secret, place)


def fifo(place: Path, secret: Path) -> None:
    os.mkfifo(place)


def folder(place: Path, secret: Path) -> None:
    place.mkdir()


def unix_socket(place: Path, secret: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(place))


def nothing(place: Path, secret: Path) -> None:
    return None


@pytest.mark.parametrize("leave", [symlink, hard_link, fifo, folder, unix_socket, nothing])
def test_what_is_no_plain_file_is_not_taken(tmp_path: Path, leave: Callable[[Path, Path], None]) -> None:
    (tmp_path / "secret").write_text("private")
    (tmp_path / "out").mkdir()
    leave(tmp_path / "made.pt", tmp_path / "secret")
    with pytest.raises(landing.LandingError, match="The probe left"):
        landing.land(tmp_path / "made.pt", tmp_path / "out" / "net.pt", force=False)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_over_the_limit_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "MAXIMUM", 3)
    (tmp_path / "made.pt").write_text("four")
    with pytest.raises(landing.LandingError, match="larger than"):
        landing.land(tmp_path / "made.pt", tmp_path / "net.pt", force=False)
    assert not (tmp_path / "net.pt").exists()


def test_a_plain_file_is_copied_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    (tmp_path / "made.pt").write_bytes(bytes(3 << 20))
    (tmp_path / "out").mkdir()
    landing.land(tmp_path / "made.pt", tmp_path / "out" / "net.pt", force=False)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["net.pt"]
    assert (tmp_path / "out" / "net.pt").read_bytes() == bytes(3 << 20)
    assert (tmp_path / "out" / "net.pt").stat().st_nlink == 1


@pytest.mark.parametrize("force", [True, False])
def test_an_existing_file_is_replaced_only_when_allowed(tmp_path: Path, force: bool) -> None:
    (tmp_path / "made.pt").write_text("new")
    (tmp_path / "net.pt").write_text("old")
    if force:
        landing.land(tmp_path / "made.pt", tmp_path / "net.pt", force)
    else:
        with pytest.raises(landing.LandingError, match="--force"):
            landing.land(tmp_path / "made.pt", tmp_path / "net.pt", force)
    assert (tmp_path / "net.pt").read_text() == ("new" if force else "old")


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "made.pt").write_text("new")
    (tmp_path / "net.pt").write_text("another's")
    monkeypatch.setattr(landing, "check_destination", lambda *arguments: None)
    with pytest.raises(landing.LandingError, match="exists"):
        landing.land(tmp_path / "made.pt", tmp_path / "net.pt", force=False)
    assert (tmp_path / "net.pt").read_text() == "another's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.pt", "net.pt"]


@pytest.mark.parametrize("leave", [fifo, unix_socket])
def test_what_is_no_plain_file_is_not_replaced(tmp_path: Path, leave: Callable[[Path, Path], None]) -> None:
    (tmp_path / "made.pt").write_text("new")
    leave(tmp_path / "net.pt", tmp_path)
    with pytest.raises(landing.LandingError, match="device, pipe or socket"):
        landing.land(tmp_path / "made.pt", tmp_path / "net.pt", force=True)
    assert not (tmp_path / "net.pt").is_file()


def test_a_link_is_replaced_when_allowed_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "made.pt").write_text("new")
    (tmp_path / "other.pt").write_text("other")
    (tmp_path / "net.pt").symlink_to(tmp_path / "other.pt")
    landing.land(tmp_path / "made.pt", tmp_path / "net.pt", force=True)
    assert ((tmp_path / "net.pt").read_text(), (tmp_path / "other.pt").read_text()) == ("new", "other")
    assert not (tmp_path / "net.pt").is_symlink()


def test_a_link_that_leads_nowhere_is_there_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "net.pt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(landing.LandingError, match="exists"):
        landing.check_destination(tmp_path / "net.pt", force=False)


def test_a_full_disk_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    """The limit on a file's size stands in for the end of a disk: writing fails in the same place."""
    (tmp_path / "made.pt").write_bytes(bytes(3 << 20))
    (tmp_path / "out").mkdir()
    script = (
        "import resource, sys; from pathlib import Path; from ts_shape_server.probing import landing\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))\n"
        "try: landing.land(Path(sys.argv[1]), Path(sys.argv[2]), force=False)\n"
        "except landing.LandingError as error: print(error)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "made.pt"), str(tmp_path / "out" / "net.pt")]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "net.pt cannot be written: File too large." in told.stdout
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("destination", "words"),
    [("", "is a folder"), ("missing/net.pt", "does not exist"), ("made.pt/net.pt", "is a file and no folder")],
)
def test_a_destination_that_cannot_be_is_told_before_any_work(tmp_path: Path, destination: str, words: str) -> None:
    (tmp_path / "made.pt").write_text("new")
    with pytest.raises(landing.LandingError, match=words):
        landing.check_destination(tmp_path / destination, force=True)


@pytest.mark.parametrize("name", ["net.py", "net.PYI", "train.ipynb"])
def test_source_code_is_not_replaced_even_where_replacing_is_allowed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("class Net: ...")
    found = landing.refusal(ExportOrder(tmp_path / name, force=True))
    assert found is not None and "is named as source code" in found


def test_the_checkpoint_that_is_read_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_text("weights")
    (tmp_path / "link.pt").symlink_to("weights.pt")
    for name in ("weights.pt", "link.pt"):
        found = landing.refusal(ExportOrder(tmp_path / name, force=True, checkpoint=tmp_path / "weights.pt"))
        assert found is not None and "is the checkpoint that is read" in found
    assert landing.refusal(ExportOrder(tmp_path / "net.pt", checkpoint=tmp_path / "weights.pt")) is None


@pytest.mark.parametrize("inside", [True, False], ids=["named inside", "named as what it is"])
def test_a_linked_folder_of_the_workspace_leads_no_export_out_of_it(tmp_path: Path, inside: bool) -> None:
    root, elsewhere = tmp_path / "workspace", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / "linked").symlink_to(elsewhere)
    (root / "own").mkdir()
    (root / "made.pt").write_text("new")
    place = (root / "linked" if inside else elsewhere) / "net.pt"
    found = landing.refusal(ExportOrder(place, force=True), str(root))
    assert (found is not None and f"leads from there to {elsewhere}" in found) is inside
    if inside:
        with pytest.raises(landing.LandingError, match="a link leads"):
            landing.land(root / "made.pt", place, True, str(root))
    assert list(elsewhere.iterdir()) == []
    assert landing.refusal(ExportOrder(root / "own" / "net.pt"), str(root)) is None


@pytest.mark.parametrize("name", ["a\0b.pt", "n" * 500 + ".pt", "n/" * 3000 + "net.pt"])
def test_a_name_that_no_file_can_have_is_told_in_a_sentence(tmp_path: Path, name: str) -> None:
    found = landing.refusal(ExportOrder(tmp_path / name, checkpoint=tmp_path / name), str(tmp_path))
    assert found is not None and "cannot be written" in found
    found = landing.refusal(ExportOrder(tmp_path / "net.pt", checkpoint=tmp_path / name), str(tmp_path))
    assert found is not None and "does not exist" in found
