"""One job inside the sandbox: enter it, load the user's file, dispatch, send what comes out, end.

Everything that is sent goes through `Sender`, which keeps the functions it needs: user code may replace what it likes.
"""

from __future__ import annotations

import functools
import os
import re
import signal
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ts_shape_server.agent import (
    absent,
    clock,
    ecosystem,
    elsewhere,
    endings,
    infer,
    load,
    runs,
    saved,
    script,
    shares,
    torch_says,
)
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.ecosystem import checkpoints
from ts_shape_server.agent.sandbox import policy
from ts_shape_server.contract import schema
from ts_shape_server.contract.asked import (
    ClassAsked,
    ExportJob,
    FileAsked,
    InspectJob,
    Job,
    JobLimits,
    ReportJob,
    RunAsked,
    Stage,
    TrialJob,
    VerifyJob,
)
from ts_shape_server.contract.jobs import ExportAnswer, ProbeClaim, TrialAnswer
from ts_shape_server.contract.report import Failure, Report, Status, failure, without_report

OWN_SHARE = 0.85
"""Part of the time after which a class gives up by itself, so that it still can say what it found."""
_ADDRESS = re.compile(r" at:? 0x[0-9a-fA-F]{4,16}\b")


def prepare() -> None:
    """What a fork must find done: nothing here may start a thread."""
    sys.dont_write_bytecode = True
    load.installed()
    ecosystem.prepare()


class Sender:
    """Writes records to the result pipe."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._write = os.write
        self._record = endings.record
        self._written = schema.write

    def claim(self, claim: ProbeClaim) -> None:
        self._send(b"C", claim)

    def begin(self, name: str) -> None:
        """The deadline counts anew from here, and what goes wrong is this class's doing."""
        self._send(b"B", ProbeClaim(name, "load", begin=True))

    def loaded(self, name: str) -> None:
        """The file could be loaded: what goes wrong from here on is not its import's doing."""
        self._send(b"C", ProbeClaim(name, "run", begin=True))

    def _send(self, kind: bytes, claim: ProbeClaim) -> None:
        data = memoryview(self._record(kind, _without_addresses(self._written(claim))))
        while data:
            data = data[self._write(self._descriptor, data) :]


def try_sandbox(tier: str, scratch: str, result: int, agent: int) -> str:
    """Enter the sandbox of this tier with nothing to run in it: ``on``, or what did not hold."""
    place = os.path.join(scratch, "witness")
    os.makedirs(place, exist_ok=True)
    readable = load.readable(FileAsked(os.path.join(place, "none.py"), place))
    limits = JobLimits(wall_ms=0, cpu_s=5, memory_bytes=1 << 30, file_bytes=1 << 20)
    try:
        policy.enter(_policy(readable, limits, (result,), place, agent, tier))
    except Exception as error:
        return str(error) or type(error).__name__
    return policy.ON


def _readable(job: Job) -> list[str]:
    """The folders and files that a job may read."""
    if isinstance(job, InspectJob):
        return load.installed_and(job.archive)
    if isinstance(job, VerifyJob):
        return load.installed_and(job.archive, job.expected)
    more = (job.checkpoint,) if isinstance(job, ExportJob) else ()
    return load.readable(job.file, *more)


def _elsewhere(asked: RunAsked, result: int, scratch: str, tier: str) -> elsewhere.LoaderProcess | None:
    """The process that loads what this one saves; None for a job that saves nothing, or where there can be none."""
    job = asked.job
    if not isinstance(job, TrialJob) and not (isinstance(job, ReportJob) and "script" in job.stages):
        return None

    def enter(parent: int, keep: tuple[int, ...]) -> None:
        policy.enter(_policy(load.installed_and(), asked.limits, keep, scratch, parent, tier))

    return elsewhere.start(enter, functools.partial(script.verified, optimized=False), (result,))


def _policy(
    readable: list[str], limits: JobLimits, keep: tuple[int, ...], scratch: str, parent: int, tier: str
) -> policy.Policy:
    return policy.Policy(
        readable=tuple(readable),
        scratch=scratch,
        cpu_seconds=limits.cpu_s,
        memory_bytes=limits.memory_bytes,
        file_bytes=limits.file_bytes,
        open_files=256,
        keep=keep,
        parent=parent,
        tier=tier,
        forbidden=os.path.dirname(scratch),
    )


