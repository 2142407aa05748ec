"""Saves models of an installed package as archives without any metadata; runs in a process of its own.

Reads one JSON object a line, ``{"preamble", "imports", "expression", "sizes", "folder"}``, and answers each with one:
``{"script": path, "trace": path}``, with ``{"error": text}`` in the place of a path where torch refuses. Knows nothing
of the tool.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

METHODS = ("script", "trace")
_jit: Any = torch.jit


def saved(request: dict[str, Any]) -> dict[str, Any]:
    """The archives of one model, with random weights and in its state of evaluation."""
    names: dict[str, Any] = {}
    exec(f"{request['preamble']}\n{request['imports']}", names)
    torch.manual_seed(0)
    module = eval(request["expression"], names).eval()
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


def main() -> None:
    sys.path[:0] = sys.argv[1:]
    warnings.simplefilter("ignore")
    # What a package prints on its import is no answer.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        for line in sys.stdin:
            print(json.dumps(saved(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
