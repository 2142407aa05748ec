"""Examines one class: does it script, why not, does it trace, which types does its source lack.

The order is that of need: the eager run first (it gives the types), then scripting, then tracing. Each part that fails
in a way of its own leaves the others standing.
"""

from __future__ import annotations

from typing import Any

from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer.argument_modules import PASSING
from ts_shape_server.agent.runs import Run
from ts_shape_server.agent.script import edits, facts, failures, locate, traps
from ts_shape_server.agent.script.annotations import collect as collect_annotations
from ts_shape_server.agent.script.compiler import Compiler
from ts_shape_server.agent.script.problem import Search
from ts_shape_server.agent.script.session import Session, forward_name
from ts_shape_server.agent.script.sources import Sources
from ts_shape_server.agent.script.trace import Traced, state, trace


def examine(run: Run, context: Context) -> dict[str, Any]:
    """The contract's ``torchscript`` object for a run that works in eager mode."""
    return examined(Session(run, context))


def examined(session: Session, tracing: bool = True) -> dict[str, Any]:
    """The same for a session; without `tracing` nothing is said of a trace."""
    try:
        seen, used = session.watched
    except Exception:
        # A constructor that only works once has been called before: nothing can be said of another instance.
        return {**_unknown(), "annotations": []}
    if _has_stand_in(session):
        # What TorchScript says of a module of ours is no reason of the author's.
        annotations = collect_annotations(seen, session.pristine, used, session.context.path, session.run.namespace)
        return {**_unknown(), "annotations": annotations}
    script, _, known = scripted(session)
    return {
        "script": script,
        "trace": traced(session).to_json() if tracing and _traceable(session) else {"ok": None, "warnings": []},
        "annotations": [
            *collect_annotations(seen, session.pristine, used, session.context.path, session.run.namespace),
            *known["annotations"],
        ],
        "facts": known["facts"],
    }


def _unknown() -> dict[str, Any]:
    return {"script": {"ok": None, "failures": []}, "trace": {"ok": None, "warnings": []}}


def _has_stand_in(session: Session) -> bool:
    """Whether a constructor argument is a module of ours, that only passes on what it is given."""
    return any(PASSING in expression for expression in session.run.init.values())


def _traceable(session: Session) -> bool:
    return not session.heavy and session.affords(4 * len(session.sizes()))


def scripted(session: Session) -> tuple[dict[str, Any], Any | None, dict[str, list[dict[str, Any]]]]:
    """The contract's ``script`` object, the scripted module if the class scripts as it stands, and what is known of
    the functions that it refuses: the contract's ``facts``, and ``annotations`` that no run shows.
    """
    seen, _ = session.watched
    name = place_of_forward(session)
    with Sources(edits.apply) as sources:
        search = Search(sources, seen, session.rerun, session.users)
        compiler = Compiler(session.fresh(), sources)
        ok, found = failures.collect(compiler, search, session.context.remaining)
        for item in found:
            item["location"] = item["location"] or name
        if ok:
            found = traps.collect(session, search, compiler.scripted, name)
        path = session.context.path
        unseen = [] if ok else facts.unseen(search, path)
        known = {"facts": facts.collect(search, found, path), "annotations": unseen}
    return {"ok": ok, "failures": found}, compiler.scripted if ok else None, known


def traced(session: Session) -> Traced:
    """What tracing says of the class."""
    _, used = session.watched
    remembers = state(used) != state(session.pristine)
    return trace(session.run, session.fresh(), session.eager, place_of_forward(session), session.fresh, remembers)


def place_of_forward(session: Session) -> dict[str, Any]:
    """The contract's location of the name of `forward`; the file's class line is not known here, so its first line."""
    found = forward_name(session.run)
    if found is None:
        return locate.json_location(locate.Place(session.context.path, 1, 0, 1, 0))
    path, line, start, end = found
    return locate.json_location(locate.Place(path, line, start, line, end))
