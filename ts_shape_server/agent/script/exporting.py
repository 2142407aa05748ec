"""Exports a module: by script, by trace, or as a program, whichever is asked for or is faithful.

It writes two files into scratch, the archive and the calls that a fresh process must get the same results for. Where it
cannot, the answer is a Failure of the contract that says what to do.
"""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ts_shape_server.agent import clock, runs, shares, torch_says, trees
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.runs import Run
from ts_shape_server.agent.saved import checkpoint
from ts_shape_server.agent.script import archive, examination, program, program_refusals, support
from ts_shape_server.agent.script.finding import finding, first_line
from ts_shape_server.agent.script.session import ScriptSession
from ts_shape_server.contract import schema
from ts_shape_server.contract.asked import ExportJob
from ts_shape_server.contract.choices import EXPORT_DTYPES
from ts_shape_server.contract.jobs import ExportAnswer
from ts_shape_server.contract.report import Failure, Report

_OVERHEAD = 1 << 20
"""Bytes that an archive takes beside its weights, with room to spare."""


class ExportRefused(Exception):
    """There is no faithful export; carries the Failure to report."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def export(run: Run, job: ExportJob, scratch: str) -> ExportAnswer:
    """The answer to an export job."""
    method, name = job.method, job.output
    expected = f"{name}.expected"
    context = Context(job.file.path, job.file.root, "", run.namespace, clock.now() + shares.EXPORT)
    run = replace(run, dtype=job.dtype)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = _weights(job.checkpoint, run)
            session = ScriptSession(run, context, None if found is None else dict(found.values))
            calls = _calls(session)
            _check_room(session, scratch)
            made = _made(session, method, job.report)
            place, spec = os.path.join(scratch, name), _spec(job.report, run, calls)
            made = _saved(session, method, made, place, spec)
            archive.save_calls(calls[:1] if made.fixed else calls, os.path.join(scratch, expected))
    except ExportRefused as refused:
        return ExportAnswer(False, method, refused.failure)
    notes = (*(found.notes if found is not None else ()), *made.notes)
    return ExportAnswer(True, made.method, None, name, expected, notes)


@dataclass(frozen=True)
class _Made:
    """What is saved, how it was made, and what to know of it in sentences.

    `fixed`: it takes the sizes of the example and perhaps no others, so that the report does not hold for it.
    """

    method: str
    module: Any
    notes: tuple[str, ...] = ()
    fixed: bool = False


def _saved(session: ScriptSession, method: str, made: _Made, place: str, spec: Mapping[str, Any]) -> _Made:
    """The file of what was made. A script may hold what no archive does, such as the call of a function of autograd's
    own: where the method is free a trace takes its place, in which such calls have become operations. Raises
    ExportRefused.
    """
    try:
        archive.save(made.module, place, {} if made.fixed else spec)
        return made
    except RuntimeError as error:
        if method == "auto" and made.method == "script":
            return _saved(session, "trace", _module(session, "trace"), place, spec)
        way = "trace" if made.method == "script" else "program"
        message = f"what was made cannot be saved: {first_line(error)[:300]}; try `--method {way}`"
        raise ExportRefused(_failure("not-saved", message, session, f"{type(error).__name__}: {error}")) from None


def _spec(report: Report, run: Run, calls: list[dict[str, Any]]) -> dict[str, Any]:
    """The spec that is saved inside, of the dtype that was asked for."""
    told = schema.write(report)
    spec = {**told, "torchscript": None, "variables": [], "path": os.path.basename(report.path)}
    if run.dtype:
        for part in ("inputs", "example", "second"):
            spec[part] = _retyped(spec.get(part), run.dtype)
        results = calls[0]["expected"]
        floating = {str(item.dtype) for item in trees.tensors(results) if item.is_floating_point()}
        if floating <= {f"torch.{run.dtype}"}:
            spec["outputs"] = _retyped(spec.get("outputs"), run.dtype)
    return spec


def _retyped(value: Any, dtype: str) -> Any:
    if isinstance(value, Mapping):
        return {
            key: dtype if key == "dtype" and item in EXPORT_DTYPES else _retyped(item, dtype)
            for key, item in value.items()
        }
    return [_retyped(item, dtype) for item in value] if isinstance(value, list) else value


def _check_room(session: ScriptSession, scratch: str) -> None:
    """Torch's writer ends the process where it cannot write on: what it takes must be there before.

    Raises ExportRefused.
    """
    state = session.pristine.state_dict().values()
    needed = sum(item.numel() * item.element_size() for item in state if isinstance(item, torch.Tensor)) + _OVERHEAD
    free = shutil.disk_usage(scratch).free
    limit = _file_limit()
    if min(free, limit) < needed:
        where = "are free for temporary files" if free <= limit else "may be written to one file"
        message = f"the export takes about {needed >> 20} MiB, and only {min(free, limit) >> 20} MiB {where}: "
        advice = "free some, or set TMPDIR to a folder with more" if free <= limit else "raise the limit (`ulimit -f`)"
        raise ExportRefused(_failure("no-room", message + advice, session))


def _file_limit() -> int:
    try:
        import resource
    except ImportError:  # a platform without such limits
        return sys.maxsize
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


def _made(session: ScriptSession, method: str, report: Report) -> _Made:
    """The module that is saved. Raises ExportRefused."""
    return _program(session, report) if method == "program" else _module(session, method)


def _module(session: ScriptSession, method: str) -> _Made:
    """A scripted or traced module. Raises ExportRefused."""
    if not support.supported():
        raise ExportRefused(_failure("no-torchscript", support.sentence(), session))
    scripted: tuple[Failure, ...] = ()
    if method in ("auto", "script"):
        told = examination.scripted(session)
        scripted, module = told.attempt.failures, told.module
        wrong = [item for item in scripted if item.code != "script-trap" or item.computes_otherwise]
        if module is not None and not wrong and (method == "script" or not scripted):
            return _Made("script", _unused(session, module), tuple(_noted(item) for item in scripted))
        if method == "script":
            raise ExportRefused(_because("it does not script", wrong or scripted, session))
    traced = examination.traced(session)
    if traced.module is not None and (traced.faithful or method == "trace"):
        _restore(traced.module, session)
        return _Made("trace", traced.module, (*map(_noted, traced.warnings), *_devices(traced.module)))
    if method == "trace":
        raise ExportRefused(_because("it does not trace", traced.warnings, session))
    reason = _because("it does not script", scripted, session)
    also = _because("it does not trace faithfully", traced.warnings, session).message
    raise ExportRefused(replace(reason, message=f"{reason.message}; and {also}"))


def _unused(session: ScriptSession, scripted: Any) -> Any:
    """A script of a module that no comparison has run: what calls leave in attributes and buffers is not exported."""
    jit: Any = torch.jit
    try:
        return jit.script(session.fresh())
    except Exception:
        # It compiled in the surroundings of the search: what can be set back is.
        _restore(scripted, session)
        return scripted


def _restore(made: Any, session: ScriptSession) -> None:
    """Give the buffers of a module that ran the values with which a fresh one begins."""
    fresh = session.pristine.state_dict()
    with torch.no_grad():
        for name, value in made.state_dict().items():
            if name in fresh and value.shape == fresh[name].shape:
                value.copy_(fresh[name])


def _noted(failure: Failure) -> str:
    """What a person should know of an export that was asked for in spite of it."""
    line = f" (line {failure.location.range.line})" if failure.location is not None else ""
    message = failure.message
    return f"{message[:1].upper()}{message[1:].rstrip('.')}{line}."


def _devices(module: Any) -> tuple[str, ...]:
    """A note where a trace makes tensors of its own: they stay on the device on which it was traced."""
    makers = ("zeros", "ones", "full", "arange", "empty", "rand", "randn", "eye", "tensor", "linspace")
    for node in module.inlined_graph.nodes():
        if node.kind() in [f"aten::{name}" for name in makers]:
            return ("The trace makes tensors of its own on the CPU: loaded on another device it may not run.",)
    return ()


def _with_all(what: str, failures: Sequence[Failure]) -> Failure:
    """The first failure, led in by what does not work, and the others with their places as related ones."""
    first, *others = failures
    related = [replace(item.location, message=item.message) for item in others if item.location is not None]
    more = f" (and {len(others)} more)" if others else ""
    line = f" (line {first.location.range.line})" if first.location is not None else ""
    return replace(first, message=f"{what}{line}: {first.message}{more}", related=(*first.related, *related))


def _because(what: str, failures: Sequence[Failure], session: ScriptSession) -> Failure:
    """The first failure, led in by what does not work and how many more there are."""
    if not failures:
        return _failure("no-reason", f"{what}, and torch gives no reason", session)
    first = failures[0]
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    return replace(first, message=f"{what}: {first.message}{more}")


def _failure(kind: str, message: str, session: ScriptSession | None, detail: str = "") -> Failure:
    location = examination.place_of_forward(session) if session is not None else None
    return finding("export-error", kind, message, location, detail)


def _program(session: ScriptSession, report: Report) -> _Made:
    try:
        exported, free = program.export(session.run, session.fresh(), schema.write(report))
    except Exception as error:
        found = program_refusals.refusals(session, error, program.automatic(session.run, schema.write(report)))
        if found:
            raise ExportRefused(_with_all("`torch.export` refuses it", found)) from None
        first = first_line(error)
        message = f"`torch.export` refuses it: {first[:300]}"
        raise ExportRefused(_failure("program-refused", message, session, f"{type(error).__name__}: {error}")) from None
    if free:
        return _Made("program", exported)
    note = "`torch.export` leaves not all sizes of this module free: it is sure to take those of the example alone."
    return _Made("program", exported, (note,), fixed=True)


def _calls(session: ScriptSession) -> list[dict[str, Any]]:
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
            message = f"it does not run on the example: {torch_says.one_line(error)}"
            raise ExportRefused(_failure("does-not-run", message, session)) from None
        calls.append({"args": kept[0], "kwargs": kept[1], "expected": result})
    return calls


def _weights(path: str, run: Run) -> checkpoint.Weights | None:
    """The weights of a checkpoint, under the names that the module has. Raises ExportRefused."""
    if not path:
        return None
    try:
        return checkpoint.weights(path, run.build().state_dict())
    except checkpoint.Unfit as unfit:
        cause = unfit.__cause__
        detail = "" if cause is None else f"{type(cause).__name__}: {cause}"
        raise ExportRefused(_failure("checkpoint-unfit", str(unfit), None, detail)) from None
