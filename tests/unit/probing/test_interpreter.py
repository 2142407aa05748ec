"""Which Python runs the probes: an ordered search, and a sentence that says what was tried when none will do."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ts_shape_server.probing import interpreter
from ts_shape_server.probing.interpreter import Interpreter, NoInterpreter, candidates, find


def fake(path: Path, body: str) -> str:
    """A program that takes the place of a Python."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def answering(path: Path, python: tuple[int, int, int] = (3, 11, 7), torch: str | None = "2.4.1") -> str:
    return fake(path, f"echo noise; echo '{json.dumps([list(python), torch, str(path), None])}'")


def test_the_setting_alone_counts_where_there_is_one(tmp_path: Path) -> None:
    answering(tmp_path / ".venv" / "bin" / "python")
    chosen = answering(tmp_path / "mine" / "python")
    found = [item.path for item in candidates(chosen, [str(tmp_path)], {})]
    assert found == [chosen]


@pytest.mark.parametrize(
    "setting", ["${workspaceFolder}/env/bin/python", "${workspaceFolder}/env", "$PLACE/env/bin/python"]
)
def test_a_setting_may_name_a_folder_or_use_variables(
    tmp_path: Path, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", str(tmp_path))
    place = answering(tmp_path / "env" / "bin" / "python")
    assert [item.path for item in candidates(setting, [str(tmp_path)], {})] == [place]


def test_the_order_without_a_setting(tmp_path: Path) -> None:
    active = answering(tmp_path / "active" / "bin" / "python")
    local = answering(tmp_path / "w" / ".venv" / "bin" / "python")
    other = answering(tmp_path / "w" / "venv" / "bin" / "python")
    on_path = answering(tmp_path / "path" / "python3")
    environment = {"VIRTUAL_ENV": str(tmp_path / "active"), "PATH": str(tmp_path / "path")}
    found = [item.path for item in candidates(None, [str(tmp_path / "w")], environment)]
    assert found == [active, local, other, on_path, sys.executable]


async def test_the_first_with_a_torch_that_will_do_is_taken(tmp_path: Path) -> None:
    answering(tmp_path / "active" / "bin" / "python", torch=None)
    answering(tmp_path / ".venv" / "bin" / "python", torch="1.13.1+cu117")
    good = answering(tmp_path / "venv" / "bin" / "python", torch="2.4.1+cpu")
    found = await find(None, [str(tmp_path)], {"VIRTUAL_ENV": str(tmp_path / "active"), "PATH": ""})
    assert found == Interpreter(good, "3.11.7", "2.4.1+cpu", "venv of the workspace")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("exit 3", "is no working Python (it ended with code 3)"),
        ("echo hello", "is no working Python"),
        ('echo \'[[3, 8, 1], "2.0", "p", null]\'', "is Python 3.8.1, and 3.9 or later is needed"),
        ("echo '[[3, 11, 1], null, \"p\", null]'", "has no torch"),
        ('echo \'[[3, 11, 1], "1.9", "p", null]\'', "has torch 1.9, and 2.2 or later is needed"),
        ("sleep 20", "did not answer within"),
    ],
)
async def test_what_is_wrong_with_a_candidate_is_told(
    tmp_path: Path, body: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreter, "SECONDS", 0.5)
    path = fake(tmp_path / "python", body)
    found = await find(path, [], {"PATH": "/usr/bin:/bin"})
    assert isinstance(found, NoInterpreter)
    assert words in found.message
    assert "the setting `interpreter`" in found.message


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("gone", "gone (setting): is not there"),
        ("linked", "linked (setting): is a link to /no/such/python, which is not there: make the environment anew"),
        ("empty", "empty (setting): is a folder, and no environment"),
        ("environment", "bin/python (setting): is a link to /no/such/python, which is not there"),
        ("text", "text (setting): Permission denied"),
    ],
)
async def test_a_path_that_leads_nowhere_is_told(tmp_path: Path, setting: str, words: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "environment/bin").mkdir(parents=True)
    for link in ("linked", "environment/bin/python"):
        (tmp_path / link).symlink_to("/no/such/python")
    (tmp_path / "text").write_text("print(1)")
    found = await find(str(tmp_path / setting), [], {})
    assert isinstance(found, NoInterpreter)
    assert words in found.message


async def test_a_file_of_the_current_folder_is_named_as_a_shell_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = answering(tmp_path / "python-here")
    monkeypatch.chdir(tmp_path)
    found = await find("./python-here", [], {})
    assert isinstance(found, Interpreter)
    assert found.path == path


async def test_this_interpreter_answers_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise RuntimeError")
    monkeypatch.chdir(tmp_path)
    answer = await interpreter.ask(sys.executable, {"HOME": str(tmp_path)})
    assert isinstance(answer, interpreter.Answer)
    assert answer.executable == sys.executable
    assert answer.site is None


async def test_a_candidate_does_not_see_the_secrets_of_the_environment(tmp_path: Path) -> None:
    """It may be one that a workspace brought."""
    place = answering(tmp_path / "python")
    Path(place).write_text(Path(place).read_text().replace("echo noise", f"env > {tmp_path / 'seen'}"))
    given = {"HOME": "/home/ada", "PYENV_ROOT": "/p", "AWS_SECRET_ACCESS_KEY": "hidden", "PYTHONSTARTUP": "/x"}
    found = await interpreter.ask(place, given)
    assert not isinstance(found, str)
    names = {line.partition("=")[0] for line in (tmp_path / "seen").read_text().splitlines()}
    assert {"HOME", "PYENV_ROOT"} <= names
    assert not names & {"AWS_SECRET_ACCESS_KEY", "PYTHONSTARTUP"}
