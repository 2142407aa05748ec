"""``python -m benchmarks.steady --corpus DIR``: is the answer for a class the same on an idle machine and a busy one?

`show --json` is asked about the same classes of ParityBench twice, each time with an empty store: as the machine is,
and beside processes that do nothing but work. The reports are compared field by field; times may differ.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import recording
from benchmarks.parity import corpus
from benchmarks.recording import Figure, Table

TIMES = frozenset(["core_ms", "elapsed_ms", "seconds"])
Report = Mapping[str, Any]


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes work beside what is inside."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def reports(command: Sequence[str], folder: Path, names: Sequence[str], most: int) -> dict[str, Report]:
    """The reports of files of the corpus by class, each file in a folder of its own, `most` of each at most."""
    found: dict[str, Report] = {}
    for name in names:
        with tempfile.TemporaryDirectory(prefix="steady-") as place:
            # Messages name the file: both times it lies at a path that is told alike.
            path = Path(place) / name
            path.write_text(corpus.read(folder, name).text, encoding="utf-8")
            environment = {**os.environ, "XDG_CACHE_HOME": str(Path(place) / "cache")}
            done = subprocess.run(
                [*command, str(path)], env=environment, stdout=subprocess.PIPE, text=True, check=False
            )
            lines = [line.replace(place, "") for line in done.stdout.splitlines() if line.startswith("{")]
        for line in lines[:most]:
            report = json.loads(line)
            found[f"{name}:{report['class']}"] = report
    return found


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """The fields in which two reports differ, by path, without the numbers of list items."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        names = [name for name in dict.fromkeys([*one, *other]) if name not in TIMES]
        return [item for name in names for item in differences(one.get(name), other.get(name), f"{place}.{name}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = zip(one, other, strict=True)
        return list(dict.fromkeys(item for pair in pairs for item in differences(*pair, f"{place}[]")))
    return [] if one == other else [place.removeprefix(".") or "all of it"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steady", description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="the folder generated/ of a ParityBench checkout")
    parser.add_argument("--sample", type=int, default=15, help="so many files")
    parser.add_argument("--classes", type=int, default=4, help="so many classes of a file at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--busy", type=int, default=8, help="processes that work beside")
    parser.add_argument("--server", default="", help="the command ts-shape-server; this interpreter's if not given")
    recording.add_arguments(parser)
    options = parser.parse_args()
    start = shlex.split(options.server) or [sys.executable, "-m", "ts_shape_server"]
    command = [*start, "show", "--json", "--interpreter", sys.executable]
    names = corpus.sample(corpus.names(options.corpus), options.sample, options.seed)
    idle = reports(command, options.corpus, names, options.classes)
    with busy(options.busy):
        beside = reports(command, options.corpus, names, options.classes)
    differing = {name: differences(idle[name], beside.get(name)) for name in idle}
    fields = Counter(field for found in differing.values() for field in found)
    same = sum(not found for found in differing.values())
    for name, found in differing.items():
        if found:
            print(f"{name}: {', '.join(found)}")
    print(f"{same} of {len(differing)} answers are the same")
    options.server = None
    table = Table("Fields that differ", ("field", "classes"), tuple(fields.most_common(20)))
    cases = {name: "differs" if found else "same" for name, found in differing.items()}
    recording.record(options, "steady", [Figure("the same answer", same, len(differing))], [table], cases)


if __name__ == "__main__":
    main()
