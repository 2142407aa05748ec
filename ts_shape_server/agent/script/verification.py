"""Loads an archive in a process that has never seen its source, and compares it with the results it must give."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch

from ts_shape_server.agent import runs
from ts_shape_server.agent.compare import compare
from ts_shape_server.agent.script import archive
from ts_shape_server.agent.script.finding import one_line


def verify(job: Mapping[str, Any]) -> dict[str, Any]:
    """``{"ok", "reason", "largest_difference", "sizes"}`` for a verify job."""
    result: dict[str, Any] = {"ok": False, "reason": "", "largest_difference": 0.0, "sizes": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            module = archive.load(job["archive"])
            calls = archive.load_calls(job["expected"])
        except Exception as error:
            return {**result, "reason": f"the archive does not load in a fresh process: {one_line(error)}"}
        for number, call in enumerate(calls):
            where = "a second size" if number else "the example"
            runs.seed()
            try:
                with torch.no_grad():
                    actual = module(*call["args"], **call["kwargs"])
            except Exception as error:
                return {**result, "reason": f"the loaded module raises on {where}: {one_line(error)}"}
            difference = compare(call["expected"], archive.plain(actual))
            result["largest_difference"] = max(result["largest_difference"], difference.largest)
            if not difference.agree:
                return {**result, "reason": f"the loaded module differs from eager on {where}: {difference.reason}"}
            result["sizes"] += 1
    return {**result, "ok": True}
