"""Of a slice that fails, what does not depend on the failure is still known, and what does is not."""

from __future__ import annotations

import ast
import types
from typing import Any

import pytest

from ts_shape_server.agent.infer.facts import partly


def fill(settings: Any) -> None:
    settings.width = 1
    raise OSError


def run(source: str) -> tuple[dict[str, Any], partly.Lost]:
    namespace: dict[str, Any] = {"Settings": types.SimpleNamespace, "fill": fill}
    lost = partly.run(ast.parse(source), "", namespace, lambda name: "3")
    return namespace, lost


@pytest.mark.parametrize(
    ("source", "kept", "lost"),
    [
        pytest.param("a = 3\nb = open('/nowhere/at/all')", {"a"}, {"b"}, id="what fails"),
        pytest.param("b = open('/nowhere/at/all')\nc = len(b.read())\nd = 4", {"d"}, {"b", "c"}, id="what needs it"),
        pytest.param("a = [1]\na.append(open('/nowhere/at/all'))", set(), {"a"}, id="what a method may have changed"),
        pytest.param("a = Settings(width=3)\nb = a\nfill(a)", set(), {"a", "b"}, id="what a function may have changed"),
        pytest.param("a = {}\na['x'] = open('/nowhere/at/all')", set(), {"a"}, id="what an item was not put into"),
        pytest.param("import nowhere_at_all\na = 1", {"a"}, {"nowhere_at_all"}, id="what is not installed"),
        pytest.param("a = 1\nraise SystemExit", {"a"}, set(), id="nothing where the program ends"),
        pytest.param("a = Settings(path='/nowhere')\nb = open(a.path)", {"a"}, {"b"}, id="not what is only read"),
    ],
)
def test_statements_that_fail(source: str, kept: set[str], lost: set[str]) -> None:
    namespace, found = run(source)
    names = kept | lost
    assert (names & set(namespace), found.names) == (kept, lost)


def test_a_setting_that_was_not_set_is_lost_alone() -> None:
    namespace, found = run("a = Settings(width=3, words=7)\nb = a\nb.words = len(open('/nowhere/at/all').read())")
    assert vars(namespace["a"]) == {"width": 3}
    assert found.names == set()
    assert [(owner is namespace["b"], name) for owner, name in found.attributes] == [(True, "words")]
