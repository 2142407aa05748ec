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
import time
from collections.abc import AsyncIterator, Callable, Container, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from ts_shape_server import __version__
from ts_shape_server.contract import schema
from ts_shape_server.contract.asked import ExportJob, FileAsked, InspectJob, Job, ReportJob, TrialJob, VerifyJob
from ts_shape_server.contract.jobs import ExportAnswer, ProbeClaim
from ts_shape_server.contract.report import VERSION, Failure, Report, TorchScript, without_report
from ts_shape_server.probing import archives, landing, scratch
from ts_shape_server.probing.agents import Agent, AgentError, Done, Limits, State
from ts_shape_server.probing.confining import Holds, confined, within_folders
from ts_shape_server.probing.interpreter import Interpreter, NoInterpreter, find
from ts_shape_server.probing.process import Launch
from ts_shape_server.probing.requests import (
    ClassRequest,
    ExportOrder,
    ExportResult,
    FileRequest,
    Inspection,
    Options,
    Trial,
)
from ts_shape_server.probing.rounds import Round, Tiers, sentence, tier_of
from ts_shape_server.probing.store import Entry, Store, digest, file_digest, key, written
from ts_shape_server.probing.turns import Turns

__all__ = [
    "ClassRequest",
    "ExportOrder",
    "ExportResult",
    "FileRequest",
    "Inspection",
    "Options",
    "ProbeService",
    "Trial",
    "agent_version",
]

log = logging.getLogger(__name__)

_ENGINES = {True: "symbolic", False: "numbers"}
"""How inputs are found, by whether torch states what a size has to be."""

DEATHS = 2
"""How many agents in a row may die over a file before the rest of it is given up."""
TICK = 20_000_000
"""Nanoseconds that the date of a file may lag behind the clock."""
MOST_FILES = 3000
"""A report that says that it was made from more files is not kept: each is read at every look."""
SHARE_SECONDS = 2.0
"""After so long a class that is probed makes way for another file that waits, once."""
PASSING_SECONDS = 60.0
"""So long is a report kept that a changed machine, and not only changed code, would alter."""

Answer = TypeVar("Answer")


