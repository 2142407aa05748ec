"""What the rest of the server asks of probing: reports, trials of an edit, exports. Every question gets an answer in
time.

Chooses the interpreter, keeps agents, looks in the store first, and turns every way a probe can end into a report
with a sentence. When a child is killed over one class, that class gets the reason and the others go on in a fresh
child.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ts_shape_server import __version__
from ts_shape_server.model import Failure, Report, TorchScript, without_report
from ts_shape_server.probing import landing
from ts_shape_server.probing.agents import Agent, AgentError, Done, Limits, State
from ts_shape_server.probing.interpreter import Interpreter, NoInterpreter, find
from ts_shape_server.probing.store import Entry, Store, digest, file_digest, key

log = logging.getLogger(__name__)

_REASONS = {
    "timeout": (
        "timeout",
        "The probe was ended: {detail}. A constructor or `forward` that works this long, or for ever, "
        "cannot be probed; raise `timeoutMs` if it needs the time.",
    ),
    "memory": ("crashed", "The probe was ended: {detail}. Raise `memoryMegabytes` if the class needs it."),
    "crashed": ("crashed", "The probe died: {detail}."),
    "sandbox": ("unresolved", "The probe was not run: {detail}."),
    "finished": ("crashed", "The code ended the probe before it could report."),
    "cancelled": ("unresolved", "The probe was cancelled."),
}


@dataclass(frozen=True)
class Options:
    """What the settings say of probing. Times in seconds, sizes in bytes; `cache` None keeps nothing on disk."""

    interpreter: str | None = None
    folders: tuple[str, ...] = ()
    extra_paths: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    jobs: int = 1
    cache: Path | None = None
    sandbox: str = "bestEffort"


@dataclass(frozen=True)
class ClassRequest:
    """A class to probe. `digest` hashes its code and what it reaches; `evidence` holds wire forms of calls and
    loaders.
    """

    name: str
    line: int
    digest: str
    pragmas_init: Mapping[str, str] = field(default_factory=dict)
    pragmas_inputs: Mapping[str, str] = field(default_factory=dict)
    evidence: tuple[Mapping[str, Any], ...] = ()

    def to_wire(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "line": self.line,
            "pragmas": {"init": dict(self.pragmas_init), "inputs": dict(self.pragmas_inputs)},
            "evidence": [dict(item) for item in self.evidence],
        }


@dataclass(frozen=True)
class FileRequest:
    """Classes of one file, with the texts of all open files (`overlays`, by absolute path) and the workspace folder."""

    path: str
    root: str
    overlays: Mapping[str, str]
    classes: tuple[ClassRequest, ...]
    extra_paths: tuple[str, ...] = ()

    def text(self) -> str:
        """The file as the probe will see it; empty if it cannot be read."""
        known = self.overlays.get(self.path)
        if known is not None:
            return known
        try:
            return Path(self.path).read_text("utf-8", "replace")
        except OSError:
            return ""


@dataclass(frozen=True)
class Trial:
    """Whether an edit did what it says, and TorchScript's state after it."""

    ok: bool
    reason: str
    torchscript: TorchScript


@dataclass(frozen=True)
class ExportResult:
    """An export that was verified in a fresh process, or why there is none. `path` is the file written."""

    ok: bool
    method: str
    message: str
    path: Path | None = None
    largest_difference: float | None = None
    failure: Failure | None = None


