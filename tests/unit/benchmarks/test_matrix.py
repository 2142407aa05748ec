"""What the matrix asks of an environment, and the tables that it leaves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.matrix import __main__ as matrix

JUDGE = """
import argparse, json
parser = argparse.ArgumentParser()
for name in ("--server", "--interpreter", "--json"):
    parser.add_argument(name)
parser.add_argument("half")
options = parser.parse_args()
open(options.json, "w").write(json.dumps({"a": {"verdict": "right"}}))
print("cases of", options.half)
print("1 of 1 right")
"""


def test_what_fits_a_torch_is_left_to_one_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Sequence[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: ran.append(command))
    monkeypatch.setattr(matrix, "asked", lambda interpreter, judges: matrix.Cell("2.14.1", "3.12.1", "symbolic"))
    matrix.cell("python3.12", "2.14.1", matrix.Judges(), False, matrix.libraries())
    made, installed = ran
    assert list(made[:3]) == ["python3.12", "-m", "venv"]
    assert {"torch==2.14.1", "numpy", "transformers", "torch_geometric", "lightning"} <= set(installed)


def test_libraries_are_named_one_a_line_without_comments() -> None:
    named = matrix.libraries()
    assert len(named) == len(set(named)) and all(name.split() == [name] and "#" not in name for name in named)


def test_judges_of_a_folder_run_by_name(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name / "public").mkdir(parents=True)
        (tmp_path / name / "judge.py").write_text(JUDGE, encoding="utf-8")
    lines = list(matrix._judged(matrix.Judges(folder=tmp_path, only=("second",)), sys.executable))
    assert lines == ["second 1 of 1 right"]
    assert len(list(matrix._judged(matrix.Judges(folder=tmp_path), sys.executable))) == 2


def test_versions_of_what_is_installed_are_read_without_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "libraries", lambda: ["pytest>=1", "no-library-of-this-name"])
    assert matrix.installed(sys.executable) == {"pytest": pytest.__version__}


def test_the_table_of_libraries_has_a_column_for_each_environment() -> None:
    old = matrix.Cell("2.4.1", "3.10.13", "symbolic", libraries={"timm": "1.0.9"})
    new = matrix.Cell("2.14.1", "3.11.7", "symbolic", libraries={"timm": "1.0.31", "kornia": "0.9.0"})
    _, beside = matrix.table([old, new])
    assert beside.columns == ("library", "torch 2.4.1", "torch 2.14.1")
    assert beside.rows == (("kornia", "", "0.9.0"), ("timm", "1.0.9", "1.0.31"))
    assert len(matrix.table([matrix.Cell("2.4.1", "3.10.13", "symbolic")])) == 1


def test_an_environment_that_is_there_is_asked_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def asked(interpreter: str, judges: matrix.Judges) -> matrix.Cell:
        seen.append(interpreter)
        return matrix.Cell("2.14.1", "3.11.7", "symbolic", found=3)

    monkeypatch.setattr(matrix, "asked", asked)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("nothing is installed"))
    monkeypatch.setattr(sys, "argv", ["matrix", "--interpreter", "there/bin/python"])
    assert matrix.main() == 0
    assert seen == ["there/bin/python"]


def test_libraries_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = tmp_path / "libraries.txt"
    known.write_text("einops\ntimm>=1.0\nkornia\n", encoding="utf-8")
    monkeypatch.setattr(matrix, "LIBRARIES", known)
    assert matrix.chosen(None) == []
    assert matrix.chosen([]) == ["einops", "timm>=1.0", "kornia"]
    assert matrix.chosen(["timm", "einops"]) == ["timm>=1.0", "einops"]
    with pytest.raises(ValueError, match="nothing"):
        matrix.chosen(["nothing"])
