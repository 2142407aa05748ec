"""Loads an archive in a process that has never seen its source, and compares it with the results it must give."""

from __future__ import annotations

import warnings

import torch

from ts_shape_server.agent import runs, torch_says
from ts_shape_server.agent.compare import compare
from ts_shape_server.agent.script import archive
from ts_shape_server.contract.asked import VerifyJob
from ts_shape_server.contract.jobs import VerifyAnswer


def verify(job: VerifyJob) -> VerifyAnswer:
    """The answer to a verify job."""
    largest, sizes = 0.0, 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            archive.load(job.archive)
            calls = archive.load_calls(job.expected)
        except Exception as error:
            return VerifyAnswer(
                False, f"the archive does not load in a fresh process: {torch_says.one_line(error)}", largest, sizes
            )
        for number, call in enumerate(calls):
            where = "a second size" if number else "the example"
            # Each call is the first one of a module: what a call leaves behind is no difference.
            module = archive.load(job.archive)
            runs.seed()
            try:
                with torch.no_grad():
                    actual = module(*call["args"], **call["kwargs"])
            except Exception as error:
                return VerifyAnswer(
                    False, f"the loaded module raises on {where}: {torch_says.one_line(error)}", largest, sizes
                )
            difference = compare(call["expected"], archive.plain(actual))
            largest = max(largest, difference.largest)
            if not difference.agree:
                return VerifyAnswer(
                    False, f"the loaded module differs from eager on {where}: {difference.reason}", largest, sizes
                )
            sizes += 1
    return VerifyAnswer(True, "", largest, sizes)