class ProbeService:
    """Agents for one interpreter. `on_status` is called when the state of any agent changes."""

    def __init__(self, options: Options, on_status: Callable[[], None] | None = None) -> None:
        self.options = options
        self.problem: NoInterpreter | None = None
        self.interpreter: Interpreter | None = None
        self._on_status = on_status or (lambda: None)
        self._agents: list[Agent] = []
        self._turns: Turns[Agent] = Turns()
        self._finding = asyncio.Lock()
        self._store = Store(options.cache)
        self._running = 0
        self._stopped = False

    @property
    def running(self) -> int:
        """How many jobs are under way."""
        return self._running

    async def find(self) -> Interpreter | None:
        """The interpreter that runs the probes; nothing is started in it. None: `problem` says why."""
        try:
            return await self._find()
        except AgentError as error:
            self._refused(error)
            return None

    async def start(self) -> None:
        """Find the interpreter and start one agent. Raises nothing: what is missing is in `problem`."""
        try:
            async with self._agent("", waited_for=True) as agent:
                await agent.start()
        except AgentError as error:
            self._refused(error)
            log.info("no agent: %s", error)

    async def stop(self) -> None:
        """End every agent; no process is left, and none is started again but by `restart`."""
        self._stopped = True
        agents, self._agents = self._agents, []
        turns, self._turns = self._turns, Turns()
        self._turns.looked_at = turns.looked_at
        await asyncio.gather(*(agent.stop() for agent in agents), return_exceptions=True)

    async def restart(self) -> None:
        """End the agents and look for an interpreter anew."""
        await self.stop()
        self._stopped = False
        self.interpreter, self.problem = None, None
        self._store.clear()
        await self.start()

    def look_at(self, path: str) -> None:
        """A person is at this file: its reports go first."""
        self._turns.looked_at = path

    def info(self) -> dict[str, Any]:
        """Interpreter, versions, sandbox tier and layers, for people."""
        hello = next((agent.hello for agent in self._agents if agent.hello is not None), None)
        found = self.interpreter
        told = None if self.problem is None else self.problem.message
        return {
            "version": __version__,
            "interpreter": None if found is None else found.path,
            "interpreter_source": None if found is None else found.source,
            "python": hello.python if hello else found.python if found else None,
            "torch": hello.torch if hello else found.torch if found else None,
            "engine": _ENGINES[hello.symbolic] if hello else None,
            "sandbox": schema.write(hello.sandbox) if hello else None,
            "state": self._agents[0].state.value if self._agents else State.STOPPED.value,
            "running": self._running,
            "problem": next(filter(None, (agent.trouble for agent in self._agents)), told),
        }

    def cached(self, request: FileRequest, name: str) -> Report | None:
        """The report in the store, if nothing it depends on has changed. Fast: no process is asked."""
        wanted = next((item for item in request.classes if item.name == name), None)
        if wanted is None:
            return None
        found = self._store.get(self._key(request, wanted), request.text(), request.overlays, wanted.places())
        # Others may have written it.
        return None if found is None else confined(replace(found, line=wanted.line), self._holds(request))

    async def reports(
        self, request: FileRequest, on_report: Callable[[Report], None], tiers: Callable[[], Tiers] = tuple
    ) -> tuple[Report, ...]:
        """A final report for each class, in the order asked; earlier ones go to `on_report` as they come. Classes of
        the first of the `tiers` of that moment are probed first, then those of the next, then the others.

        Cancelling the task kills the child.
        """
        with contextlib.suppress(AgentError):
            # What is in the store was made by an interpreter; which one is asked costs little, its torch much.
            await self._find()
        final: dict[str, Report] = {}
        for item in request.classes:
            known = self.cached(request, item.name)
            if known is not None:
                final[item.name] = known
                on_report(known)
        deaths, sliced = 0, False
        interrupted: set[str] = set()
        again = False
        while remaining := [item for item in request.classes if item.name not in final]:
            keep = functools.partial(self._keep, request, time.time_ns())
            about = Round(request, remaining, on_report, keep, self._holds(request))
            others, order = len(interrupted), functools.partial(_ordered, remaining, interrupted)
            try:
                done = await self._round(about, order, interrupted, tiers, sliced, again)
                # A person who jumps to another class of the file does not wait for other files because of it.
                deaths, again = 0, again or done is not None or len(interrupted) > others
            except AgentError as error:
                deaths += 1
                if error.code != "died" or deaths >= DEATHS:
                    self._refused(error)
                    final.update(self._without(error, request, remaining, about, on_report))
                    break
                done = Done("crashed", f"it took the agent with it ({error})".rstrip("."), 0)
            if done is None:
                log.info("%s: something else goes first", request.path)
            elif about.ended_loading(done) and not sliced:
                sliced = True
            else:
                about.finish(done)
            for item in remaining:
                if item.name in about.final:
                    final[item.name] = about.final[item.name]
        return tuple(final[item.name] for item in request.classes)

    async def _round(
        self,
        about: Round,
        order: Callable[[Tiers], list[ClassRequest]],
        interrupted: set[str],
        tiers: Callable[[], Tiers],
        sliced: bool,
        again: bool,
    ) -> Done | None:
        """How a job about classes of a file ended; None where something else goes first: another class of the file, or
        another file, since one of the classes took its share. That class is among `interrupted` then, and has all its
        time when it comes again.
        """
        path = about.request.path
        async with self._agent(path, waited_for=True, again=again) as agent:
            began = tiers()
            job = self._report_job(about.request, order(began), sliced)
            running = asyncio.ensure_future(agent.run(job, self.options.limits, about.claim))
            try:
                while not running.done():
                    between_classes = await about.next_class(running, SHARE_SECONDS / 4)
                    if running.done():
                        break
                    slow = about.held_up_by(SHARE_SECONDS)
                    jumped = tiers() != began and about.gives_way(tiers())
                    others = self.options.preempts and self._turns.others_wait(path)
                    if slow is not None and slow not in interrupted and (jumped or others):
                        interrupted.add(slow)
                        return None
                    if jumped and between_classes:
                        return None
            finally:
                if not running.done():
                    running.cancel()
                    await asyncio.wait({running})
            done, place = running.result()
        await scratch.remove(place)
        return done

    async def trial(self, request: FileRequest, name: str, report: Report, candidate: str) -> Trial:
        """Whether the file with the text `candidate` scripts better than now and computes the same."""
        changed = replace(self._file(request), overlays={**request.overlays, request.path: candidate})
        job = TrialJob(changed, name, report, {request.path: request.text()})
        answer = await self._ask(job, lambda claim: claim.trial, self.options.limits)
        if isinstance(answer, str):
            return Trial(False, answer, TorchScript(), compared=False)
        return Trial(answer.ok, answer.reason, answer.torchscript or TorchScript(), answer.compared)

    async def export(
        self,
        request: FileRequest,
        name: str,
        report: Report,
        order: ExportOrder,
        progress: Callable[[str], None] = lambda message: None,
    ) -> ExportResult:
        """Export in one child, verify in another, then write the file. Nothing is written unless it verified."""
        method, output = order.chosen, order.output
        refused = landing.refusal(order, request.root)
        if refused is not None:
            return ExportResult(False, method, refused)
        progress("Exporting")
        weights = "" if order.checkpoint is None else str(order.checkpoint.resolve())
        made = f"export{output.suffix or '.pt'}"
        job = ExportJob(self._file(request), name, report, made, method, weights, order.dtype)
        kept: list[str] = []
        try:
            answer = await self._ask(job, lambda claim: claim.export, self.options.limits.of_export(), kept)
            return await self._verified(answer, "".join(kept), order, request.root, progress)
        finally:
            await scratch.remove("".join(kept))

    async def _verified(
        self, answer: ExportAnswer | str, place: str, order: ExportOrder, root: str, progress: Callable[[str], None]
    ) -> ExportResult:
        method, output = order.chosen, order.output
        if isinstance(answer, str):
            return ExportResult(False, method, answer)
        chosen = answer.method or method
        if not answer.ok:
            failure = answer.reason
            message = failure.message if failure is not None else "the export failed without a reason"
            message = f"{message[:1].upper()}{message[1:].rstrip('.')}."
            return ExportResult(False, chosen, message, failure=failure)
        made = Path(place) / Path(answer.file).name
        expected = Path(place) / Path(answer.expected).name
        progress("Verifying in a fresh process")
        job = VerifyJob(str(made), str(expected))
        verdict = await self._ask(job, lambda claim: claim.verify, self.options.limits.of_export())
        if isinstance(verdict, str):
            return ExportResult(False, chosen, f"The export could not be verified: {verdict}")
        if not verdict.ok:
            return ExportResult(False, chosen, f"The export does not verify: {verdict.reason}"[:500])
        progress("Writing")
        try:
            await asyncio.to_thread(landing.land, made, output, order.force, root)
        except landing.LandingError as error:
            return ExportResult(False, chosen, str(error))
        difference = verdict.largest_difference
        told = f" (largest difference {difference:.3g})" if difference is not None else ""
        sizes = f"{verdict.sizes} size{'' if verdict.sizes == 1 else 's'}"
        message = f"Exported by {chosen} to {output}; it loads and agrees with eager on {sizes}{told}."
        return ExportResult(True, chosen, message, output, difference, notes=answer.notes)

    async def inspect(self, path: Path) -> Inspection:
        """What a saved file holds, and what goes into the module in it; opened in the sandbox only."""
        refused = archives.unreadable(path)
        if refused is not None:
            return Inspection(path, "unread", refused)
        job = InspectJob(str(path.resolve()))
        answer = await self._ask(job, lambda claim: claim.inspect, self.options.limits.of_export())
        if isinstance(answer, str):
            return Inspection(path, "unread", answer)
        return archives.inspection(path, answer)

    async def _find(self) -> Interpreter:
        """The interpreter whose torch runs the probes. AgentError if there is none."""
        async with self._finding:
            if self.interpreter is None:
                found = await find(self.options.interpreter, self.options.folders, os.environ)
                if isinstance(found, NoInterpreter):
                    self.problem = found
                    raise AgentError(found.code, found.message)
                self.interpreter, self.problem = found, None
            return self.interpreter

    def _became(self, state: State) -> None:
        if state is State.READY:
            self.problem = None
        self._on_status()

    def _refused(self, error: AgentError) -> None:
        """Remember why there is no agent, for people who ask."""
        if error.code not in ("died", "stopped", "too-large"):
            self.problem = NoInterpreter(error.code, str(error))
            self._on_status()

    @contextlib.asynccontextmanager
    async def _agent(self, path: str, waited_for: bool, again: bool = False) -> AsyncIterator[Agent]:
        """An agent that is free for a question about a file. AgentError if there is no interpreter for one."""
        found = await self._find()
        if self._stopped:
            raise AgentError("stopped", "The service was stopped.")
        if not self._turns.any_free and len(self._agents) < max(1, self.options.jobs):
            options = self.options
            about = Launch(found.path, options.environment, options.sandbox, found.site, options.readable)
            made = Agent(about, self._became)
            self._agents.append(made)
            self._turns.give(made)
        turns = self._turns
        agent = await turns.take(path, waited_for, again)
        self._running += 1
        self._on_status()
        try:
            yield agent
        finally:
            self._running -= 1
            turns.give(agent)
            self._on_status()

    async def _ask(
        self,
        job: Job,
        answer: Callable[[ProbeClaim], Answer | None],
        limits: Limits,
        kept: list[str] | None = None,
    ) -> Answer | str:
        """The `answer` that the child claims, or a sentence why there is none.

        `kept` gets the job's scratch folder, which is then the caller's to remove.
        """
        claims: list[ProbeClaim] = []
        try:
            path = job.file.path if isinstance(job, (ReportJob, TrialJob, ExportJob)) else ""
            async with self._agent(path, waited_for=not isinstance(job, TrialJob)) as agent:
                done, place = await agent.run(job, limits, claims.append)
        except AgentError as error:
            self._refused(error)
            return str(error)
        if kept is not None:
            kept.append(place)
        else:
            await scratch.remove(place)
        found = next((held for claim in claims if (held := answer(claim)) is not None), None)
        return found if found is not None else sentence(done)[1]

    def _holds(self, request: FileRequest) -> Holds:
        """Of which files a report may speak: of those that its probe may read of the workspace, and of all of it."""
        return within_folders((*request.folders(), *self.options.folders, *self.options.extra_paths))

    def _file(self, request: FileRequest) -> FileAsked:
        overlays = {request.path: request.text(), **request.overlays}
        more = (*request.extra_paths, *self.options.extra_paths)
        return FileAsked(request.path, request.root, overlays, more, self._probe_environment())

    def _probe_environment(self) -> dict[str, str]:
        """The variables that a project sets where the user's own settings do not: in the sandbox alone."""
        options = self.options
        return {name: text for name, text in options.probe_environment.items() if name not in options.environment}

    def _report_job(self, request: FileRequest, classes: list[ClassRequest], sliced: bool) -> ReportJob:
        asked = tuple(item.asked for item in classes)
        return ReportJob(self._file(request), asked, sliced, self.options.stages)

    def _key(self, request: FileRequest, item: ClassRequest) -> str:
        found = self.interpreter
        torch = None if found is None else (found.path, found.torch)
        variables = {**self._probe_environment(), **self.options.environment}
        return key(item.digest, request.path, item.name, item.decisive(), torch, VERSION, agent_version(), variables)

    def _keep(
        self, request: FileRequest, began: int, item: ClassRequest, report: Report, depends: list[str] | None
    ) -> None:
        """Keep for good what only the code decides, and for a while what the machine decides too: a package that is
        missing may be installed, a module of the workspace that is missing may be written, time may be plenty.

        Called for each report as it comes: what is cancelled later has not been for nothing. Nothing is kept of a probe
        during which a file was written that it was made from: it may have seen the text before. `began` is in
        nanoseconds, by the clock that files are dated by.
        """
        code = report.reason.code if report.reason is not None else ""
        if code in ("internal", "sandbox", "cancelled"):
            return
        decided = report.status in ("ok", "failed", "skipped") or code in ("no-input", "no-constructor")
        lasting = decided and depends is not None and not report.stubbed
        absent = [place for name in report.stubbed for place in request.places_of(name)]
        paths = [path for path in [*(depends or ()), *absent] if path != request.path and request.covers(path)]
        if len(paths) > MOST_FILES or any(written(path, request.overlays) >= began - TICK for path in paths):
            return
        others = {path: file_digest(path, request.overlays) for path in paths}
        entry = Entry(report, request.text(), others, item.places())
        self._store.put(self._key(request, item), entry, None if lasting else PASSING_SECONDS)

    def _without(
        self,
        error: AgentError,
        request: FileRequest,
        remaining: list[ClassRequest],
        about: Round,
        on_report: Callable[[Report], None],
    ) -> dict[str, Report]:
        """A report for each class that says that there is no agent, but for those that are done."""
        reports = dict(about.final)
        for item in remaining:
            if item.name not in reports:
                failure = Failure(error.code, str(error))
                reports[item.name] = without_report(request.path, item.name, item.line, "unresolved", failure)
                on_report(reports[item.name])
        return reports


def _ordered(classes: Sequence[ClassRequest], interrupted: Container[str], tiers: Tiers) -> list[ClassRequest]:
    """The classes by their tiers; those that held others up come last."""
    return sorted(classes, key=lambda item: (item.name in interrupted, tier_of(item.name, tiers)))


@functools.cache
def agent_version() -> str:
    """A hash that changes with this program's agent, so that no report of an older one is taken for fresh."""
    package = Path(__file__).parent.parent
    files = [file for name in ("agent", "contract") for file in sorted((package / name).rglob("*.py"))]
    states = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return digest(__version__, repr(states))