class ProbeService:
    """Agents for one interpreter. `on_status` is called when the state of any agent changes."""

    def __init__(self, options: Options, on_status: Callable[[], None] | None = None) -> None:
        self.options = options
        self.problem: NoInterpreter | None = None
        self.interpreter: Interpreter | None = None
        self._on_status = on_status or (lambda: None)
        self._agents: list[Agent] = []
        self._idle: asyncio.Queue[Agent] = asyncio.Queue()
        self._finding = asyncio.Lock()
        self._store = Store(options.cache)
        self._running = 0

    @property
    def running(self) -> int:
        """How many jobs are under way."""
        return self._running

    async def start(self) -> None:
        """Find the interpreter and start one agent. Raises nothing: what is missing is in `problem`."""
        try:
            async with self._agent() as agent:
                await agent.start()
        except AgentError as error:
            log.info("no agent: %s", error)

    async def stop(self) -> None:
        """End every agent; no process is left."""
        agents, self._agents = self._agents, []
        self._idle = asyncio.Queue()
        await asyncio.gather(*(agent.stop() for agent in agents), return_exceptions=True)

    async def restart(self) -> None:
        """End the agents and look for an interpreter anew."""
        await self.stop()
        self.interpreter, self.problem = None, None
        self._store.clear()
        await self.start()

    def info(self) -> dict[str, Any]:
        """Interpreter, versions, sandbox tier and layers, for people."""
        hello = next((agent.hello for agent in self._agents if agent.hello), {})
        found = self.interpreter
        return {
            "version": __version__,
            "interpreter": None if found is None else found.path,
            "interpreter_source": None if found is None else found.source,
            "python": hello.get("python") or (found.python if found else None),
            "torch": hello.get("torch") or (found.torch if found else None),
            "symbolic": hello.get("symbolic"),
            "sandbox": hello.get("sandbox"),
            "state": self._agents[0].state.value if self._agents else State.STOPPED.value,
            "running": self._running,
            "problem": None if self.problem is None else self.problem.message,
        }

    def cached(self, request: FileRequest, name: str) -> Report | None:
        """The report in the store, if nothing it depends on has changed. Fast: no process is asked."""
        wanted = next((item for item in request.classes if item.name == name), None)
        if wanted is None:
            return None
        found = self._store.get(self._key(request, wanted), request.text(), request.overlays)
        return None if found is None else replace(found, line=wanted.line)

    async def reports(self, request: FileRequest, on_report: Callable[[Report], None]) -> tuple[Report, ...]:
        """A final report for each class, in the order asked; earlier ones go to `on_report` as they come.

        Cancelling the task kills the child.
        """
        final: dict[str, Report] = {}
        for item in request.classes:
            known = self.cached(request, item.name)
            if known is not None:
                final[item.name] = known
                on_report(known)
        remaining = [item for item in request.classes if item.name not in final]
        while remaining:
            round_of = _Round(request, remaining, on_report)
            try:
                async with self._agent() as agent:
                    done, scratch = await agent.run(
                        self._report_job(request, remaining), self.options.limits, round_of.claim
                    )
                shutil.rmtree(scratch, ignore_errors=True)
            except AgentError as error:
                self._all_fail(error, request, remaining, round_of, final, on_report)
                break
            finished = round_of.finish(done)
            for name, report in finished.items():
                final[name] = report
                item = next(item for item in remaining if item.name == name)
                if name in round_of.depends:
                    self._keep(request, item, report, round_of.depends[name])
            remaining = [item for item in remaining if item.name not in final]
        return tuple(final[item.name] for item in request.classes)

    async def trial(self, request: FileRequest, name: str, report: Report, candidate: str) -> Trial:
        """Whether the file with the text `candidate` scripts better than now and computes the same."""
        job = {
            **self._job("trial", request),
            "overlays": {**request.overlays, request.path: candidate},
            "original": {request.path: request.text()},
            "class": name,
            "report": report.to_json(),
        }
        answer = await self._ask(job, "trial")
        if isinstance(answer, str):
            return Trial(False, answer, TorchScript())
        return Trial(
            answer.get("ok") is True, str(answer.get("reason", "")), TorchScript.from_json(answer.get("torchscript"))
        )

    async def export(
        self,
        request: FileRequest,
        name: str,
        report: Report,
        output: Path,
        method: str = "auto",
        force: bool = False,
        checkpoint: Path | None = None,
        progress: Callable[[str], None] = lambda message: None,
    ) -> ExportResult:
        """Export in one child, verify in another, then write `output`. Nothing is written unless it verified."""
        try:
            landing.check_destination(output, force)
        except landing.LandingError as error:
            return ExportResult(False, method, str(error))
        if checkpoint is not None and not checkpoint.is_file():
            return ExportResult(False, method, f"The checkpoint {checkpoint} does not exist.")
        progress("Exporting")
        job = {
            **self._job("export", request),
            "class": name,
            "report": report.to_json(),
            "method": method,
            "output": f"export{output.suffix or '.pt'}",
            "checkpoint": None if checkpoint is None else str(checkpoint.resolve()),
            "spec": {**report.to_json(), "torchscript": None, "variables": [], "path": Path(report.path).name},
        }
        kept: dict[str, str] = {}
        answer = await self._ask(job, "export", kept)
        try:
            return await self._verified(answer, kept.get("scratch", ""), output, method, force, progress)
        finally:
            shutil.rmtree(kept.get("scratch", "") or "//none", ignore_errors=True)

    async def _verified(
        self, answer: Any, scratch: str, output: Path, method: str, force: bool, progress: Callable[[str], None]
    ) -> ExportResult:
        if isinstance(answer, str):
            return ExportResult(False, method, answer)
        if answer.get("ok") is not True:
            reason = answer.get("reason") or {}
            failure = Failure.from_json(reason) if "code" in reason and "message" in reason else None
            message = failure.message if failure is not None else "The export failed without a reason."
            return ExportResult(False, str(answer.get("method", method)), message, failure=failure)
        chosen = str(answer.get("method", method))
        made = Path(scratch) / Path(str(answer.get("file", ""))).name
        expected = Path(scratch) / Path(str(answer.get("expected", ""))).name
        progress("Verifying in a fresh process")
        job = {"kind": "verify", "path": str(made), "root": scratch, "archive": str(made), "expected": str(expected)}
        verdict = await self._ask({**job, "overlays": {}, "method": chosen}, "verify")
        if isinstance(verdict, str):
            return ExportResult(False, chosen, f"The export could not be verified: {verdict}")
        if verdict.get("ok") is not True:
            return ExportResult(False, chosen, f"The export does not verify: {verdict.get('reason', '')}"[:500])
        progress("Writing")
        try:
            await asyncio.to_thread(landing.land, made, output, force)
        except landing.LandingError as error:
            return ExportResult(False, chosen, str(error))
        difference = verdict.get("largest_difference")
        difference = float(difference) if isinstance(difference, (int, float)) else None
        sizes = verdict.get("sizes")
        told = f" (largest difference {difference:.3g})" if difference is not None else ""
        message = f"Exported by {chosen} to {output}; it loads and agrees with eager on {sizes} sizes{told}."
        return ExportResult(True, chosen, message.replace("on 1 sizes", "on 1 size"), output, difference)

    @contextlib.asynccontextmanager
    async def _agent(self) -> AsyncIterator[Agent]:
        """An agent that is free. AgentError if there is no interpreter for one."""
        async with self._finding:
            if self.interpreter is None:
                found = await find(self.options.interpreter, self.options.folders, os.environ)
                if isinstance(found, NoInterpreter):
                    self.problem = found
                    raise AgentError(found.code, found.message)
                self.interpreter, self.problem = found, None
            if self._idle.empty() and len(self._agents) < max(1, self.options.jobs):
                made = Agent(self.interpreter.path, self.options.environment, lambda state: self._on_status())
                self._agents.append(made)
                self._idle.put_nowait(made)
            idle = self._idle
        agent = await idle.get()
        self._running += 1
        self._on_status()
        try:
            yield agent
        finally:
            self._running -= 1
            idle.put_nowait(agent)
            self._on_status()

    async def _ask(self, job: dict[str, Any], answer: str, kept: dict[str, str] | None = None) -> Any:
        """The object that the child claims under `answer`, or a sentence why there is none."""
        claims: list[dict[str, Any]] = []
        try:
            async with self._agent() as agent:
                done, scratch = await agent.run(job, self.options.limits, claims.append)
        except AgentError as error:
            return str(error)
        if kept is not None:
            kept["scratch"] = scratch
        else:
            shutil.rmtree(scratch, ignore_errors=True)
        found = next((claim[answer] for claim in claims if answer in claim), None)
        return found if found is not None else _sentence(done)[1]

    def _job(self, kind: str, request: FileRequest) -> dict[str, Any]:
        return {
            "kind": kind,
            "path": request.path,
            "root": request.root,
            "overlays": {request.path: request.text(), **request.overlays},
            "extra_paths": [*request.extra_paths, *self.options.extra_paths],
        }

    def _report_job(self, request: FileRequest, classes: list[ClassRequest]) -> dict[str, Any]:
        return {
            **self._job("report", request),
            "classes": [item.to_wire() for item in classes],
            "stages": ["example", "symbols", "script"],
        }

    def _key(self, request: FileRequest, item: ClassRequest) -> str:
        found = self.interpreter
        torch = (found.path, found.torch) if found is not None else (self.options.interpreter, None)
        if found is None and self.options.cache is not None:
            torch = (self.options.interpreter, None)
        wire_form = {**item.to_wire(), "line": 0}
        return key(item.digest, request.path, item.name, wire_form, torch, agent_version())

    def _keep(self, request: FileRequest, item: ClassRequest, report: Report, depends: list[str]) -> None:
        """Keep what only the code decides: a package that is missing today may be installed tomorrow."""
        code = report.reason.code if report.reason is not None else ""
        decided = report.status in ("ok", "failed", "skipped") or code in ("no-input", "no-constructor")
        if report.stubbed or not decided:
            return
        others = {path: file_digest(path, request.overlays) for path in depends if path != request.path}
        self._store.put(self._key(request, item), Entry(report, request.text(), others))

    def _all_fail(
        self,
        error: AgentError,
        request: FileRequest,
        remaining: list[ClassRequest],
        round_of: _Round,
        final: dict[str, Report],
        on_report: Callable[[Report], None],
    ) -> None:
        for item in remaining:
            known = round_of.final.get(item.name)
            failure = Failure(error.code, str(error))
            final[item.name] = known or without_report(request.path, item.name, item.line, "unresolved", failure)
            if known is None:
                on_report(final[item.name])


