"""Checked out repositories: which files are asked about, and what the records come to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.parity import records
from benchmarks.repositories import __main__ as program
from benchmarks.repositories import refuting, runner, table

FINDING = {"path": "net.py", "range": {"line": 7}, "code": "call-mismatch", "class": "Net", "message": "too\nmany"}
RECORD: dict[str, Any] = {
    "repository": "small",
    "files": 2,
    "cut": "",
    "wall": 3.0,
    "core": 4.0,
    "classes": [
        {"path": "net.py", "class": "Net", "status": "ok"},
        {"path": "net.py", "class": "Other", "status": "ok"},
        {"path": "net.py", "class": "Base", "status": "skipped"},
        {"path": "net.py", "class": "Lost", "status": "unresolved"},
    ],
    "findings": [{**FINDING, "severity": "error"}, {**FINDING, "severity": "warning"}],
    "reports": [{"status": "unresolved", "reason": {"code": "no-input", "message": "`x` is 5", "detail": ""}}],
    "verdicts": [
        {"file": "net.py", "class": "Net", "verdict": "draw-run", "error": "it\nfails", "draw": {"B": 3}},
        {"file": "net.py", "class": "Other", "verdict": "example-build", "error": "no"},
    ],
}
CUT = {"repository": "large", "files": 90, "cut": "longer than 10 minutes", "wall": 0.0, "core": 600.0}


def test_a_repository_comes_to_numbers_and_one_that_was_cut_to_none() -> None:
    row = table.of_repository(RECORD)
    assert (row["classes"], row["`ok`"], row["claims judged"], row["refuted"]) == (3, 2, 1, 1)
    assert (row["errors"], row["other findings"], row["core s"]) == (1, 1, 4.0)
    assert table.of_repository(CUT) == {}
    figures = {item.name: (item.value, item.total) for item in table.figures([RECORD, CUT])}
    assert figures["repositories"] == (1, 2)
    assert figures["classes with a report"] == (2, 3)
    each, reasons = table.tables([RECORD, CUT], 5)
    assert [row[:2] for row in each.rows] == [("small", 3), ("large", "longer than 10 minutes")]
    assert reasons.rows == (("no-input: … is #", 1),)


def test_error_findings_and_refuted_claims_are_told_with_their_place() -> None:
    assert list(table.told_errors(RECORD)) == ["small/net.py:7: call-mismatch [Net] too many"]
    assert list(table.told_refuted(RECORD)) == ["small/net.py:Net: draw-run {'B': 3} it fails"]
    assert list(table.told_errors(CUT)) == list(table.told_refuted(CUT)) == []


def test_a_refuted_claim_counts_as_refuted_case() -> None:
    assert table.cases([RECORD, CUT]) == {
        "small/net.py:Net": "refuted",
        "small/net.py:Other": "ok",
        "small/net.py:Base": "skipped",
        "small/net.py:Lost": "unresolved",
    }


def test_of_many_files_those_that_have_a_module_are_taken_evenly(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"net{number}.py").write_text("class Net(nn.Module): ...")
    (tmp_path / "setup.py").write_text("x = 1")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "net.py").write_text("nn.Module")
    assert runner.python_files(tmp_path, 3) == ["net0.py", "net2.py", "net4.py"]
    assert len(runner.python_files(tmp_path, None)) == 7


def test_a_file_is_imported_as_its_package_would(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(refuting.surroundings, "without_cuda", lambda: None)
    monkeypatch.setattr("sys.path", list(sys.path))
    folder = tmp_path / "pack_of_test" / "inner"
    folder.mkdir(parents=True)
    for place in (folder, folder.parent):
        (place / "__init__.py").touch()
    (folder / "base.py").write_text("class Base: ...\n")
    (folder / "net.py").write_text("from .base import Base\nclass Net(Base): ...\n")
    (folder / "bad.py").write_text("raise ValueError('at import')\n")
    found = refuting.imported(tmp_path, folder / "net.py")
    assert found.namespace["Net"].__module__ == "pack_of_test.inner.net"
    assert refuting.imported(tmp_path, folder / "bad.py").errors == ["ValueError: at import"]


def test_what_was_run_one_by_one_is_told_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("small", "waiting"):
        (tmp_path / "corpus" / name).mkdir(parents=True)
    out = tmp_path / "out.jsonl"
    records.append(out, RECORD)
    monkeypatch.setattr(runner.subprocess, "Popen", None)
    words = ["repositories", "--corpus", str(tmp_path / "corpus"), "--out", str(out), "--finished"]
    monkeypatch.setattr(sys, "argv", words)
    program.main()
    told = capsys.readouterr().out
    assert "small/net.py:7: call-mismatch" in told
    assert "waiting" not in told
