"""An export is faithful or refused with one sentence, and what is verified is what a fresh process loads."""

from __future__ import annotations

import contextlib
import gc
import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ts_shape_server.agent import devices, script
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.saved import kinds
from ts_shape_server.agent.script import archive
from ts_shape_server.contract import schema
from ts_shape_server.contract.asked import ExportJob, FileAsked, VerifyJob
from ts_shape_server.contract.report import Report

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
COUNTS = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        return x * self.calls
"""
REPORT = schema.read(
    Report,
    {
        "path": "somewhere/net.py",
        "class": "Net",
        "line": 5,
        "status": "ok",
        "inputs": [{"name": "x", "type": "Tensor", "dtype": "float32", "dims": ["B", 3]}],
        "outputs": [{"type": "Tensor", "dtype": "float32", "dims": ["B", 5]}],
        "symbols": {"B": {"min": 1, "max": None, "multiple_of": 1}},
    },
)


def _job(context: Context, output: str = "net.pt", **more: Any) -> ExportJob:
    return ExportJob(FileAsked(context.path, context.root), "Net", REPORT, output, **more)


def check(load: Any, tmp_path: Path, source: str, ok: bool, by: str, **more: Any) -> dict[str, Any]:
    run, context = load(source, second={"x": {"tensor": [4, 3]}})
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    found = schema.write(script.export(run, _job(context, **more), str(scratch)))
    assert (found["ok"], found["method"]) == (ok, by), found
    assert (found["reason"] is None) == ok
    if ok:
        verified = script.verify(VerifyJob(str(scratch / found["file"]), str(scratch / found["expected"])))
        assert verified.ok and verified.sizes == 2, verified
        assert verified.largest_difference is not None and verified.largest_difference < 1e-5
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


@pytest.mark.parametrize("method", ["auto", "script", "trace", "program"])
def test_a_module_that_counts_its_calls_is_exported_as_it_begins(load: Any, tmp_path: Path, method: str) -> None:
    check(load, tmp_path, COUNTS, True, "script" if method == "auto" else method, method=method)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_input_spec_is_inside_the_archive(load: Any, tmp_path: Path) -> None:
    check(load, tmp_path, SCRIPTS, True, "script", method="script")
    extra = {archive.SPEC_FILE: ""}
    jit: Any = torch.jit
    jit.load(str(tmp_path / "scratch" / "net.pt"), _extra_files=extra)
    kept = json.loads(extra[archive.SPEC_FILE])
    assert schema.read(Report, kept) == replace(REPORT, path="net.py")


def _of(saved: dict[str, Any], path: Path, **options: Any) -> None:
    """A checkpoint with tensors of the given shapes, all of them ones."""

    def tensors(item: Any) -> Any:
        return {key: tensors(value) for key, value in item.items()} if isinstance(item, dict) else torch.ones(item)

    torch.save(tensors(saved), path, **options)


def _safetensors(path: Path, dtype: str, data: bytes) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "fc.weight": {"dtype": dtype, "shape": [5, 3], "data_offsets": [0, len(data) * 3 // 4]},
        "fc.bias": {"dtype": dtype, "shape": [5], "data_offsets": [len(data) * 3 // 4, len(data)]},
    }
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


FITS = {"fc.weight": [5, 3], "fc.bias": [5]}
ONES = struct.pack("<20f", *[1.0] * 20)


def under(prefix: str) -> dict[str, list[int]]:
    """The weights that fit, with a prefix before each name."""
    return {prefix + name: shape for name, shape in FITS.items()}


PREFIXED = under("module.")


@pytest.mark.parametrize(
    ("save", "note"),
    [
        (lambda path: _of(FITS, path), ""),
        (lambda path: _of(FITS, path, _use_new_zipfile_serialization=False), ""),
        (lambda path: _of({"state_dict": FITS, "epoch": []}, path), "under `state_dict`"),
        (
            lambda path: _of(
                {
                    "state_dict": {f"model.{name}": shape for name, shape in FITS.items()},
                    "ema": {f"{part}.{name}": shape for part in ("old", "new") for name, shape in FITS.items()},
                },
                path,
            ),
            "under `state_dict`",
        ),
        (lambda path: _of({"model": PREFIXED}, path), "under `model` with `module.` before each name, as `DataPar"),
        (lambda path: _of(PREFIXED, path), "are with `module.` before each name"),
        (lambda path: _of(under("module._orig_mod."), path), "are with `module._orig_mod.` before each name."),
        (lambda path: _of(under("ema_model."), path), "are with `ema_model.` before each name."),
        (
            lambda path: _of({"state_dict": {**under("model."), **under("ema."), "loss.weight": [3]}}, path),
            "under `state_dict` with `model.` before each name, beside 3 others that are left out",
        ),
        (lambda path: torch.save({"fc.weight": torch.ones(5, 3).half(), "fc.bias": torch.ones(5)}, path), "float16"),
        (lambda path: _safetensors(path, "F32", ONES), ""),
        (lambda path: _safetensors(path, "F16", struct.pack("<20e", *[1.0] * 20)), "converted to the module's float32"),
    ],
)
def test_a_checkpoint_is_found_where_training_left_it(
    load: Any, tmp_path: Path, save: Callable[[Path], None], note: str
) -> None:
    path = tmp_path / "weights.pth"
    save(path)
    found = check(load, tmp_path, SCRIPTS, True, "script", checkpoint=str(path))
    assert note in " ".join(found["notes"]) if note else found["notes"] == []
    calls = archive.load_calls(str(tmp_path / "scratch" / "net.pt.expected"))
    torch.testing.assert_close(calls[0]["expected"][:, 0], calls[0]["args"][0].sum(1) + 1)


class Foreign:
    """Something that a checkpoint must not hold."""


@pytest.mark.parametrize(
    ("save", "words"),
    [
        (lambda path: None, "cannot be read: No such file"),
        (lambda path: _of({"fc.weight": [5, 3]}, path), "lacks `fc.bias`"),
        (lambda path: _of({**FITS, "head": [2], "tail": [3]}, path), "has `head` and 1 more, which the module lacks"),
        (lambda path: _of({**FITS, "fc.weight": [5, 4]}, path), "`fc.weight` is (5, 4) there and (5, 3) here"),
        (
            lambda path: _of({**under("student."), **under("teacher.")}, path),
            "fit under 2 prefixes (`student.` and `teacher.`): save those that are meant",
        ),
        (lambda path: torch.save([1, 2], path), "holds no state dict but a list"),
        (lambda path: torch.save({"epoch": 3}, path), "holds no state dict but a dict"),
        (lambda path: torch.save({"model": Foreign()}, path), "would run code when it is loaded"),
        (lambda path: torch.jit.script(torch.nn.Linear(3, 5)).save(str(path)), "is none, but a saved module"),
        (lambda path: path.write_bytes(b"hello"), "is none, for it is no file that torch writes: save it"),
        (lambda path: path.write_bytes(b""), "is none, for the file is empty"),
        (lambda path: _safetensors(path, "F32", ONES[:70]), "cut off or damaged"),
        (lambda path: _safetensors(path, "F8_E4M3", ONES[:20]), "of the type 'F8_E4M3'"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_checkpoint_that_does_not_fit_is_told_in_a_sentence(
    load: Any, tmp_path: Path, save: Callable[[Path], None], words: str
) -> None:
    path = tmp_path / "weights.pth"
    save(path)
    found = check(load, tmp_path, SCRIPTS, False, "auto", checkpoint=str(path))
    assert words in found["reason"]["message"]
    assert "\n" not in found["reason"]["message"]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_file_that_was_cut_off_is_no_checkpoint(load: Any, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    _of(FITS, path)
    path.write_bytes(path.read_bytes()[:700])
    found = check(load, tmp_path, SCRIPTS, False, "auto", checkpoint=str(path))
    assert "is none, for the file is cut off or damaged" in found["reason"]["message"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("method", ["script", "trace", "program"])
def test_an_export_of_another_dtype_takes_and_gives_that_dtype(load: Any, tmp_path: Path, method: str) -> None:
    check(load, tmp_path, SCRIPTS, True, method, method=method, dtype="float64")
    module = archive.load(str(tmp_path / "scratch" / "net.pt"))
    assert module(torch.rand(4, 3, dtype=torch.float64)).dtype is torch.float64
    kept = json.loads(kinds.kind_of(str(tmp_path / "scratch" / "net.pt")).spec or "")
    assert [kept["inputs"][0]["dtype"], kept["outputs"][0]["dtype"]] == ["float64", "float64"]


def test_a_trace_that_was_asked_for_says_what_it_freezes(load: Any, tmp_path: Path) -> None:
    source = NEITHER.replace("float(x.sum()) > 100 * len(str(x.numpy()))", "x.sum() > 1000")
    found = check(load, tmp_path, source, True, "trace", method="trace")
    assert "Tracing keeps the branch that the example takes" in found["notes"][0]
    assert check(load, tmp_path, source, True, "script", method="auto")["notes"] == []


def test_a_program_that_keeps_the_sizes_of_the_example_says_so(load: Any, tmp_path: Path) -> None:
    source = """
