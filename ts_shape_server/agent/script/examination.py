"""Examines one class: does it script, why not, does it trace, which types does its source lack.

The order is that of need: the eager run first (it gives the types), then scripting, then tracing. Each part that fails
in a way of its own leaves the others standing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer.constructor.argument_modules import PASSING
from ts_shape_server.agent.runs import Run
from ts_shape_server.agent.script import edits, facts, failures, locate, observe, traps
from ts_shape_server.agent.script.annotations import collect as collect_annotations
from ts_shape_server.agent.script.compiler import Compiler
from ts_shape_server.agent.script.problem import RefusalSearch
from ts_shape_server.agent.script.session import ScriptSession, forward_name
from ts_shape_server.agent.script.sources import Sources
from ts_shape_server.agent.script.trace import Traced, state, trace
from ts_shape_server.agent.torch_says import compiler
from ts_shape_server.contract.places import Location
from ts_shape_server.contract.report import Annotation, ArchiveState, FunctionFacts, ScriptAttempt, TorchScript


def examine(run: Run, context: Context) -> TorchScript:
    """The state of a class towards TorchScript, for a run that works in eager mode."""
    return examined(ScriptSession(run, context))


def examined(session: ScriptSession, tracing: bool = True) -> TorchScript:
    """The same for a session; without `tracing` nothing is said of a trace."""
    try:
        seen, used = session.watched
    except Exception:
        # A constructor that only works once has been called before: nothing can be said of another instance.
        return TorchScript()
    annotations = collect_annotations(seen, session.pristine, used, session.context.path, session.run.namespace)
    if _has_stand_in(session):
        # What TorchScript says of a module of ours is no reason of the author's.
        return TorchScript(annotations=tuple(annotations))
    made = scripted(session)
    trace_state = traced(session).attempt if tracing and _traceable(session) else ScriptAttempt()
    if made.attempt.failures and trace_state.ok is False:
        # Tracing compiles methods under `export` too: what the compiler refuses is told once.
        left = tuple(item for item in trace_state.failures if compiler.refusal(item.detail) is None)
        trace_state = replace(trace_state, failures=left)
    return TorchScript(made.attempt, trace_state, (*annotations, *made.unseen), made.facts)


def _has_stand_in(session: ScriptSession) -> bool:
    """Whether a constructor argument is a module of ours, that only passes on what it is given."""
    return any(PASSING in expression for expression in session.run.init.values())


def _traceable(session: ScriptSession) -> bool:
    return not session.heavy and session.affords(4 * len(session.sizes()))


@dataclass(frozen=True)
class Scripted:
    """What scripting said, the scripted module if the class scripts as it stands, and what is known of the functions
    that it refuses: `facts`, and annotations that no run shows (`unseen`).
    """

    attempt: ScriptAttempt
    module: Any | None
    facts: tuple[FunctionFacts, ...]
    unseen: tuple[Annotation, ...]


def scripted(session: ScriptSession) -> Scripted:
    """What scripting says of the class."""
    seen, _ = session.watched
    name = place_of_forward(session)
    with Sources(edits.apply) as sources:
        trains = observe.trains_otherwise(session.pristine, seen)
        search = RefusalSearch(sources, seen, session.rerun, session.users, session.run.namespace, trains)
        asked = Compiler(session.fresh(), sources)
        ok, found = failures.collect(asked, search, session.context.remaining)
        found = [item if item.location is not None else replace(item, location=name) for item in found]
        archive: ArchiveState = ""
        if ok:
            found, archive = traps.collect(session, search, asked.scripted, name)
        path = session.context.path
        unseen = () if ok else facts.unseen(search, path)
        known = facts.collect(search, found, path)
    return Scripted(ScriptAttempt(ok, tuple(found), archive), asked.scripted if ok else None, known, unseen)


def traced(session: ScriptSession) -> Traced:
    """What tracing says of the class."""
    _, used = session.watched
    remembers = state(used) != state(session.pristine)
    name = place_of_forward(session)
    return trace(session.run, session.fresh, session.eager, name, remembers, session.affords)


def place_of_forward(session: ScriptSession) -> Location:
    """The contract's location of the name of `forward`; the file's class line is not known here, so its first line."""
    found = forward_name(session.run)
    if found is None:
        return locate.location(locate.MarkedPlace(session.context.path, 1, 0, 1, 0))
    path, line, start, end = found
    return locate.location(locate.MarkedPlace(path, line, start, line, end))
