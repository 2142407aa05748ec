"""One class from start to report: evidence, constructor, search, generalisation, each step emitted as it comes.

The order of evidence, strongest first: pragma, real data, calls in the workspace, annotations and use in the body,
solving. Every step has its share of the time; a step that overruns leaves what the earlier ones found.
"""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from torch import nn

from ts_shape_server.agent import clock, runs
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer import solve
from ts_shape_server.agent.infer.facts import source
from ts_shape_server.agent.infer.facts.parents import Parents
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.running import shots
from ts_shape_server.agent.infer.running.memory import parameter_counts
from ts_shape_server.agent.infer.tell import contradictions, general, reasons, specs, until_failure
from ts_shape_server.agent.infer.tell.init import init_of
from ts_shape_server.contract.asked import ClassAsked, ParentAsked
from ts_shape_server.contract.report import Failure, Report, SearchEffort, failure

Emit = Callable[[Report], None]
Script = Callable[[Report, runs.Run, Context], Report]


def report_class(
    cls: type[nn.Module],
    asked: ClassAsked,
    context: Context,
    emit: Emit,
    parents: Parents | None = None,
    script: Script | None = None,
) -> None:
    """Emit reports of `cls`, each more precise; the last has stage ``final``. Raises nothing that user code raises.

    `parents` knows what other classes give to this one, and is told what this one gives. `script` adds what TorchScript
    makes of a run; without it that is not asked.
    """
    logging.disable(logging.CRITICAL)
    watch = clock.Stopwatch()
    blank = Report(context.path, asked.name, asked.line, "unresolved", stubbed=tuple(context.stubbed))

    def send(report: Report, stage: str) -> None:
        effort = case.trail.told() if stage == "final" and "trail" in context.stages else SearchEffort()
        emit(replace(report, effort=effort, elapsed_ms=watch.wall_ms, stage=stage))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        skipped = _skipped(cls)
        if skipped is not None:
            emit(replace(blank, status="skipped", reason=skipped))
            return
        known = parents if parents is not None else Parents(lambda path, name: None)
        case = _gathered(cls, asked, context, known)
        solved = solve.solve(case)
        if not isinstance(solved, solve.Solved):
            why = reasons.of(case, solved)
            known.note(cls, asked.name, solve.known_for_parts(case, solved), context)
            report = replace(blank, status=why.status, reason=why.reason, init=why.init, notes=case.notes)
            if report.status == "failed" and isinstance(solved, solve.Missed):
                report = until_failure.told(report, case, solved)
            send(report, "final")
            return
        wrong = contradictions.of(solved)
        known.note(cls, asked.name, solved, context)
        scripted = script if "script" in context.stages else None
        report, light = _report_solved(blank, cls, solved, wrong, context, send, last=scripted is None)
        if scripted is not None:
            send(scripted(report, runs.from_report(cls, context.namespace, light), context), "final")


def _gathered(cls: type[nn.Module], asked: ClassAsked, context: Context, parents: Parents) -> solve.Case:
    """What is known of a class before it is made, its parents' runs among it."""

    def of_parent(other: type[nn.Module], parent: ParentAsked, around: Context) -> Iterator[Any]:
        # Its own parents have been run before it.
        yield from solve.for_parts(
            solve.gather(other, parent, around, lambda: parents.of(other, (), around, of_parent))
        )

    return solve.gather(cls, asked, context, lambda: parents.of(cls, asked.parents, context, of_parent))


def _skipped(cls: type[nn.Module]) -> Failure | None:
    forward = getattr(cls, "forward", None)
    if forward is None or getattr(forward, "__name__", "") == "_forward_unimplemented":
        message = "The class defines no `forward`: nothing goes in by calling it."
        return failure("no-forward", message, "", None, kind="forward-undefined")
    if inspect.isabstract(cls):
        return failure("abstract", "The class is abstract: a subclass is what runs.", "", None, kind="class-abstract")
    if source.only_raises(forward):
        message = "`forward` only raises an error: it is a subclass, or another method, that runs."
        return failure("abstract", message, "", None, kind="class-abstract")
    return None


def _report_solved(
    blank: Report,
    cls: type[nn.Module],
    solved: solve.Solved,
    wrong: tuple[contradictions.Contradiction, ...],
    context: Context,
    send: Callable[[Report, str], None],
    last: bool,
) -> tuple[Report, Report]:
    """The report of a class that runs, and the one whose example is the lightest to run. The `last` stage is final."""
    found, session, lines = solved.found, solved.session, general.class_lines(cls)
    count, size = parameter_counts(session.module)
    report = replace(
        blank,
        status="ok",
        init=init_of(solved.plan, solved.sources, context.namespace),
        inputs=specs.input_specs(found.inputs, solved.omitted, lambda slot: values.sizes(found.inputs)[slot]),
        example=specs.example(found.inputs),
        others=tuple(specs.example(inputs) for inputs in solved.others),
        parameters=count,
        parameter_bytes=size,
        notes=solved.case.notes,
        evidence=tuple(item for item in dict.fromkeys([*solved.labels, *solved.sources.values()]) if item != "guess"),
    )
    _, shot = shots.take(lambda watch: session.concrete(found.inputs, watch), session.module, context.path, lines)
    if shot is not None:
        report = general.with_inside(report, cls, shot)
    report = replace(report, mismatches=_mismatches(cls, wrong, report))
    send(report, "example" if context.stages != ("example",) else "final")
    light = report
    if "symbols" in context.stages:
        report, lighten = general.general(report, cls, solved, context)
        report = replace(report, mismatches=_mismatches(cls, wrong, report))
        send(report, "final" if last else "symbols")
        light = lighten()
    return report, light


def _mismatches(
    cls: type[nn.Module], wrong: tuple[contradictions.Contradiction, ...], report: Report
) -> tuple[Failure, ...]:
    """One for each contradiction, in the words of what the report says by now."""
    return tuple(contradictions.to_failure(cls.__name__, item, report) for item in wrong)
