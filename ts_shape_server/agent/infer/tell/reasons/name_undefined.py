"""A name is used that has no value where it is used: no input gives it one."""

from __future__ import annotations

import os
import re
import traceback
from types import ModuleType

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
    frames = traceback.extract_tb(error.__traceback__)
    lacking = getattr(error, "obj", None) if isinstance(error, AttributeError) else None
    if isinstance(lacking, ModuleType) and frames and not _is_of_workspace(lacking, context):
        name = getattr(error, "name", None) or ""
        if re.search(rf"\.\s*{re.escape(name)}\b", frames[-1].line or ""):
            # Where the line has no such attribute, `getattr` was asked for a name that an argument gives.
            return f"`{lacking.__name__}` has no `{name}` here, which is used in {_line(frames[-1], context)}."
    missing = torch_says.read(error).get("missing-name") if isinstance(error, NameError) else None
    if missing is None or isinstance(error, UnboundLocalError):
        return ""
    if not frames or frames[-1].filename.startswith("<"):
        # What a comment gives to the constructor stands in no file.
        return f"`{missing.name('name')}` has no value where it is used."
    return f"`{missing.name('name')}` is used in {_line(frames[-1], context)} and has no value there."


def _line(frame: traceback.FrameSummary, context: Context) -> str:
    other = "" if frame.filename == context.path else f" of {os.path.basename(frame.filename)}"
    return f"line {frame.lineno}{other}"


def _is_of_workspace(module: ModuleType, context: Context) -> bool:
    """Whether a module is one of the user's, which may not have been loaded whole."""
    path = getattr(module, "__file__", None) or ""
    return not path or ("site-packages" not in path and path.startswith(os.path.join(context.root, "")))
