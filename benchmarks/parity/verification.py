"""``python -m benchmarks.parity.verification --corpus DIR --results FILE --out FILE``: are the reports true, and tight?

Every `ok` report is run in plain eager, in a fresh process, from its JSON alone: on its example, on further sizes that
it allows (soundness), and on sizes that it excludes (tightness). Nothing of the tool is imported here.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import recording
from benchmarks.parity import claims, corpus, draws, records, trials, verdicts

Record = dict[str, Any]


def verified(report: Mapping[str, Any], file: trials.File, seconds: float) -> Iterator[Record]:
    """What verification finds, piece by piece: ``{"verdict", …}`` first, then one ``{"kind", …}`` for each break."""
    left = trials.remaining(seconds)
    try:
        claim = claims.read(report)
        drawn = draws.allowed(claim)
    except claims.Unreadable as error:
        yield {"verdict": "claim", "error": str(error)}
        return
    try:
        expressions = {key: item["expr"] for key, item in (report.get("init") or {}).get("args", {}).items()}
        module = trials.rebuild(file, report["class"], expressions)
    except trials.NotRebuilt as error:
        yield {"verdict": error.step, "error": str(error)}
        return
    skipped = 0
    for number, draw in enumerate([claim.base, *drawn]):
        step = "draw" if number else "example"
        inputs = claim.inputs(draw) if number else dict(claim.example)
        trial = trials.run(module, file.namespace, inputs, left())
        if trial.limited and number:
            skipped += 1
            continue
        wrong = trial.error or claims.mismatch(claim, trial.output, draw)
        if wrong is not None:
            kind = "limit" if trial.limited else f"{step}-run" if trial.error else f"{step}-shape"
            yield {"verdict": kind, "error": wrong, "draw": dict(draw) if number else None}
            if not number:
                return
            break
    else:
        yield {"verdict": "sound", "draws": len(drawn) - skipped, "unspelled": claims.unspelled(claim)}
    for item in draws.breaks(claim):
        if left() <= 0:
            return
        trial = trials.run(module, file.namespace, item.inputs, left())
        if not trial.limited:
            why = trial.error or claims.mismatch(claim, trial.output, item.draw, item.exact)
            yield {"kind": item.kind, "claim": item.claim, "tight": why is not None, "why": (why or "it runs")[:160]}


@dataclass
class _Job:
    """A process that loads one file and forks once for each of its reports; what it wrote so far."""

    name: str
    classes: list[str]
    process: int
    pipe: int
    end: float
    written: bytes = b""


Waiting = tuple[str, Sequence[Record], Callable[[], trials.File]]
"""The reports of one file: its name, their records, and what loads it."""


def _start(name: str, found: Sequence[Record], load: Callable[[], trials.File], seconds: float) -> _Job:
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        os.setpgid(0, 0)
        trials.confine()
        trials.end_after(seconds)
        file = load()
        trials.end_never()
        for record in found:
            started = time.monotonic()
            child = os.fork()
            if child == 0:
                trials.end_after(seconds)
                _report(record, file, seconds, writing)
                os._exit(0)
            os.waitpid(child, 0)
            _write(writing, record["class"], {"done": round(time.monotonic() - started, 2)})
        os._exit(0)
    os.close(writing)
    end = time.monotonic() + (len(found) + 1) * seconds * trials.WAITING + 5
    return _Job(name, [record["class"] for record in found], process, reading, end)


def _report(record: Record, file: trials.File, seconds: float, pipe: int) -> None:
    try:
        for piece in verified(record["report"], file, seconds):
            _write(pipe, record["class"], piece)
    except BaseException as error:
        _write(pipe, record["class"], {"verdict": "limit", "error": trials.text_of(error)})


def _write(pipe: int, name: str, piece: Record) -> None:
    os.write(pipe, json.dumps({"class": name, **piece}).encode() + b"\n")


def _finish(job: _Job) -> Iterator[Record]:
    try:
        os.killpg(job.process, signal.SIGKILL)
    except ProcessLookupError:
        pass
    os.close(job.pipe)
    os.waitpid(job.process, 0)
    pieces = [json.loads(line) for line in job.written.decode(errors="replace").split("\n") if line.endswith("}")]
    for name in job.classes:
        own = [{key: item[key] for key in item if key != "class"} for item in pieces if item["class"] == name]
        late = {"verdict": "limit", "error": "it ran out of time"}
        yield {
            "file": job.name,
            "class": name,
            **next((item for item in own if "verdict" in item), late),
            "tightness": [item for item in own if "kind" in item],
            "seconds": next((item["done"] for item in own if "done" in item), None),
        }


def run(waiting: Iterable[Waiting], jobs: int, seconds: float) -> Iterator[Record]:
    """The verdicts of the reports of files, as they come, `jobs` at once."""
    queue, running = iter(waiting), dict[int, _Job]()
    exhausted = False
    while running or not exhausted:
        while not exhausted and len(running) < jobs:
            following = next(queue, None)
            if following is None:
                exhausted = True
                break
            job = _start(*following, seconds)
            running[job.pipe] = job
        ready, _, _ = select.select(list(running), [], [], 0.2) if running else ([], [], [])
        for pipe in ready:
            read = os.read(pipe, 1 << 16)
            running[pipe].written += read
            if not read:
                yield from _finish(running.pop(pipe))
        for pipe in [pipe for pipe, job in running.items() if time.monotonic() > job.end]:
            yield from _finish(running.pop(pipe))


def _waiting(options: argparse.Namespace, found: Sequence[Record]) -> Iterator[Waiting]:
    done = {(item["file"], item["class"]) for item in records.load(options.out)}
    grouped: dict[str, list[Record]] = {}
    for record in found:
        if record["report"]["status"] == "ok" and (record["file"], record["class"]) not in done:
            grouped.setdefault(record["file"], []).append(record)
    for name, own in grouped.items():
        yield name, own, functools.partial(trials.load, name, corpus.read(options.corpus, name).text)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity.verification", description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="the folder generated/ of a ParityBench checkout")
    parser.add_argument("--results", type=Path, required=True, help="what `python -m benchmarks.parity` wrote")
    parser.add_argument("--out", type=Path, required=True, help="the verdicts, one JSON line a report; added to")
    parser.add_argument("--half", choices=("development", "judging", "all"), default="all")
    parser.add_argument("--sample", type=int, help="of so many files, those that `python -m benchmarks.parity` takes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--limit-seconds", type=float, default=20.0, help="seconds of work for a report")
    parser.add_argument("--rows", type=int, default=30, help="of the table of reasons")
    recording.add_arguments(parser)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = records.of_classes(options.results)
    if options.sample is not None:
        chosen = corpus.sample(corpus.names(options.corpus, options.half), options.sample, options.seed)
        found = [record for record in found if record["file"] in chosen]
    for number, item in enumerate(run(_waiting(options, found), options.jobs, options.limit_seconds), 1):
        records.append(options.out, item)
        if number % 50 == 0:
            print(f"{number} reports", file=sys.stderr, flush=True)
    files = {record["file"] for record in found}
    judged = [item for item in records.load(options.out) if item["file"] in files]
    print(verdicts.soundness(judged, options.rows))
    print()
    print(verdicts.tightness(judged))
    recording.record(options, "parity-verification", verdicts.figures(judged), (), verdicts.cases(judged))


if __name__ == "__main__":
    main()
