"""What a class that fails for every input shows up to the line that fails: the calls of layers, the locals, and the
input of that run.

It is what one run did, in the numbers of that run: nothing here says what other sizes would give.
"""

from __future__ import annotations

import ast
import itertools
from dataclasses import replace

from ts_shape_server.agent import shares
from ts_shape_server.agent.clock import TimeLimit, time_limit
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.running import shots
from ts_shape_server.agent.infer.running.session import innermost_line
from ts_shape_server.agent.infer.solve import Case, Missed
from ts_shape_server.agent.infer.tell import general, inside, specs
from ts_shape_server.contract.report import Report

MOST_PASSED = 3
"""So many of the inputs that the workspace passes are run."""


def told(report: Report, case: Case, best: Missed) -> Report:
    """`report` of a class that fails with what a run showed that failed in the line that it names; as it is if there is
    none.
    """
    place = None if report.reason is None else report.reason.location
    if place is None or place.path != case.context.path:
        return report
    statement = _statement(case.context, place.range.line)
    passed = (tuple(item.inputs.values()) for item in case.drawn if item.certain and item.inputs)
    for inputs in [*([best.result.inputs] if best.result.inputs else []), *itertools.islice(passed, MOST_PASSED)]:
        shot = _shot(case, best, inputs, statement)
        if shot is not None:
            return replace(
                report,
                example=specs.example(inputs),
                layers=inside.layers(shot.calls, inside.layer_lines(case.cls)),
                variables=inside.variables([item for item in shot.locals if item.line not in statement]),
                uses=inside.variables(shot.uses),
            )
    return report


def _shot(case: Case, best: Missed, inputs: values.Inputs, statement: range) -> shots.Shot | None:
    """What a run with these inputs showed, if it failed in the statement."""
    session, context = best.built.session, case.context
    try:
        with time_limit(shares.RUN.of(context.remaining())):
            outcome, shot = shots.until_failure(
                lambda watch: session.concrete(inputs, watch),
                session.module,
                context.path,
                general.class_lines(case.cls),
            )
    except TimeLimit:
        return None
    line = None if outcome.error is None else innermost_line(outcome.error, context.path)
    return shot if line in statement else None


def _statement(context: Context, line: int) -> range:
    """The lines of the innermost statement around a line: what it assigns has not been assigned."""
    around = [
        range(node.lineno, (node.end_lineno or node.lineno) + 1)
        for node in ast.walk(ast.parse(context.source))
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return min(around, key=len, default=range(line, line + 1))
