"""`check` of what a change reaches, and of one machine's share; nothing that a repository names is run for it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from ts_shape_server.cli import _parser
from ts_shape_server.cli.changes import reached_files, share
from ts_shape_server.cli.formats import sarif
from ts_shape_server.cli.runs import CommandProblem, python_files
from ts_shape_server.contract.places import Range
from ts_shape_server.features.diagnostics import Finding

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no Git here")

NET = "from parts import Part\nclass Net: ...\n"


def git(folder: Path, *arguments: str) -> None:
    named = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *named, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for name, text in {"net.py": NET, "parts.py": "class Part: ...\n", "apart.py": "class Apart: ...\n"}.items():
        (folder / name).write_text(text)
    (folder / "README.md").write_text("Apart(3)\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def check(repository: Path, expected: str, revision: str = "HEAD") -> None:
    found = reached_files(python_files([str(repository)]), revision)
    assert {Path(path).name for path in found} == set(expected.split())


def test_nothing_has_changed(repository: Path) -> None:
    check(repository, "")


def test_what_differs_and_what_that_reaches(repository: Path) -> None:
    (repository / "parts.py").write_text("class Part:\n    width = 3\n")
    check(repository, "parts.py net.py")
    git(repository, "commit", "-q", "-a", "-m", "second")
    check(repository, "")
    check(repository, "parts.py net.py", "HEAD~1")
    (repository / "new.py").write_text("import apart\n")
    check(repository, "new.py apart.py")


def test_a_branch_is_held_against_where_it_left(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "work")
    (repository / "apart.py").write_text("class Apart: width = 3\n")
    git(repository, "commit", "-q", "-a", "-m", "work")
    git(repository, "checkout", "-q", "main")
    (repository / "parts.py").write_text("class Part: width = 3\n")
    git(repository, "commit", "-q", "-a", "-m", "main")
    git(repository, "checkout", "-q", "work")
    check(repository, "apart.py", "main")


def test_a_file_that_is_gone_reaches_those_that_import_it(repository: Path) -> None:
    (repository / "parts.py").unlink()
    check(repository, "net.py")


def test_documents_and_settings_decide_too(repository: Path) -> None:
    (repository / "README.md").write_text("Apart(4)\n")
    check(repository, "apart.py")
    (repository / "pyproject.toml").write_text("[tool.ts-shape]\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "settings")
    (repository / "pyproject.toml").write_text("[tool.ts-shape]\ntimeoutMs = 500\n")
    check(repository, "net.py parts.py apart.py")


@pytest.mark.parametrize("revision", ["none", "-x", "--output=x", "a b", "\x1b[0m"])
def test_what_is_no_revision_is_told(repository: Path, revision: str) -> None:
    with pytest.raises(CommandProblem, match="knows no revision"):
        reached_files(python_files([str(repository)]), revision)
    assert not (repository / "x").exists()


def test_a_folder_without_a_repository_is_told(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    with pytest.raises(CommandProblem, match="is in no Git repository"):
        reached_files([str(tmp_path / "net.py")], "HEAD")


def test_nothing_that_a_repository_names_is_run(repository: Path, tmp_path: Path) -> None:
    """By filters, monitors and drivers of differences; `git diff` would run them, as the last line shows."""
    mark = tmp_path / "ran"
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n")
    evil.chmod(0o700)
    (repository / ".gitattributes").write_text("*.py filter=evil diff=evil\n")
    for key in ("filter.evil.clean", "filter.evil.smudge", "diff.evil.textconv", "diff.external", "core.fsmonitor"):
        git(repository, "config", key, str(evil))
    (repository / "parts.py").write_text("class Part: width = 4\n")
    check(repository, "parts.py net.py")
    assert not mark.exists()
    subprocess.run(["git", "diff", "--name-only"], cwd=repository, check=False, capture_output=True)
    assert mark.exists()


def test_shares_have_each_file_once_and_hang_on_its_name_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    paths = [str(tmp_path / f"part{number}" / "net.py") for number in range(60)]
    shares = [share(paths, (number, 4)) for number in range(1, 5)]
    assert sorted(path for part in shares for path in part) == sorted(paths)
    assert all(shares)
    assert share(paths[::2], (1, 4)) == [path for path in shares[0] if path in paths[::2]]
    assert share(paths, (1, 1)) == paths


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "1/99999", "1/4/4", ""])
def test_what_is_no_share_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        _parser().parse_args(["check", ".", "--shard", text])
    assert ended.value.code == 2
    assert "K/N is needed" in capsys.readouterr().err


def test_flags_are_read() -> None:
    given = _parser().parse_args(["check", ".", "--shard", "2/4", "--changed", "main"])
    assert (given.shard, given.changed) == ((2, 4), "main")
    assert _parser().parse_args(["check", ".", "--changed"]).changed == "HEAD"


def test_parts_of_one_check_are_told_apart_and_a_finding_is_the_same_in_each() -> None:
    found = Finding("/p/net.py", Range(3, 0, 3, 1), "script-error", "warning", "words", "Net", kind="k")
    runs = [json.loads(sarif([found], [], part))["runs"][0] for part in ("1-of-2", "2-of-2")]
    assert [run["automationDetails"]["id"] for run in runs] == ["ts-shape/1-of-2", "ts-shape/2-of-2"]
    assert len({json.dumps(run["results"]) for run in runs}) == 1
    assert runs[0]["results"][0]["partialFingerprints"]["tsShape/v1"]
