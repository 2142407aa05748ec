"""``python -m benchmarks.repair.verification JOB OUT``: did a repaired file keep what it computes, and does it script?

A process of its own runs a file and its repair in plain torch, from the reports' JSON alone: the same weights, the same
inputs, on the example and on further sizes that the report allows, in eval and in training mode. Nothing of the tool is
imported here. The job is JSON: ``{"original", "repaired", "reports", "seconds"}`` with two paths.
"""

from __future__ import annotations

import io
import json
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.parity import claims, draws, records, trials

DRAWS = 2
"""So many sizes beside the example and the report's own second one."""
_LONGEST = 2000


def verdict(report: Mapping[str, Any], original: trials.File, repaired: trials.File) -> dict[str, Any]:
    """What becomes of one class: ``scripted`` and ``scripts`` (before, after), ``same`` (None: it could not be run),
    ``saves``, the number of ``runs`` compared, and torch's own words for what it refuses.
    """
    found: dict[str, Any] = {"same": None, "runs": 0, "scripted": False, "scripts": False, "saves": False}
    expressions = {key: item["expr"] for key, item in (report.get("init") or {}).get("args", {}).items()}
    try:
        before = trials.rebuild(original, report["class"], expressions)
    except trials.NotRebuilt as error:
        return {**found, "difference": f"not rebuilt: {error}"}
    try:
        after = trials.rebuild(repaired, report["class"], expressions)
        after.load_state_dict(before.state_dict())
    except Exception as error:
        return {**found, "same": False, "difference": f"the repair is not built: {trials.text_of(error)}"}
    found.update(_compared(report, before, after, original, repaired))
    scripted, found["refused"] = _scripted(before)
    found["scripted"] = scripted is not None and not _disagreement(report, before, scripted, original)
    scripted, found["left"] = _scripted(after)
    if scripted is not None and found["same"]:
        found["left"] = _disagreement(report, after, scripted, repaired)
    found["scripts"] = not found["left"]
    found["saves"] = scripted is not None and _saves(scripted)
    return found


def _compared(
    report: Mapping[str, Any], before: nn.Module, after: nn.Module, original: trials.File, repaired: trials.File
) -> dict[str, Any]:
    runs = 0
    for training in (False, True):
        before.train(training)
        after.train(training)
        for inputs in _inputs(report):
            try:
                expected = _run(before, before, original, inputs)
            except Exception:
                continue
            runs += 1
            try:
                difference = _difference(expected, _run(after, after, repaired, inputs))
            except Exception as error:
                difference = f"the repair raises {trials.text_of(error)}"
            if difference:
                mode = "training" if training else "eval"
                return {"same": False, "runs": runs, "difference": f"{mode} mode: {difference}"[:_LONGEST]}
    before.eval()
    after.eval()
    return {"same": True if runs else None, "runs": runs, "difference": "" if runs else "the original does not run"}


def _inputs(report: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield report.get("example") or {}
    if report.get("second") is not None:
        yield report["second"]
    try:
        claim = claims.read(report)
        for draw in draws.allowed(claim)[:DRAWS]:
            yield claim.inputs(draw)
    except claims.Unreadable:
        return


def _run(module: Any, signed: nn.Module, file: trials.File, inputs: Mapping[str, Any]) -> Any:
    trials.seed()
    with torch.no_grad():
        return trials.call(module, type(signed).forward, file.namespace, inputs)


def _difference(expected: Any, actual: Any, where: str = "output") -> str:
    """The first difference between two results; empty if there is none."""
    if isinstance(expected, torch.Tensor) and isinstance(actual, torch.Tensor):
        try:
            torch.testing.assert_close(actual, expected, equal_nan=True)
        except AssertionError as error:
            return f"{where}: {str(error).splitlines()[0]}"
        return ""
    if isinstance(expected, (list, tuple)) and isinstance(actual, (list, tuple)):
        if len(expected) != len(actual) or isinstance(expected, list) != isinstance(actual, list):
            return (
                f"{where}: {type(actual).__name__} of {len(actual)}, not {type(expected).__name__} of {len(expected)}"
            )
        pairs = enumerate(zip(expected, actual, strict=True))
        return next((text for number, pair in pairs if (text := _difference(*pair, f"{where}[{number}]"))), "")
    if isinstance(expected, dict) and isinstance(actual, dict):
        if set(map(str, expected)) != set(map(str, actual)):
            return f"{where}: other keys"
        return next(
            (text for key in expected if (text := _difference(expected[key], actual[key], f"{where}[{key!r}]"))), ""
        )
    if isinstance(expected, (bool, int, float, str)) or expected is None or actual is None:
        same = expected == actual or (expected != expected and actual != actual)
        return "" if same else f"{where}: {actual!r}, not {expected!r}"[:200]
    alike = type(expected).__qualname__ == type(actual).__qualname__
    return _difference(_fields(expected), _fields(actual), where) if alike else f"{where}: {type(actual).__name__}"


def _fields(value: Any) -> dict[str, Any]:
    return dict(getattr(value, "__dict__", {}))


def _scripted(module: nn.Module) -> tuple[Any, str]:
    """What `torch.jit.script` makes of a module, or its words where it refuses."""
    try:
        return torch.jit.script(module), ""
    except Exception as error:
        return None, str(error)[:_LONGEST] or type(error).__name__


def _disagreement(report: Mapping[str, Any], eager: nn.Module, scripted: Any, file: trials.File) -> str:
    """How the script differs from eager on the first inputs that run; empty if it does not."""
    for inputs in _inputs(report):
        try:
            expected = _run(eager, eager, file, inputs)
        except Exception:
            continue
        try:
            difference = _difference(_loose(expected), _loose(_run(scripted, eager, file, inputs)))
        except Exception as error:
            return f"the script raises {trials.text_of(error)}"
        if difference:
            return f"the script differs from eager: {difference}"
    return ""


def _loose(value: Any) -> Any:
    """A result without what TorchScript does not know of it: which class a dict or a named tuple has."""
    if isinstance(value, dict):
        return {key: _loose(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_loose(item) for item in value]
    return value


def _saves(scripted: Any) -> bool:
    buffer = io.BytesIO()
    try:
        torch.jit.save(scripted, buffer)
        buffer.seek(0)
        torch.jit.load(buffer)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    except Exception:
        return False
    return True


def _in_child(report: Mapping[str, Any], sides: tuple[trials.File, trials.File], seconds: float, out: Path) -> None:
    """One class in a process of its own: its record, or nothing where it is killed."""
    child = os.fork()
    if child == 0:
        try:
            trials.end_after(seconds)
            warnings.simplefilter("ignore")
            found = verdict(report, *sides)
            records.append(out, {"class": report["class"], **found})
        except BaseException as error:
            records.append(out, {"class": report["class"], "same": None, "difference": trials.text_of(error)})
        os._exit(0)
    os.waitpid(child, 0)


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    out = Path(sys.argv[2])
    torch.set_num_threads(1)
    trials.confine()
    trials.end_after(job["seconds"])
    sides = (_loaded(job["original"], "original"), _loaded(job["repaired"], "repaired"))
    trials.end_never()
    for report in job["reports"]:
        _in_child(report, sides, job["seconds"], out)


def _loaded(path: str, role: str) -> trials.File:
    return trials.load(f"{Path(path).stem}_{role}.py", Path(path).read_text(encoding="utf-8"), path)


if __name__ == "__main__":
    main()