def main(asked: RunAsked, result: int, scratch: str, agent: int, tier: str) -> None:
    """Run the job and end the process: 0 done, 77 out of memory, 78 no sandbox, 79 an error of this program."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    code = endings.INTERNAL_CODE
    printed = _line_by_line()
    try:
        code = _run(asked, result, scratch, agent, tier)
    except policy.SandboxUnavailable as error:
        print(f"sandbox: {error}", file=sys.stderr)
        code = endings.SANDBOX_CODE
    except MemoryError:
        code = endings.MEMORY_CODE
    except BaseException as error:
        code = endings.MEMORY_CODE if torch_says.out_of_memory(error) else endings.INTERNAL_CODE
        if code == endings.INTERNAL_CODE:
            import traceback

            traceback.print_exc()
    finally:
        for stream in printed:
            try:
                stream.flush()
            except BaseException:
                continue
        os._exit(code)


def _line_by_line() -> list[Any]:
    """What user code prints is in the log even if the next line kills the process. The streams to flush at the end."""
    streams: list[Any] = [sys.stdout, sys.stderr]
    for stream in streams:
        stream.reconfigure(line_buffering=True, errors="replace")
    return streams


def _run(asked: RunAsked, result: int, scratch: str, agent: int, tier: str) -> int:
    os.environ.update(HOME=scratch, TMPDIR=scratch, TMP=scratch, TEMP=scratch)
    tempfile.tempdir = scratch
    os.chdir(scratch)
    job = asked.job
    loader = _elsewhere(asked, result, scratch, tier)
    keep = (result, *(loader.descriptors if loader is not None else ()))
    policy.enter(_policy(_readable(job), asked.limits, keep, scratch, agent, tier))
    if not isinstance(job, (VerifyJob, InspectJob)):
        # A workspace names them: no earlier, since libraries have code loaded or files written by what they find here.
        os.environ.update(job.file.environment)
    sender = Sender(result)
    seconds = asked.limits.wall_ms / 1000 * OWN_SHARE
    if isinstance(job, ReportJob):
        _report(job, sender, seconds, loader)
    elif isinstance(job, TrialJob):
        _trial(job, sender, seconds, loader)
    elif isinstance(job, ExportJob):
        _export(job, sender, seconds, scratch)
    elif isinstance(job, VerifyJob):
        sender.claim(ProbeClaim(verify=script.verify(job)))
    else:
        _inspect(job, sender, seconds, scratch)
    return 0


def _report(job: ReportJob, sender: Sender, seconds: float, loader: elsewhere.LoaderProcess | None) -> None:
    loaded: load.Loaded | None = None
    classes = _parents_first(job)
    wanted = frozenset((item.path, item.name) for asked in classes for item in asked.parents)
    file = job.file
    parents = infer.Parents(functools.partial(_parent, file, seconds), wanted)
    for asked in classes:
        sender.begin(asked.name)
        clock.restart()
        watch = clock.Stopwatch()
        if loaded is None:
            loaded = load.load(file, shares.LOADING.of(seconds), sliced=job.sliced)
        cls = load.find(loaded, asked.name, file, shares.LOADING.of(seconds))
        if isinstance(cls, load.LoadProblem):
            problem = _problem_report(file.path, asked, cls, watch)
            sender.claim(ProbeClaim(asked.name, report=problem))
            continue
        sender.loaded(asked.name)
        context = replace(_context(file, cls.loaded, seconds, job.stages), elsewhere=loader)

        def emit(
            report: Report,
            name: str = asked.name,
            loaded: load.Loaded = cls.loaded,
            found: type = cls.found,
            watch: clock.Stopwatch = watch,
            told: tuple[str, ...] = cls.notes,
        ) -> None:
            depends = (*load.depends(file), *infer.consulted()) if report.stage == "final" else ()
            reason = _with_cause(report.reason, loaded.failed)
            stubbed = absent.told_of(found, load.stubbed(), loaded.stubbed)
            notes = (*report.notes, *told, *checkpoints.notes(stubbed))
            report = replace(report, stubbed=stubbed, notes=notes, reason=reason, core_ms=watch.core_ms)
            sender.claim(ProbeClaim(name, depends=depends, report=report))

        try:
            infer.report_class(cls.found, asked, context, emit, parents, script.examined)
        except Exception as error:
            if torch_says.out_of_memory(error):
                raise MemoryError from None
            emit(_error_report(file.path, asked, error, watch))
        except (SystemExit, KeyboardInterrupt):
            message = f"`{asked.name}` ends the program when it is built or called."
            reason = failure("ends-program", message, file.path, None, kind="program-ended")
            emit(_bare(file.path, asked, "unresolved", reason, watch))


def _parents_first(job: ReportJob) -> list[ClassAsked]:
    """The classes of a job, each after those of the job that make it: what these give to it is then known."""
    by_name = {asked.name: asked for asked in job.classes}
    ordered: dict[str, ClassAsked] = {}
    for asked in job.classes:
        made_by = [item.name for item in asked.parents if item.path == job.file.path]
        for name in (*made_by, asked.name):
            if name in by_name:
                ordered.setdefault(name, by_name[name])
    return list(ordered.values())


def _parent(file: FileAsked, seconds: float, path: str, name: str) -> tuple[Any, Context] | None:
    """A class of the workspace that makes a class of the job, with its surroundings."""
    own = load.import_root(file.path)
    side = replace(file, path=path, extra_paths=(*file.extra_paths, own))
    loaded = load.load(side, shares.LOADING.of(seconds))
    found = load.find(loaded, name, side, shares.LOADING.of(seconds))
    return None if isinstance(found, load.LoadProblem) else (found.found, _context(side, found.loaded, seconds))


def _context(file: FileAsked, loaded: load.Loaded, seconds: float, stages: tuple[Stage, ...] = ()) -> Context:
    """The surroundings of a class whose clock has begun at zero."""
    return Context(file.path, file.root, loaded.source, loaded.namespace, seconds, loaded.stubbed, stages)


def _with_cause(reason: Failure | None, failed: Mapping[str, load.LoadProblem]) -> Failure | None:
    """A reason that speaks of a name which the file failed to define says also why it failed."""
    if reason is None:
        return None
    unknown = next((item.fact("name") for item in reason.complaints if item.kind == "missing-name"), None)
    problem = failed.get(unknown) if unknown is not None else None
    if problem is None:
        return reason
    return replace(reason, message=f"{reason.message.rstrip('.')}. {problem.message}")


def _problem_report(path: str, asked: ClassAsked, problem: load.LoadProblem, watch: clock.Stopwatch) -> Report:
    place = None if problem.line is None else (problem.line, 0, problem.line, problem.width)
    reason = failure(problem.code, problem.message, problem.path, place, kind=problem.code)
    return _bare(path, asked, "unresolved", reason, watch)


def _error_report(path: str, asked: ClassAsked, error: Exception, watch: clock.Stopwatch) -> Report:
    """The report for an error of this program itself; its traceback goes to the log."""
    import traceback

    traceback.print_exception(type(error), error, error.__traceback__)
    message = f"The probe met an error of its own ({torch_says.one_line(error)}); the log has the details."
    reason = failure("internal", message, path, None, kind="probe-error")
    return _bare(path, asked, "unresolved", reason, watch)


def _bare(path: str, asked: ClassAsked, status: Status, reason: Failure, watch: clock.Stopwatch) -> Report:
    report = without_report(path, asked.name, asked.line, status, reason)
    return replace(report, stubbed=tuple(load.stubbed()), elapsed_ms=watch.wall_ms)


def _trial(job: TrialJob, sender: Sender, seconds: float, loader: elsewhere.LoaderProcess | None) -> None:
    """Both texts are loaded here, in turn: the candidate must agree with the original on the same inputs."""
    sender.begin(job.name)
    clock.restart()
    made = []
    report, file = job.report, job.file
    for overlays in ({**file.overlays, **job.original}, file.overlays):
        side = replace(file, overlays=overlays)
        loaded = load.load(side, shares.LOADING.of(seconds))
        found = load.find(loaded, job.name, side, shares.LOADING.of(seconds))
        if isinstance(found, load.LoadProblem):
            sender.claim(ProbeClaim(trial=TrialAnswer(False, found.message)))
            return
        made.append((runs.from_report(found.found, found.loaded.namespace, report), found.loaded))
    (original, _), (candidate, loaded) = made
    context = replace(_context(file, loaded, seconds), elsewhere=loader)
    answer = script.trial(original, candidate, context, report.torchscript)
    sender.claim(ProbeClaim(trial=answer))


def _export(job: ExportJob, sender: Sender, seconds: float, scratch: str) -> None:
    sender.begin(job.name)
    # Without a checkpoint the weights are those that the class itself makes or loads: none may be made up.
    loaded = load.load(job.file, shares.LOADING.of(seconds), own_weights=not job.checkpoint)
    found = load.find(loaded, job.name, job.file, shares.LOADING.of(seconds))
    if isinstance(found, load.LoadProblem):
        reason = failure(found.code, found.message, found.path, None, kind=found.code)
        sender.claim(ProbeClaim(export=ExportAnswer(False, job.method, reason)))
        return
    run = runs.from_report(found.found, found.loaded.namespace, job.report)
    sender.claim(ProbeClaim(export=script.export(run, job, scratch)))


def _inspect(job: InspectJob, sender: Sender, seconds: float, scratch: str) -> None:
    watch = clock.Stopwatch()
    found = saved.inspect(job, seconds, scratch)
    if found.source != "embedded" and found.report is not None:
        found = replace(found, report=replace(found.report, core_ms=watch.core_ms))
    sender.claim(ProbeClaim(inspect=found))


def _without_addresses(value: Any) -> Any:
    """A nested value whose texts name no places in memory: these say nothing, and differ from run to run."""
    if isinstance(value, str):
        return _ADDRESS.sub("", value) if " 0x" in value else value
    if isinstance(value, Mapping):
        return {key: _without_addresses(item) for key, item in value.items()}
    return [_without_addresses(item) for item in value] if isinstance(value, (list, tuple)) else value
