"""A method of the class was called that only raises `NotImplementedError`: a subclass that defines it is what runs."""

from __future__ import annotations

from ts_shape_server.agent.infer.running.session import method_for_subclasses
from ts_shape_server.agent.infer.tell.reasons.unsolved import Unfound, Unsolved
from ts_shape_server.contract.report import failure


def reason(unfound: Unfound) -> Unsolved | None:
    method = method_for_subclasses(unfound.session.cls, unfound.error)
    if not method:
        return None
    message = f"`{method}` only raises `NotImplementedError`: a subclass that defines it is what runs."
    return Unsolved("skipped", failure("abstract", message, "", None, kind="class-abstract"))
