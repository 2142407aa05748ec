"""Reads jobs from standard input, a JSON object a line, loads each in a fork, and writes what came of it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import torch

from ts_shape_server.agent import load
from ts_shape_server.contract import schema
from ts_shape_server.contract.asked import FileAsked


def main() -> None:
    torch.set_num_threads(1)
    for line in sys.stdin:
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.close(reader)
            os.dup2(2, 1)
            signal.alarm(20)
            os.write(writer, json.dumps(attempt(json.loads(line)), default=str).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            answer = pipe.read() or b"null"
        _, status = os.wait()
        print(json.dumps({"status": status, "answer": json.loads(answer)}), flush=True)


def attempt(job: dict) -> dict:
    """The class that the job names, or why it cannot be had; and what calling it with a tensor gives."""
    started = time.process_time()
    file = schema.read(FileAsked, job["file"])
    loaded = load.load(file, job["seconds"], job.get("sliced", False), job.get("own_weights", False))
    found = load.find(loaded, job["class"], file, job["seconds"])
    result = {"stubbed": load.stubbed(), "seconds": time.process_time() - started, "depends": load.depends(file)}
    if isinstance(found, load.LoadProblem):
        return {**result, "code": found.code, "message": found.message, "line": found.line}
    result["module"] = found.found.__module__
    result["notes"] = list(found.notes)
    result["failed"] = {name: problem.message for name, problem in found.loaded.failed.items()}
    try:
        with torch.no_grad():
            result["shape"] = list(found.found()(torch.ones(2, 4)).shape)
        if job.get("script"):
            result["scripted"] = list(torch.jit.script(found.found())(torch.ones(2, 4)).shape)
        if job.get("value"):
            result["value"] = eval(job["value"], found.loaded.namespace)
    except Exception as error:
        result["error"] = f"{type(error).__name__}: {error}"
    return {**result, "stubbed": load.stubbed()}


main()
