"""Saves models of an installed package as archives without any metadata, and calls both; in a process of its own.

Reads one JSON object a line, ``{"preamble", "imports", "expression", "sizes", "folder"}``, and answers each with one:
``{"script": path, "trace": path}``, with ``{"error": text}`` in the place of a path where torch refuses. After that,
``{"archive": path, "calls": […], "seconds": …}`` is answered with what the archive and the model that it was saved from
give for each call, ``[{"archive": {"output", "error", "limited"}, "class": …}]``. Knows nothing of the tool.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmarks.parity import trials

METHODS = ("script", "trace")
_jit: Any = torch.jit


def model(request: dict[str, Any]) -> Any:
    """The model, with random weights and in its state of evaluation."""
    names: dict[str, Any] = {}
    exec(f"{request['preamble']}\n{request['imports']}", names)
    torch.manual_seed(0)
    return eval(request["expression"], names).eval()


def saved(module: Any, request: dict[str, Any]) -> dict[str, Any]:
    """The archives of one model."""
    example = torch.rand(1, *request["sizes"])
    makers: dict[str, Callable[[], Any]] = {
        "script": lambda: _jit.script(module),
        "trace": lambda: _jit.trace(module, example, check_trace=False),
    }
    answer: dict[str, Any] = {}
    for method in METHODS:
        path = str(Path(request["folder"]) / f"{method}.pt")
        try:
            with torch.no_grad():
                makers[method]().save(path)
        except Exception as error:
            answer[method] = {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"}
        else:
            answer[method] = path
    return answer


def called(module: Any, archive: str, calls: Sequence[Sequence[Any]], seconds: float) -> list[dict[str, Any]]:
    """What the archive and the module give for each call; every one in a fork, limited to so many seconds of work."""
    sides: dict[str, Callable[[], Any]] = {
        "archive": lambda: _jit.load(archive, map_location="cpu"),
        "class": lambda: module,
    }

    def run(made: Any, call: Sequence[Any]) -> Any:
        return made(*(trials.make(item, {}) for item in call))

    return [
        {
            name: asdict(trials.isolated(build, functools.partial(run, call=call), seconds))
            for name, build in sides.items()
        }
        for call in calls
    ]


def main() -> None:
    sys.path[:0] = sys.argv[1:]
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    module: Any = None
    # What a package prints on its import is no answer.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        for line in sys.stdin:
            request = json.loads(line)
            if "calls" in request:
                answer: Any = called(module, request["archive"], request["calls"], request["seconds"])
            else:
                module = model(request)
                answer = saved(module, request)
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