@functools.cache
def agent_version() -> str:
    """A hash that changes with this program's agent, so that no report of an older one is taken for fresh."""
    folder = Path(__file__).parent.parent / "agent"
    states = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in sorted(folder.rglob("*.py"))]
    return digest(__version__, repr(states))


class _Round:
    """What one job has claimed so far, and which class it was at."""

    def __init__(self, request: FileRequest, classes: list[ClassRequest], on_report: Callable[[Report], None]) -> None:
        self.final: dict[str, Report] = {}
        self.depends: dict[str, list[str]] = {}
        self._request = request
        self._classes = {item.name: item for item in classes}
        self._on_report = on_report
        self._partial: dict[str, Report] = {}
        self._current: str | None = None

    def claim(self, claim: Mapping[str, Any]) -> None:
        name = claim.get("class")
        if name not in self._classes:
            return
        if "begin" in claim:
            self._current = name
            return
        if "report" not in claim:
            return
        item = self._classes[name]
        report = replace(Report.from_json(claim["report"]), path=self._request.path, name=name, line=item.line)
        if report.stage == "final":
            self.final[name] = report
            depends = claim.get("depends", [])
            self.depends[name] = (
                [path for path in depends if isinstance(path, str)] if isinstance(depends, list) else []
            )
        else:
            self._partial[name] = report
        self._on_report(report)

    def finish(self, done: Done) -> dict[str, Report]:
        """The final reports of this job, that of the class over which it ended included. Never empty."""
        guilty = self._current if self._current in self._classes and self._current not in self.final else None
        if guilty is None and not self.final:
            guilty = next(iter(self._classes))
        if guilty is not None:
            status, message = _sentence(done)
            partial = self._partial.get(guilty)
            if partial is not None:
                # What was found before the end was verified: it stands, and TorchScript stays unknown.
                self.final[guilty] = replace(partial, stage="final", evidence=(*partial.evidence, message))
            else:
                item = self._classes[guilty]
                failure = Failure(done.outcome if done.outcome != "finished" else "crashed", message)
                self.final[guilty] = without_report(self._request.path, guilty, item.line, status, failure)  # type: ignore[arg-type]  # a key of _REASONS
            self._on_report(self.final[guilty])
        return self.final


def _sentence(done: Done) -> tuple[str, str]:
    status, text = _REASONS[done.outcome]
    return status, text.format(detail=done.detail or "no reason was given")
