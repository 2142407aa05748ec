"""What is kept of a quoted run, and the page that is made of it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
from pathlib import Path

import pytest

from benchmarks import page, recording
from benchmarks.recording import Figure, Run, Table

MACHINE = recording.Machine("Some CPU", 2, 24, "Linux x86_64", 1.5)
RUN = Run(
    "parity",
    "a" * 40,
    True,
    "2026-01-02 03:04",
    51,
    {"sample": 40},
    MACHINE,
    "2.13.0",
    "3.11.7",
    (Figure("coverage (`ok`)", 30, 40), Figure("core-seconds, median", 0.5, unit="s")),
    (Table("Reasons", ("reason", "classes"), (("a | b", 3),)),),
    {"c1": "ok", "c2": "unresolved", "c3": "failed"},
)


def git(folder: Path, *arguments: str) -> None:
    told = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=e", *arguments]
    subprocess.run(told, check=True, capture_output=True)


def given(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", type=int, default=0)
    recording.add_arguments(parser)
    return parser.parse_args(arguments)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "code.py").write_text("x = 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def test_a_run_is_kept_only_where_that_is_asked_for(tmp_path: Path) -> None:
    assert recording.record(given(), "parity", [], folder=tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_kept_run_says_what_was_measured_and_names_no_path(repository: Path, tmp_path: Path) -> None:
    options = given("--record", "--corpus", str(tmp_path), "--sample", "3", "--seed", "7", "--of", str(repository))
    options.site = [tmp_path]
    path = recording.record(options, "parity", [Figure("ok", 2, 3)], cases={"file.py:Net": "ok"}, folder=tmp_path)
    assert path is not None
    text = path.read_text()
    run = Run.from_json(json.loads(text))
    assert (run.seed, run.arguments, run.clean) == (7, {"sample": 3}, True)
    assert run.cases == {recording.digest("file.py:Net"): "ok"}
    assert run.machine.cores >= 1
    assert "file.py" not in text
    assert str(tmp_path) not in text
    assert recording.load(tmp_path) == [run]


def test_runs_with_other_arguments_are_kept_apart() -> None:
    others = [dataclasses.replace(RUN, seed=52), dataclasses.replace(RUN, arguments={"sample": 12})]
    assert len({run.file_name for run in (RUN, *others)}) == 3
    assert dataclasses.replace(RUN, date="2027-01-01", figures=()).file_name == RUN.file_name


def test_changed_code_is_told_and_new_figures_are_no_change(repository: Path) -> None:
    (repository / "docs").mkdir()
    (repository / "docs" / "benchmarks.md").write_text("new")
    (repository / "benchmarks" / "results").mkdir(parents=True)
    (repository / "benchmarks" / "results" / "parity.json").write_text("{}")
    assert recording.checkout(repository)[1] is True
    (repository / "code.py").write_text("x = 2\n")
    assert recording.checkout(repository)[1] is False


def test_runs_with_the_same_arguments_stand_side_by_side() -> None:
    later = dataclasses.replace(
        RUN,
        commit="b" * 40,
        date="2026-02-03 04:05",
        figures=(Figure("coverage (`ok`)", 31, 40),),
        cases={"c1": "failed", "c2": "ok", "c3": "ok", "c4": "ok"},
    )
    other = dataclasses.replace(RUN, seed=52, commit="c" * 40)
    text = page.page([RUN, later, other])
    assert text.count("## parity\n") == 2
    assert "| coverage (`ok`) | 30 of 40 (75.0 %) | 31 of 40 (77.5 %) |" in text
    assert "| core-seconds, median | 0.5 s | – |" in text
    assert "aaaaaaa → bbbbbbb, the 3 cases of both: 2 gained, 1 lost" in text
    assert "| a \\| b | 3 |" in text


def test_of_many_runs_the_first_and_the_newest_are_shown() -> None:
    runs = [dataclasses.replace(RUN, commit=f"{number}" * 40, date=f"2026-01-0{number}") for number in range(1, 8)]
    text = page.page(runs)
    assert [f"{number}" * 7 in text for number in range(1, 8)] == [True, False, False, False, True, True, True]


def test_a_benchmark_without_a_section_is_refused() -> None:
    with pytest.raises(ValueError, match="no section"):
        page.page([dataclasses.replace(RUN, benchmark="other")])


def test_the_page_is_the_one_made_of_the_kept_runs() -> None:
    """If this fails: ``python -m benchmarks.page``."""
    assert page.PAGE.read_text(encoding="utf-8") == page.page(recording.load())


def test_the_kept_runs_name_no_place_of_a_machine() -> None:
    places = (*(f"/{name}/" for name in ("home", "root", "tmp", "usr")), f"{recording.ROOT.parent}/")
    for path in recording.RESULTS.glob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert [place for place in places if place in text] == [], path.name
