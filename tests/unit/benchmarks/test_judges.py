"""Judges are found, run, and their verdicts read, however they write them down."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.judges import __main__ as judges

JUDGE = """import argparse, json
parser = argparse.ArgumentParser()
parser.add_argument("cases")
parser.add_argument("--server")
parser.add_argument("--interpreter")
parser.add_argument("--json")
{flag}
options = parser.parse_args()
verdicts = [line.split() for line in open(options.cases + "/list.txt")]
with open(options.json, "w") as out:
    json.dump({{"cases": [{{"case": name, "right": right == "yes"}} for name, right in verdicts]}}, out)
print("a line")
print(f"{{len(verdicts)}} cases, server {{options.server}}, full {{getattr(options, 'full', None)}}")
"""


@pytest.mark.parametrize(("flag", "full"), [("", "None"), ('parser.add_argument("--full", default="")', "other")])
def test_a_judge_is_run_on_its_cases_and_given_the_flags_that_it_knows(tmp_path: Path, flag: str, full: str) -> None:
    folder = tmp_path / "sizes" / "public"
    folder.mkdir(parents=True)
    (folder / "list.txt").write_text("one yes\ntwo no\n")
    (tmp_path / "sizes" / "sizes_judge.py").write_text(JUDGE.format(flag=flag))
    (tmp_path / "sizes" / "helper.py").write_text("")
    (judge,) = judges.judges(tmp_path)
    assert judge.name == "sizes"
    line, found = judges.run(judge, "the-server", sys.executable, tmp_path / "out.json", {"full": "other"})
    assert line == f"2 cases, server the-server, full {full}"
    assert dict(judges.cases(found)) == {"one": "right", "two": "wrong"}
    assert [(item.name, item.value, item.total) for item in judges.figures(found)] == [("right", 1, 2)]


@pytest.mark.parametrize(
    ("arguments", "given"),
    [(("half",), "public"), (("cases", "expected"), "public/cases public/expected.json")],
)
def test_a_judge_gets_its_cases_as_it_takes_them(tmp_path: Path, arguments: tuple[str, ...], given: str) -> None:
    (tmp_path / "sizes" / "public" / "cases").mkdir(parents=True)
    added = "".join(f"parser.add_argument({name!r})\n" for name in (*arguments, "--server", "--interpreter", "--json"))
    said = f"print(*(getattr(options, name) for name in {arguments!r}))\n"
    (tmp_path / "sizes" / "judge.py").write_text(
        f"import argparse\nparser = argparse.ArgumentParser()\n{added}options = parser.parse_args()\n"
        f"open(options.json, 'w').write('{{}}')\n{said}"
    )
    line, _ = judges.run(judges.judges(tmp_path)[0], "s", sys.executable, tmp_path / "out.json", {})
    assert line == given


def test_a_judge_that_writes_nothing_ends_the_run_with_what_it_said(tmp_path: Path) -> None:
    (tmp_path / "sizes" / "public").mkdir(parents=True)
    (tmp_path / "sizes" / "judge.py").write_text("print('no torch here')\n")
    with pytest.raises(SystemExit, match="no torch here"):
        judges.run(judges.judges(tmp_path)[0], "s", sys.executable, tmp_path / "out.json", {})


@pytest.mark.parametrize(
    ("found", "verdicts"),
    [
        ({"cases": {"a": {"right": True}, "b": {"right": False}}}, {"a": "right", "b": "wrong"}),
        ({"classes": [{"class": "A", "right": False, "status": "unresolved"}]}, {"A": "unresolved"}),
        ({"classes": [{"class": "A", "right": False, "status": "ok"}]}, {"A": "wrong"}),
        ({"a": {"verdict": "partial"}, "b": {"verdict": "right"}}, {"a": "partial", "b": "right"}),
    ],
)
def test_verdicts_are_read_however_they_are_written_down(found: dict[str, object], verdicts: dict[str, str]) -> None:
    assert dict(judges.cases(found)) == verdicts


def test_what_a_judge_counts_beside_is_kept() -> None:
    found = {"classes": [{"class": "A", "right": True}], "counts": {"sound": 1, "right": 1}}
    assert [(item.name, item.value) for item in judges.figures(found)] == [("right", 1), ("sound", 1)]
