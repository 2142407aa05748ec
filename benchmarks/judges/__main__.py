"""``python -m benchmarks.judges --judges DIR``: runs the judges found below a folder, and keeps their scores.

A judge is a program ``DIR/NAME/*judge.py`` with its cases in ``public`` beside it; it takes `--server`, `--interpreter`
and `--json OUT`, prints a score on its last line, and writes there whether each case is right. Cases stay where they
are: what is kept are their digests. `--finished DIR` takes the ``NAME.json`` of judges that have run already.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import recording
from benchmarks.recording import Figure

CASES = "public"


@dataclass(frozen=True)
class Judge:
    """A judge's name and its program."""

    name: str
    program: Path


def judges(folder: Path) -> list[Judge]:
    """Those below a folder, by name."""
    return [Judge(path.parent.name, path) for path in sorted(folder.glob("*/*judge.py"))]


def run(judge: Judge, server: str, interpreter: str, out: Path, more: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """A judge's last line and its JSON; `more` holds flags that are passed on where the judge knows them."""
    folder = judge.program.parent
    cases = folder / CASES
    python = sys.executable
    known = subprocess.run([python, judge.program, "--help"], capture_output=True, text=True, check=True).stdout
    # Some take the folder with the cases, some its two parts.
    apart = (cases / "cases").is_dir() and re.search(r"^\s+expected\b", known, re.MULTILINE) is not None
    where = [cases / "cases", cases / "expected.json"] if apart else [cases]
    flags = [word for name, value in more.items() if f"--{name} " in known for word in (f"--{name}", value)]
    command = [interpreter, judge.program, *(path.relative_to(folder) for path in where)]
    command += ["--server", server, "--interpreter", interpreter, "--json", out, *flags]
    done = subprocess.run(
        [str(item) for item in command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines = done.stdout.strip().splitlines() or ["no output"]
    if not out.exists():
        raise SystemExit("\n".join([f"{judge.name} wrote nothing:", *lines[-10:]]))
    return lines[-1], json.loads(out.read_text(encoding="utf-8"))


def cases(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each case with `right` or another verdict, whichever way a judge writes them down."""
    listed = found.get("cases", found.get("classes", found))
    items = listed.items() if isinstance(listed, Mapping) else enumerate(listed)
    for key, item in items:
        name = next((str(item[word]) for word in ("case", "class", "name") if word in item), str(key))
        right = item["right"] if "right" in item else item["verdict"] == "right"
        # A report with status `ok` that is not right is a wrong one.
        other = item.get("verdict") or item.get("status", "ok")
        yield name, "right" if right else "wrong" if other == "ok" else str(other)


def figures(found: Mapping[str, Any]) -> list[Figure]:
    """How many cases are right, and what else a judge counts."""
    verdicts = Counter(verdict for _, verdict in cases(found))
    total = sum(verdicts.values())
    counts = found.get("counts")
    counted = [Figure(name, number, total) for name, number in counts.items()] if isinstance(counts, Mapping) else []
    return [Figure("right", verdicts["right"], total), *(item for item in counted if item.name != "right")]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judges", description=__doc__)
    parser.add_argument("--judges", type=Path, help="the folder that the judges lie in")
    parser.add_argument("--finished", type=Path, help="a folder with the JSON of judges that have run already")
    parser.add_argument("--server", default="ts-shape-server", help="the command that is judged")
    parser.add_argument("--interpreter", default=sys.executable, help="the Python that has torch and the cases' needs")
    parser.add_argument(
        "--full", default="", help="another Python for the cases that need more, where a judge takes it"
    )
    parser.add_argument("--only", nargs="+", help="judges by name")
    recording.add_arguments(parser)
    options = parser.parse_args()
    interpreter = options.interpreter
    for name, line, found in _found(options):
        print(f"{name}: {line}")
        kept = argparse.Namespace(record=options.record, of=options.of, note=options.note)
        recording.record(kept, f"judges-{name}", figures(found), (), dict(cases(found)), interpreter)


def _found(options: argparse.Namespace) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, last line and JSON of each judge that was asked for."""
    if options.finished is not None:
        for path in sorted(options.finished.glob("*.json")):
            if not options.only or path.stem in options.only:
                found = json.loads(path.read_text(encoding="utf-8"))
                score = figures(found)[0]
                yield path.stem, f"{score.value} of {score.total} right", found
        return
    if options.judges is None:
        raise SystemExit("--judges or --finished is needed")
    server = str(Path(shutil.which(options.server) or options.server).absolute())
    more = {"full": options.full or options.interpreter}
    for judge in judges(options.judges.resolve()):
        if not options.only or judge.name in options.only:
            with tempfile.TemporaryDirectory(prefix="judges-") as place:
                out = Path(place) / "out.json"
                yield judge.name, *run(judge, server, options.interpreter, out, more)


if __name__ == "__main__":
    main()
