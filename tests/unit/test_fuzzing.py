"""Short runs of the fuzzers: no crash, no hang and no growth over what crosses a border; long ones are benchmarks."""

from __future__ import annotations

import json
import time
import tracemalloc
from pathlib import Path

import fuzzing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ts_shape_server.analysis import syntax
from ts_shape_server.workspace import Workspace

SECONDS = 30.0
"""Processor time: generous, since this is about hangs."""
MEBIBYTES = 400

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(fuzzing.WORDS), inner, max_size=6),
    max_leaves=25,
)


@pytest.mark.parametrize("name", sorted(fuzzing.HOSTILE))
def test_a_hostile_document_is_looked_at_in_time_and_memory(name: str) -> None:
    text = fuzzing.HOSTILE[name]()
    tracemalloc.start()
    began = time.process_time()
    fuzzing.document(text)
    used, (_, most) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used < SECONDS
    assert most < MEBIBYTES << 20


@pytest.mark.parametrize("name", ["NULs", "a surrogate as a name", "mixed line ends", "a long name", "many classes"])
def test_a_hostile_file_on_disk_is_read(tmp_path: Path, name: str) -> None:
    place = tmp_path / "net.py"
    place.write_bytes(fuzzing.HOSTILE[name]().encode("utf-8", "surrogatepass"))
    workspace = Workspace((str(tmp_path),), dict)
    text = workspace.text(str(place))
    assert text is not None
    workspace.request(workspace.snapshot(str(place), text))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(fuzzing.TARGETS)), st.binary(max_size=300))
def test_any_bytes(target: str, data: bytes) -> None:
    fuzzing.TARGETS[target](data)


@settings(max_examples=200, deadline=None)
@given(_JSON)
def test_any_json_is_a_claim_a_setting_or_neither(value: object) -> None:
    data = json.dumps(value).encode()
    for target in (fuzzing.claims, fuzzing.settings):
        target(data)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(fuzzing.TOKENS), max_size=40).map(" ".join))
def test_any_words_of_python_are_a_document(text: str) -> None:
    fuzzing.document("from torch import nn\n" + text)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(fuzzing.TOKENS), max_size=12).map("".join))
def test_any_words_are_a_pragma(text: str) -> None:
    fuzzing.pragmas(text.encode("utf-8", "surrogatepass"))


def test_a_file_that_is_too_long_is_said_to_be() -> None:
    workspace = Workspace((), dict)
    text = "x = 1\n" * syntax.LONGEST
    error = workspace.snapshot("/w/net.py", text).classes.syntax_error
    assert error is not None
    assert "400,000 characters" in error[1]
