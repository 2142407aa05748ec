"""Settings: layers, defaults, and what a bad value does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ts_shape_server.project import project_settings
from ts_shape_server.settings import KEYS, Settings, from_pyproject, parse, table


def check(layers: list[Any], field: str, value: object, problems: int = 0) -> None:
    settings, found = parse(*layers)
    assert getattr(settings, field) == value
    assert len(found) == problems, found


@pytest.mark.parametrize(
    ("layers", "field", "value"),
    [
        ([], "timeout_ms", 20_000),
        ([{"timeoutMs": 5000}], "timeout_ms", 5000),
        ([{"timeoutMs": 5000.0}], "timeout_ms", 5000),
        ([{"hover": {"waitMs": 7}}], "hover_wait_ms", 7),
        ([{"hover.waitMs": 7}], "hover_wait_ms", 7),
        ([{"tsShape.hover.waitMs": 7}], "hover_wait_ms", 7),
        ([{"tsShape": {"hover": {"waitMs": 7}}}], "timeout_ms", 20_000),
        ([{"inlayHints": "all"}, {"inlayHints": "off"}], "inlay_hints", "off"),
        ([{"env": {"A": "1"}}], "env", {"A": "1"}),
        ([{"interpreter": ""}], "interpreter", None),
        ([{"interpreter": "/usr/bin/python3"}, {"interpreter": None}], "interpreter", None),
        ([{"codeLens": None}], "code_lens", True),
        ([{"diagnostics": {"scriptErrors": False}}], "script_errors", False),
        ([{"diagnostics.traceWarnings": False}], "trace_warnings", False),
        ([{"diagnostics": {"torchscript": "off"}}], "torchscript", "off"),
    ],
)
def test_a_good_value_is_taken_and_the_later_layer_wins(layers: list[Any], field: str, value: object) -> None:
    settings, _ = parse(*layers)
    assert getattr(settings, field) == value


@pytest.mark.parametrize(
    ("layer", "field"),
    [
        ({"timeoutMs": "soon"}, "timeout_ms"),
        ({"timeoutMs": True}, "timeout_ms"),
        ({"timeoutMs": -1}, "timeout_ms"),
        ({"sandbox": "maybe"}, "sandbox"),
        ({"env": {"A": 1}}, "env"),
        ({"extraPaths": "src"}, "extra_paths"),
        ({"codeLens": 1}, "code_lens"),
        ({"hover": {"waitms": 3}}, "hover_wait_ms"),
        ({"hover": 3}, "hover_wait_ms"),
        (["not", "a", "table"], "jobs"),
    ],
)
def test_a_bad_value_is_one_problem_and_the_default_is_used(layer: Any, field: str) -> None:
    check([layer], field, getattr(Settings(), field), problems=1)


def test_a_problem_names_the_key_the_value_and_what_is_used() -> None:
    _, (problem,) = parse({"timeoutMs": "soon"})
    assert problem == 'the setting "timeoutMs" takes a whole number from 100 to 3600000, not "soon"; 20000 is used'


def test_a_misspelt_key_is_met_with_the_nearest_one() -> None:
    _, (problem,) = parse({"timeoutMS": 5})
    assert 'did you mean "timeoutMs"?' in problem


def test_what_an_editor_keeps_for_itself_is_no_problem() -> None:
    assert parse({"trace": {"server": "verbose"}})[1] == ()


@pytest.mark.parametrize(
    ("text", "layer", "problems"),
    [
        ("[tool.ts-shape]\ntimeoutMs = 5\n", {"timeoutMs": 5}, 0),
        ("[project]\nname = 'a'\n", {}, 0),
        ("[tool.ts-shape\n", {}, 1),
        ("tool = 1\n", {}, 0),
        ("[tool]\nts-shape = 1\n", {}, 1),
    ],
)
def test_pyproject_gives_a_layer_or_says_why_not(text: str, layer: object, problems: int) -> None:
    found, said = from_pyproject(text)
    assert found == layer
    assert len(said) == problems


@pytest.mark.parametrize(
    ("text", "layer", "said"),
    [
        ('sandbox = "off"', {}, "weaken the sandbox"),
        ('"tsShape.sandbox" = "bestEffort"', {}, "weaken the sandbox"),
        ('sandbox = "required"', {"sandbox": "required"}, ""),
        ('env = {A = "1"}', {"projectEnv": {"A": "1"}}, ""),
        ('env = {A = "1", LD_PRELOAD = "x.so", pythonpath = "x"}', {"projectEnv": {"A": "1"}}, "have code loaded"),
        ('env = {"A=B" = "1", "" = "1", "A b" = "1", B = 1, C = "\\u0000"}', {"projectEnv": {}}, "no names"),
        (f'env = {{A = "{"x" * 5000}"}}', {"projectEnv": {}}, "short texts"),
        ('projectEnv = {LD_PRELOAD = "x.so"}', {}, "left out"),
        ('"tsShape.projectEnv" = {LD_PRELOAD = "x.so"}', {}, "left out"),
        ("env = 1", {"env": 1}, ""),
        ('extraPaths = ["src"]', {"extraPaths": ["FOLDER/src"]}, ""),
        ('extraPaths = ["../other", "/etc", "src", "keys"]', {"extraPaths": ["FOLDER/src"]}, "outside"),
        ('readable = ["/"]', {}, "may read"),
        ("extraPaths = 1", {"extraPaths": 1}, ""),
    ],
)
def test_a_project_does_not_widen_what_its_code_may_do(tmp_path: Path, text: str, layer: Any, said: str) -> None:
    (tmp_path / "keys").symlink_to("/etc/ssl")
    (tmp_path / "pyproject.toml").write_text(f"[tool.ts-shape]\n{text}\n")
    found, problems = project_settings(str(tmp_path))
    assert json.dumps(found) == json.dumps(layer).replace("FOLDER", str(tmp_path))
    assert bool(problems) is bool(said)
    assert said in "".join(problems)


def test_a_project_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert project_settings(str(tmp_path)) == ({}, ())
    (tmp_path / "pyproject.toml").symlink_to("/dev/zero")
    assert "no plain file" in "".join(project_settings(str(tmp_path))[1])


@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
    )
)
def test_nothing_in_a_configuration_raises(layer: dict[str, Any]) -> None:
    parse(layer)


def test_the_page_of_the_docs_has_the_table_of_the_keys() -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    assert table() in page
    assert len(table().splitlines()) == len(KEYS) + 2
