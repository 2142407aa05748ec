"""A name is used that has no value where it is used: no input gives it one."""

from __future__ import annotations

import os
import traceback

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.context import Context
from ts_shape_server.agent.infer.tell.reasons.unsolved import Unfound, Unsolved, unsolved


def reason(unfound: Unfound) -> Unsolved | None:
    error = unfound.error
    message = told(error, unfound.context)
    if not message:
        return None
    facts = {"error": type(error).__name__}
    place = unfound.place()
    return unsolved(unfound.context, error, "no-input", "name-undefined", message, place=place, facts=facts)


def told(error: BaseException, context: Context) -> str:
    """Where a name that is not defined is used: in a line of the file that is asked about, or in another file; empty
    where the error says something else.
    """
    missing = torch_says.read(error).get("missing-name") if isinstance(error, NameError) else None
    if missing is None or isinstance(error, UnboundLocalError):
        return ""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or frames[-1].filename.startswith("<"):
        # What a comment gives to the constructor stands in no file.
        return f"`{missing.name('name')}` has no value where it is used."
    other = "" if frames[-1].filename == context.path else f" of {os.path.basename(frames[-1].filename)}"
    return f"`{missing.name('name')}` is used in line {frames[-1].lineno}{other} and has no value there."
