"""A saved file as the server sees it: whether it can be given to a probe, and what came of that.

Opens nothing: the file is a stranger's, and only a sandboxed child reads it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from ts_shape_server.contract.jobs import InspectAnswer
from ts_shape_server.probing.requests import Inspection


def unreadable(path: Path) -> str | None:
    """Why a file cannot be inspected, in a sentence; None if it can."""
    try:
        there, folder = path.exists(), path.is_dir()
    except (OSError, ValueError):
        there = folder = False
    if folder:
        return f"{path} is a folder: name the file that was saved."
    if not there:
        return f"There is no file {path}."
    if not path.is_file():
        return f"{path} is no regular file."
    if not os.access(path, os.R_OK):
        return f"{path} may not be read by you."
    return None


def inspection(path: Path, answer: InspectAnswer) -> Inspection:
    """What a child has answered."""
    report = None if answer.report is None else replace(answer.report, path=str(path), line=1)
    return Inspection(path, answer.kind, answer.message, answer.source, report, answer.facts)
