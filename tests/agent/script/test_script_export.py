"""An export is faithful or refused with one sentence, and what is verified is what a fresh process loads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ts_shape_server.agent import script
from ts_shape_server.agent.script import archive

SCRIPTS = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 5)

    def forward(self, x):
        return self.fc(x)
"""
TRACES_ONLY = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 5)
        self.act = lambda v: v + 1

    def forward(self, x):
        return self.act(self.fc(x))
"""
NEITHER = """
class Net(nn.Module):
    def forward(self, x):
        if float(x.sum()) > 100 * len(str(x.numpy())):
            return x
        return -x
"""
REPORT = {
    "inputs": [{"name": "x", "type": "Tensor", "dims": ["B", 3]}],
    "symbols": {"B": {"min": 1, "max": None, "multiple_of": 1}},
}


def check(load: Any, tmp_path: Path, source: str, ok: bool, by: str, **job: Any) -> dict[str, Any]:
    run, context = load(source, second={"x": {"tensor": [4, 3]}})
    wanted = {"path": context.path, "root": context.root, "report": REPORT, "output": "net.pt", "spec": {"a": 1}, **job}
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    found = script.export(run, wanted, str(scratch))
    assert (found["ok"], found["method"]) == (ok, by), found
    assert (found["reason"] is None) == ok
    if ok:
        verified = script.verify(
            {"archive": str(scratch / found["file"]), "expected": str(scratch / found["expected"])}
        )
        assert verified["ok"] and verified["sizes"] == 2, verified
        assert verified["largest_difference"] < 1e-5
    return found


@pytest.mark.parametrize(
    ("source", "asked", "ok", "method"),
    [
        (SCRIPTS, "auto", True, "script"),
        (SCRIPTS, "script", True, "script"),
        (SCRIPTS, "trace", True, "trace"),
        (SCRIPTS, "program", True, "program"),
        (TRACES_ONLY, "auto", True, "trace"),
        (TRACES_ONLY, "script", False, "script"),
        (NEITHER, "auto", False, "auto"),
    ],
)
def test_the_method_is_chosen_by_what_is_faithful(
    load: Any, tmp_path: Path, source: str, asked: str, ok: bool, method: str
) -> None:
    check(load, tmp_path, source, ok, method, method=asked)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_input_spec_is_inside_the_archive(load: Any, tmp_path: Path) -> None:
    check(load, tmp_path, SCRIPTS, True, "script", method="script")
    extra = {archive.SPEC_FILE: ""}
    jit: Any = torch.jit
    jit.load(str(tmp_path / "scratch" / "net.pt"), _extra_files=extra)
    assert json.loads(extra[archive.SPEC_FILE]) == {"a": 1}


@pytest.mark.parametrize(
    ("saved", "ok", "words"),
    [
        ({"fc.weight": [5, 3], "fc.bias": [5]}, True, ""),
        ({"state_dict": {"module.fc.weight": [5, 3], "module.fc.bias": [5]}}, True, ""),
        ({"fc.weight": [5, 3]}, False, "lacks `fc.bias`"),
        ({"fc.weight": [5, 4], "fc.bias": [5]}, False, "`fc.weight` is (5, 4) there and (5, 3) here"),
        (None, False, "there is no checkpoint"),
    ],
)
def test_a_checkpoint_fits_or_one_sentence_says_why_not(
    load: Any, tmp_path: Path, saved: Any, ok: bool, words: str
) -> None:
    def tensors(item: Any) -> Any:
        return {key: tensors(value) for key, value in item.items()} if isinstance(item, dict) else torch.ones(item)

    path = tmp_path / "weights.pth"
    if saved is not None:
        torch.save(tensors(saved), path)
    method = "script" if ok else "auto"
    found = check(load, tmp_path, SCRIPTS, ok, method, method="auto", checkpoint=str(path))
    assert ok or words in found["reason"]["message"]


def test_an_archive_that_differs_is_not_verified(load: Any, tmp_path: Path) -> None:
    check(load, tmp_path, SCRIPTS, True, "script", method="script")
    expected = tmp_path / "scratch" / "net.pt.expected"
    calls = archive.load_calls(str(expected))
    calls[1]["expected"] += 1
    archive.save_calls(calls, str(expected))
    found = script.verify({"archive": str(tmp_path / "scratch" / "net.pt"), "expected": str(expected)})
    assert not found["ok"] and "differs from eager on a second size" in found["reason"]


def test_what_is_no_archive_is_one_sentence(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pt"
    bad.write_bytes(b"nothing")
    found = script.verify({"archive": str(bad), "expected": str(bad)})
    assert not found["ok"] and "does not load in a fresh process" in found["reason"]