class Net(nn.Module):
    def forward(self, x):
        return x * len(range(int(x.shape[0])))
"""
    run, context = load(source, second={"x": {"tensor": [4, 3]}})
    found = schema.write(script.export(run, _job(context, "net.pt2", method="program"), str(tmp_path)))
    assert found["ok"], found
    assert "sizes of this module free" in found["notes"][0]
    assert kinds.kind_of(str(tmp_path / "net.pt2")).spec is None
    assert script.verify(VerifyJob(str(tmp_path / "net.pt2"), str(tmp_path / found["expected"]))).ok


def test_a_program_of_an_example_with_one_row_takes_more_rows(load: Any, tmp_path: Path) -> None:
    run, context = load(SCRIPTS, example={"x": {"tensor": [1, 3]}}, second={"x": {"tensor": [4, 3]}})
    found = schema.write(script.export(run, _job(context, "net.pt2", method="program"), str(tmp_path)))
    assert (found["ok"], found["notes"]) == (True, [])
    module = archive.load(str(tmp_path / "net.pt2"))
    assert [tuple(module(torch.rand(rows, 3)).shape) for rows in (1, 7)] == [(1, 5), (7, 5)]


def test_an_export_for_which_there_is_no_room_is_refused_before_it_is_written(
    load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=4096))
    found = check(load, tmp_path, SCRIPTS, False, "auto")
    assert "only 0 MiB are free for temporary files" in found["reason"]["message"]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_an_archive_that_differs_is_not_verified(load: Any, tmp_path: Path) -> None:
    check(load, tmp_path, SCRIPTS, True, "script", method="script")
    expected = tmp_path / "scratch" / "net.pt.expected"
    calls = archive.load_calls(str(expected))
    calls[1]["expected"] += 1
    archive.save_calls(calls, str(expected))
    found = schema.write(script.verify(VerifyJob(str(tmp_path / "scratch" / "net.pt"), str(expected))))
    assert not found["ok"] and "differs from eager on a second size" in found["reason"]


def test_what_is_no_archive_is_one_sentence(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pt"
    bad.write_bytes(b"nothing")
    found = schema.write(script.verify(VerifyJob(str(bad), str(bad))))
    assert not found["ok"] and "does not load in a fresh process" in found["reason"]


VALUES_DECIDE = """
class Net(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            x = x * 2
        n = int(x.argmax().item())
        assert x.mean() < 100
        while (
            x.norm() > 1e6
        ):
            x = x / 2
        return x[:, : n + 1]
"""
LEAVES = """
class Net(nn.Module):
    def forward(self, x):
        return x + torch.from_numpy(x.detach().numpy())
"""
NUMBER_BESIDE = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.eps = 0.1

    def forward(self, x):
        if x.sum() > float(self.eps):
            x = x * 2
        return x
"""
BOTH = [
    ("value-decides-branch", "x.sum() > 0"),
    ("value-as-number", "int(x.argmax().item())"),
    ("value-asserted", "x.mean() < 100"),
    ("value-decides-loop", "x.norm() > 1000000.0"),
]


@pytest.mark.parametrize(
    ("source", "kind", "code", "others"),
    [
        (VALUES_DECIDE, *BOTH[0], 3),
        (LEAVES, "leaves-torch", "x.detach().numpy()", 0),
        (NUMBER_BESIDE, "value-decides-branch", "x.sum() > float(self.eps)", 0),
    ],
    ids=["values decide", "numpy", "a number beside"],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_each_place_at_which_a_program_is_refused_is_told(
    load: Any, tmp_path: Path, source: str, kind: str, code: str, others: int
) -> None:
    run, context = load(source)
    found = script.export(run, _job(context, "net.pt2", method="program"), str(tmp_path))
    # torch leaves the file of its draft export's log open.
    gc.collect()
    reason = found.reason
    assert reason is not None and not found.ok
    assert (reason.code, reason.kind, reason.fact("code")) == ("export-error", kind, code), reason
    assert reason.location is not None
    span = reason.location.range
    line = context.source.splitlines()[span.line - 1]
    assert line[span.column : span.end_column] == code
    # What torch meets after the first refusal only its draft export tells, of torch 2.7 and newer.
    if hasattr(torch.export, "draft_export"):
        assert len(reason.related) == others
        assert all(item.range.line > span.line and item.message for item in reason.related)


@pytest.mark.skipif(not hasattr(torch.export, "draft_export"), reason="torch 2.7 and newer tell more than the first")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_all_places_are_told_where_accelerators_are_asked_for(
    load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, context = load(VALUES_DECIDE)
    # In a process in which a class asked for one before, the mode is there and stays.
    mode = devices.OnCpu() if devices._mode is None else contextlib.nullcontext()
    monkeypatch.setattr(devices, "_mode", devices._mode or mode)
    with mode:
        found = script.export(run, _job(context, "net.pt2", method="program"), str(tmp_path))
    gc.collect()
    assert found.reason is not None
    assert len(found.reason.related) == len(BOTH) - 1
