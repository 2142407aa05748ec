"""``python -m benchmarks.parity.testcases --corpus DIR --cache FILE``: what of the corpus' own deducer still runs.

Each file lists cases (module, constructor arguments, inputs) that ran where the corpus was made. They are run once more
under this torch, each in a process of its own; a class counts if one of its cases does. With ``--results`` the classes
are set beside those that the tool answered.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.parity import corpus, records, trials

Outcomes = dict[str, str]
"""For each class that has a case: an empty text if one runs, else the error of its last."""


def outcomes(name: str, text: str, answers: str, seconds: float) -> Outcomes:
    """Run the cases of a file. A file that ends its process, or hangs, has the classes that came before."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reading)
        trials.confine()
        trials.end_after(seconds)
        for pair in _cases(name, text, answers, seconds):
            os.write(writing, json.dumps(pair).encode() + b"\n")
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        lines = pipe.read().split("\n")
    os.waitpid(process, 0)
    result: Outcomes = {}
    for line in lines:
        if line.endswith("]"):
            found, error = json.loads(line)
            result[found] = "" if result.get(found) == "" else error
    return result


def _cases(name: str, text: str, answers: str, seconds: float) -> Iterator[tuple[str, str]]:
    file = trials.load(name, text)
    trials.end_never()
    for case in _listed(answers, file.namespace):
        cls, initial, inputs = case[:3]

        def build(cls: Any = cls, initial: Any = initial) -> Any:
            arguments, keywords = initial()
            return cls(*arguments, **keywords).eval()

        def call(module: Any, inputs: Any = inputs) -> Any:
            arguments, keywords = inputs()
            return module(*arguments, **keywords)

        trial = trials.isolated(build, call, seconds)
        yield getattr(cls, "__name__", str(cls)), trial.error or ""


def _listed(answers: str, namespace: dict[str, Any]) -> Sequence[Any]:
    """The list `TESTCASES`. Case by case, for one may name what the file could not define."""
    try:
        tree = ast.parse(answers)
    except SyntaxError:
        return []
    assigned = next((node for node in tree.body if isinstance(node, ast.Assign)), None)
    found: list[Any] = []
    for item in assigned.value.elts if assigned is not None and isinstance(assigned.value, ast.List) else ():
        try:
            found.append(eval(compile(ast.Expression(item), "<cases>", "eval"), namespace))
        except Exception as error:
            first = item.elts[0] if isinstance(item, ast.Tuple) and item.elts else item
            found.append((ast.unparse(first), _raising(error), None))
    return found


def _raising(error: Exception) -> Any:
    def initial() -> Any:
        raise error

    return initial


def known(folder: Path, names: Sequence[str], cache: Path, seconds: float) -> dict[str, Outcomes]:
    """The outcomes of these files: those that the cache has not are run, and added to it."""
    found: dict[str, Outcomes] = json.loads(cache.read_text()) if cache.exists() else {}
    waiting = [name for name in names if name not in found]
    for number, name in enumerate(waiting, 1):
        found[name] = outcomes(name, corpus.read(folder, name).text, corpus.answers(folder, name), seconds)
        if number % 20 == 0 or number == len(waiting):
            cache.write_text(json.dumps(found))
            print(f"{number} of {len(waiting)} files", file=sys.stderr, flush=True)
    return {name: found[name] for name in names}


def table(found: dict[str, Outcomes]) -> str:
    classes = [error for outcome in found.values() for error in outcome.values()]
    errors = Counter(error.split(":")[0] for error in classes if error)
    lines = [
        f"files                      {len(found)}",
        f"classes with a case        {len(classes)}",
        f"of these, classes that run {sum(not error for error in classes)}",
        *(f"{count:5d}  {error}" for error, count in errors.most_common(8)),
    ]
    return "\n".join(lines)


def beside(found: dict[str, Outcomes], results: Sequence[records.Record]) -> str:
    """The deducer's classes and the tool's, over the same files."""
    both: Counter[tuple[bool, bool]] = Counter()
    for record in results:
        if record["file"] in found and record["report"]["status"] != "skipped":
            deduced = found[record["file"]].get(record["class"]) == ""
            both[deduced, record["report"]["status"] == "ok"] += 1
    total = sum(both.values()) or 1
    deducer, tool = both[True, True] + both[True, False], both[True, True] + both[False, True]
    lines = [
        f"concrete classes           {sum(both.values())}",
        f"the corpus' deducer        {deducer} ({100 * deducer / total:.1f} %)",
        f"the tool                   {tool} ({100 * tool / total:.1f} %)",
        f"only the deducer           {both[True, False]}",
        f"only the tool              {both[False, True]}",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity.testcases", description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="the folder generated/ of a ParityBench checkout")
    parser.add_argument("--cache", type=Path, required=True, help="a JSON file of what has been run")
    parser.add_argument("--half", choices=("development", "judging", "all"), default="development")
    parser.add_argument("--results", type=Path, help="what `python -m benchmarks.parity` wrote: only its files")
    parser.add_argument("--limit-seconds", type=float, default=20.0, help="seconds of work for a case")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = corpus.names(options.corpus, options.half)
    if options.results is not None:
        finished = records.finished(options.results)
        names = [name for name in names if name in finished]
    found = known(options.corpus, names, options.cache, options.limit_seconds)
    print(table(found))
    if options.results is not None:
        print()
        print(beside(found, records.of_classes(options.results)))


if __name__ == "__main__":
    main()
