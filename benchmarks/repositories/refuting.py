"""``python -m benchmarks.repositories.refuting JOB OUT``: the claims about a repository against fresh eager runs.

A process of its own, in the interpreter that has the repository's needs: each file is imported as its own package would
import it, and its `ok` reports are verified from their JSON alone. Nothing of the tool is imported here. The job is
JSON: ``{"root", "files": [{"path", "reports"}], "seconds"}``.
"""

from __future__ import annotations

import functools
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.parity import records, surroundings, trials, verification


def imported(root: Path, path: Path) -> trials.File:
    """A file as a module of its package, where CUDA calls land on the CPU; empty, with the error, where it fails."""
    surroundings.without_cuda()
    package = path.parent
    while (package / "__init__.py").exists() and package != root:
        package = package.parent
    sys.path[:0] = dict.fromkeys([str(package), str(path.parent), str(root)])
    try:
        module = importlib.import_module(".".join(path.relative_to(package).with_suffix("").parts))
    except BaseException as error:
        return trials.File({}, [trials.text_of(error)])
    return trials.File(vars(module), [])


def _waiting(job: dict[str, Any]) -> Iterator[verification.Waiting]:
    root = Path(job["root"])
    for item in job["files"]:
        path = Path(item["path"])
        found = [{"class": report["class"], "report": report} for report in item["reports"]]
        yield str(path.relative_to(root)), found, functools.partial(imported, root, path)


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(1)
    for record in verification.run(_waiting(job), 1, job["seconds"]):
        records.append(Path(sys.argv[2]), record)


if __name__ == "__main__":
    main()
