"""A report is found again only while all that it was made from is the same; a damaged entry is no entry."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ts_shape_server.contract.asked import CallEvidence, ClassAsked
from ts_shape_server.contract.places import Location, Range
from ts_shape_server.contract.report import Argument, Failure, InputSpec, Layer, Report, ValueSpec, Variable
from ts_shape_server.probing import store
from ts_shape_server.probing.requests import ClassRequest
from ts_shape_server.probing.store import Entry, Store, file_digest, key

TEXT = "import x\n\nclass Net:\n    def forward(self):\n        return 1\n"


def report(path: str = "/w/net.py") -> Report:
    place = Location(path, Range(5, 8, 5, 14))
    return Report(
        path=path,
        name="Net",
        line=3,
        status="failed",
        reason=Failure("shape-mismatch", "it does not fit", place, related=(place,)),
        layers=(Layer("fc", "Linear", 4, (), (), 0),),
        variables=(Variable("h", 5, ValueSpec("Tensor")),),
    )


@pytest.mark.parametrize("on_disk", [True, False], ids=["disk", "memory"])
def test_what_was_put_is_found(tmp_path: Path, on_disk: bool) -> None:
    made = Store(tmp_path / "cache" if on_disk else None)
    made.put("k", Entry(report(), TEXT, {}))
    reader = Store(tmp_path / "cache") if on_disk else made
    assert reader.get("k", TEXT, {}) == report()
    assert reader.get("other", TEXT, {}) is None


def test_a_change_in_a_file_that_was_imported_makes_it_stale(tmp_path: Path) -> None:
    other = tmp_path / "parts.py"
    other.write_text("a = 1\n")
    made = Store(tmp_path / "cache")
    made.put("k", Entry(report(), TEXT, {str(other): file_digest(str(other), {})}))
    assert made.get("k", TEXT, {}) is not None
    assert made.get("k", TEXT, {str(other): "a = 2\n"}) is None
    other.write_text("a = 22\n")
    assert made.get("k", TEXT, {}) is None
    other.unlink()
    assert made.get("k", TEXT, {}) is None


def test_a_module_that_was_missing_and_is_written_makes_it_stale(tmp_path: Path) -> None:
    place = str(tmp_path / "parts.py")
    made = Store(None)
    made.put("k", Entry(report(), TEXT, {place: file_digest(place, {})}))
    assert made.get("k", TEXT, {}) is not None
    Path(place).write_text("")
    assert made.get("k", TEXT, {}) is None


def test_an_edit_above_the_class_moves_every_line_of_its_file_alone() -> None:
    made = Store(None)
    elsewhere = Location("/w/other.py", Range(5, 0, 5, 1))
    kept = replace(report(), mismatches=(Failure("call-mismatch", "m", elsewhere),))
    made.put("k", Entry(kept, TEXT, {}))
    moved = made.get("k", "# a comment\n# another\n" + TEXT, {})
    assert moved is not None and moved.reason is not None and moved.reason.location is not None
    assert moved.line == 5
    assert moved.reason.location.range == Range(7, 8, 7, 14)
    assert moved.layers[0].line == 6
    assert moved.variables[0].line == 7
    assert moved.mismatches[0].location == elsewhere


def test_evidence_that_moved_is_told_where_it_stands_now(tmp_path: Path) -> None:
    label = "call train.py:5"
    caller = Location("/w/train.py", Range(5, 4, 5, 20))
    kept = Report(
        **{
            **vars(report()),
            "mismatches": (Failure("call-mismatch", "m", caller),),
            "evidence": ("solved", label),
            "inputs": (InputSpec("x", ValueSpec("Tensor"), label),),
            "init": (("width", Argument("32", label)),),
        }
    )
    Store(tmp_path).put("k", Entry(kept, TEXT, {}, (("/w/train.py", 5, label),)))
    found = Store(tmp_path).get("k", TEXT, {}, (("/w/train.py", 7, "call train.py:7"),))
    assert found is not None and found.mismatches[0].location is not None
    assert found.evidence == ("solved", "call train.py:7")
    assert found.inputs[0].source == found.init[0][1].source == "call train.py:7"
    assert found.mismatches[0].location.range == Range(7, 4, 7, 20)
    assert found.reason == kept.reason


@pytest.mark.parametrize(
    ("change", "same"),
    [({"line": 9, "label": "call train.py:9"}, True), ({"setup": "y = 1"}, False), ({"path": "/w/test.py"}, False)],
)
def test_what_a_piece_of_evidence_is_decides_and_not_where_it_stands(change: dict[str, Any], same: bool) -> None:
    piece = CallEvidence("call", "/w/train.py", 5, "x = 1", label="call train.py:5")
    pieces = (piece, replace(piece, **change))
    first, second = (ClassRequest(ClassAsked("Net", 3, evidence=(item,)), "d") for item in pieces)
    assert (first.decisive() == second.decisive()) is same


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"report": {}}', b'{"report": {}, "text": 1, "depends": []}']
)
def test_a_damaged_entry_is_no_entry(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "k.json").write_bytes(content)
    assert Store(tmp_path).get("k", TEXT, {}) is None


def test_a_disk_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = Store(tmp_path / "file" / "below")
    made.put("k", Entry(report(), TEXT, {}))
    assert made.get("k", TEXT, {}) == report()


def test_a_passing_report_is_kept_for_a_while_in_memory_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(store.time, "monotonic", lambda: now)
    made = Store(tmp_path)
    made.put("k", Entry(report(), TEXT, {}), seconds=10)
    assert made.get("k", TEXT, {}) is not None
    assert list(tmp_path.iterdir()) == []
    now = 111.0
    assert made.get("k", TEXT, {}) is None


def test_both_stores_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "IN_MEMORY", 5)
    monkeypatch.setattr(store, "ON_DISK", 20)
    made = Store(tmp_path)
    for number in range(40):
        made.put(f"k{number}", Entry(report(), TEXT, {}))
    assert len(made._memory) == 5
    assert len(list(tmp_path.glob("*.json"))) <= 21
    assert made.get("k39", TEXT, {}) is not None


def test_the_key_tells_apart_what_decides() -> None:
    keys = {
        key("digest", "/w/net.py", "Net", {"line": 0}, None),
        key("other", "/w/net.py", "Net", {"line": 0}, None),
        key("digest", "/w/other.py", "Net", {"line": 0}, None),
        key("digest", "/w/net.py", "Other", {"line": 0}, None),
        key("digest", "/w/net.py", "Net", {"line": 0, "pragmas": {"x": "(2, 3)"}}, None),
        key("digest", "/w/net.py", "Net", {"line": 0}, ("/usr/bin/python3", "2.13")),
    }
    assert len(keys) == 6


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["pipe", "device", "link to a pipe", "folder", "file without an end"])
def test_what_another_has_put_into_the_cache_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A pipe that nobody writes held the server up for ever."""
    place = tmp_path / "k.json"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "device":
        place.symlink_to("/dev/zero")
    elif kind == "link to a pipe":
        os.mkfifo(tmp_path / "pipe")
        place.symlink_to("pipe")
    elif kind == "folder":
        place.mkdir()
    else:
        monkeypatch.setattr(store, "LARGEST", 1000)
        place.write_bytes(b" " * 2000)
    assert Store(tmp_path).get("k", TEXT, {}) is None
    Store(tmp_path).put("k", Entry(report(), TEXT, {}))
    found = Store(tmp_path).get("k", TEXT, {})
    assert found == (None if kind in ("folder", "file without an end") else report())
