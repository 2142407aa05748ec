"""Exports a module: by script, by trace, or as a program, whichever is asked for or is faithful.

It writes two files into scratch, the archive and the calls that a fresh process must get the same results for. Where it
cannot, the answer is a Failure of the contract that says what to do.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping
from typing import Any

import torch

from ts_shape_server.agent import runs
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.runs import Run
from ts_shape_server.agent.script import archive, examination, program
from ts_shape_server.agent.script.session import Session

WRAPPED_UNDER = ("state_dict", "model_state_dict", "model", "net", "weights", "module")
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
PATIENCE = 3600.0
"""Seconds. The process that runs the job is limited from outside."""


class Refused(Exception):
    """There is no faithful export; carries the Failure to report."""

    def __init__(self, failure: dict[str, Any]) -> None:
        super().__init__(failure["message"])
        self.failure = failure


def export(run: Run, job: Mapping[str, Any], scratch: str) -> dict[str, Any]:
    """``{"ok", "method", "reason", "file", "expected"}`` for an export job."""
    method = job.get("method") or "auto"
    name = job["output"]
    expected = f"{name}.expected"
    context = Context(job["path"], job["root"], "", run.namespace, time.monotonic() + PATIENCE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            session = Session(run, context, _weights(job.get("checkpoint"), run))
            archive.save_calls(_calls(session), os.path.join(scratch, expected))
            method = _write(session, method, job, os.path.join(scratch, name))
    except Refused as refused:
        return {"ok": False, "method": method, "reason": refused.failure, "file": "", "expected": ""}
    return {"ok": True, "method": method, "reason": None, "file": name, "expected": expected}


def _write(session: Session, method: str, job: Mapping[str, Any], path: str) -> str:
    """Write the archive and name the method that made it."""
    spec = job.get("spec") or {}
    if method == "program":
        archive.save_program(_program(session, job), path, spec)
        return method
    chosen, module = _module(session, method)
    archive.save_script(module, path, spec)
    return chosen


def _module(session: Session, method: str) -> tuple[str, Any]:
    """A scripted or traced module and how it was made. Raises Refused."""
    scripted: dict[str, Any] = {"failures": []}
    if method in ("auto", "script"):
        scripted, module, _ = examination.scripted(session)
        wrong = [
            item
            for item in scripted["failures"]
            if item["code"] != "script-trap" or "it scripts, but" in item["message"]
        ]
        if module is not None and not wrong and (method == "script" or not scripted["failures"]):
            return "script", module
        if method == "script":
            raise Refused(_because("it does not script", wrong or scripted["failures"], session))
    traced = examination.traced(session)
    if traced.module is not None and (traced.faithful or method == "trace"):
        return "trace", traced.module
    if method == "trace":
        raise Refused(_because("it does not trace", traced.warnings, session))
    raise Refused(
        _because("it neither scripts nor traces faithfully", scripted["failures"] or traced.warnings, session)
    )


def _because(what: str, failures: list[dict[str, Any]], session: Session) -> dict[str, Any]:
    """The first failure, led in by what does not work and how many more there are."""
    if not failures:
        return _failure("export-error", f"{what}, and torch gives no reason", session)
    first = failures[0]
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    return {**first, "message": f"{what}: {first['message']}{more}"}


def _failure(code: str, message: str, session: Session | None, detail: str = "") -> dict[str, Any]:
    location = examination.place_of_forward(session) if session is not None else None
    return {"code": code, "message": message, "location": location, "detail": detail[:4000], "related": []}


def _program(session: Session, job: Mapping[str, Any]) -> Any:
    try:
        return program.export(session.run, session.fresh(), job.get("report") or {})
    except Exception as error:
        first = next((line.strip() for line in str(error).split("\n") if line.strip()), type(error).__name__)
        message = f"torch.export refuses it: {first[:300]}"
        raise Refused(_failure("export-error", message, session, f"{type(error).__name__}: {error}")) from None


def _calls(session: Session) -> list[dict[str, Any]]:
    """The calls that show that an archive is the module: on the example, and on the second size if that runs."""
    calls = []
    for second in session.sizes():
        arguments, keywords = session.run.arguments(second)
        kept = archive.plain((arguments, keywords))
        runs.seed()
        try:
            with torch.no_grad():
                result = session.fresh()(*arguments, **keywords)
        except Exception as error:
            if second:
                continue
            message = f"it does not run on the example: {type(error).__name__}: {error}".split("\n")[0]
            raise Refused(_failure("export-error", message, session)) from None
        calls.append({"args": kept[0], "kwargs": kept[1], "expected": result})
    return calls


def _weights(path: str | None, run: Run) -> dict[str, Any] | None:
    """The weights of a checkpoint, under the names that the module has."""
    if path is None:
        return None
    name = os.path.basename(path)
    if not os.path.isfile(path):
        raise Refused(_failure("export-error", f"there is no checkpoint at {path}: give the path of a file", None))
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        message = f"{name} is no checkpoint that loads safely: save it with `torch.save(model.state_dict(), …)`"
        raise Refused(_failure("export-error", message, None, f"{type(error).__name__}: {error}")) from None
    wanted = run.build().state_dict()
    for candidate in _state_dicts(found):
        if set(candidate) == set(wanted):
            _check_shapes(candidate, wanted, name)
            return candidate
    raise Refused(_failure("export-error", _wrong_keys(found, wanted, name), None))


def _state_dicts(found: Any) -> list[dict[str, Any]]:
    """The mappings from names to weights that a checkpoint may mean, the plainest first."""
    if not isinstance(found, Mapping):
        return []
    result = [dict(found)]
    result.extend(dict(found[key]) for key in WRAPPED_UNDER if isinstance(found.get(key), Mapping))
    for plain in list(result):
        result.extend(
            _without(prefix, plain) for prefix in PREFIXES if all(str(name).startswith(prefix) for name in plain)
        )
    return result


def _without(prefix: str, named: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name)[len(prefix) :]: value for name, value in named.items()}


def _check_shapes(found: Mapping[str, Any], wanted: Mapping[str, Any], file: str) -> None:
    for name, value in wanted.items():
        given = getattr(found[name], "shape", None)
        if given != value.shape:
            message = (
                f"{file} was saved from another module: `{name}` is {tuple(given or ())} there and "
                f"{tuple(value.shape)} here; give the constructor arguments it was trained with"
            )
            raise Refused(_failure("export-error", message, None))


def _wrong_keys(found: Any, wanted: Mapping[str, Any], file: str) -> str:
    candidates = _state_dicts(found)
    if not candidates:
        return f"{file} holds no state dict but a {type(found).__name__}: save `model.state_dict()`"
    best = max(candidates, key=lambda item: len(set(item) & set(wanted)))
    missing = [name for name in wanted if name not in best]
    extra = [str(name) for name in best if name not in wanted]
    parts = [f"lacks `{missing[0]}`" + _more(missing)] if missing else []
    parts += [f"has `{extra[0]}`" + _more(extra) + ", which the module lacks"] if extra else []
    return f"{file} does not fit this module: it {' and '.join(parts)}"


def _more(names: list[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
