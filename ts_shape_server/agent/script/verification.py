"""Loads an archive in a process that has never seen its source, and compares it with the results it must give."""

from __future__ import annotations

import warnings
import zipfile
from typing import Any

import torch

from ts_shape_server.agent import runs, torch_says
from ts_shape_server.agent.compare import compare
from ts_shape_server.agent.saved import packages
from ts_shape_server.agent.script import archive
from ts_shape_server.contract.asked import VerifyJob
from ts_shape_server.contract.jobs import VerifyAnswer


def verify(job: VerifyJob) -> VerifyAnswer:
    """The answer to a verify job."""
    return verified(job.archive, job.expected)


def verified(made: str | bytes, expected: str | bytes, optimized: bool = True) -> VerifyAnswer:
    """The same for an archive and its calls, as paths or as the bytes of the files. `optimized`: torch optimizes a
    script for its inputs first, which takes its time.
    """
    largest, sizes = 0.0, 0
    jit: Any = torch.jit
    with warnings.catch_warnings(), jit.optimized_execution(optimized):
        warnings.simplefilter("ignore")
        missing = False
        try:
            missing = _import_needed(made)
            module = archive.load(made)
        except Exception as error:
            told = f"the archive does not load in a fresh process: {torch_says.one_line(error)}"
            compared = not (missing or torch_says.out_of_memory(error))
            return VerifyAnswer(False, told, loaded=False, compared=compared)
        try:
            calls = archive.load_calls(expected)
        except Exception as error:
            return VerifyAnswer(False, f"its calls cannot be read: {torch_says.one_line(error)}", compared=False)
        for number, call in enumerate(calls):
            where = "a second size" if number else "the example"
            # Each call is the first one of a module: what a call leaves behind is no difference.
            module = archive.load(made) if number else module
            try:
                actual = _called(module, call)
            except Exception as error:
                told = f"the loaded module raises on {where}: {torch_says.one_line(error)}"
                return VerifyAnswer(False, told, largest, sizes, compared=not torch_says.out_of_memory(error))
            difference = compare(call["expected"], archive.plain(actual))
            largest = max(largest, difference.largest)
            if not difference.agree:
                return VerifyAnswer(
                    False, f"the loaded module differs from eager on {where}: {difference.reason}", largest, sizes
                )
            sizes += 1
    return VerifyAnswer(True, "", largest, sizes)


def _import_needed(made: str | bytes) -> bool:
    """Import the packages whose operations an archive calls; whether one is missing here."""
    if not zipfile.is_zipfile(archive.opened(made)):
        return False
    missing = [name for name in packages.needed(archive.opened(made)) if not packages.imported(name)]
    return bool(missing)


def _called(module: Any, call: dict[str, Any]) -> Any:
    """What a module gives for a call, whose random numbers are those with which it was made."""
    runs.seed()
    drawn = call.get("random")
    if drawn is not None:
        torch.set_rng_state(drawn)
    with torch.no_grad():
        return module(*call["args"], **call["kwargs"])
