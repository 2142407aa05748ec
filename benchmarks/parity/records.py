"""One line of results per class, on disk as it comes, so that a run that was cut goes on where it stood."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Record = dict[str, Any]
"""``{"file", "class", "report", "core_seconds"}``, or ``{"file", "done": True, "seconds"}`` after a file's last."""


def load(path: Path) -> Iterator[Record]:
    """The records of a results file; a line that a kill cut short is left out."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                continue


def finished(path: Path) -> set[str]:
    """The files of which every class has its record."""
    return {record["file"] for record in load(path) if record.get("done")}


def of_classes(path: Path) -> list[Record]:
    """The classes' records, the last where a file was begun twice."""
    found = {(record["file"], record["class"]): record for record in load(path) if "report" in record}
    done = finished(path)
    return [record for (file, _), record in found.items() if file in done]


def append(path: Path, record: Record) -> None:
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(record, ensure_ascii=False) + "\n")
