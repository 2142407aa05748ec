"""Reports by the hash of all that they depend on, in memory and on disk.

An entry holds the report, the file's text it was made from and the hashes of the workspace files that the probe
imported; it is valid while those files are the same. A damaged entry is no entry. Lines follow edits that leave the
class's code alone (comments, other classes).
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import math
import os
import tempfile
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ts_shape_server.model import Failure, Layer, Location, Range, Report, TorchScript, Variable
from ts_shape_server.probing import wire

IN_MEMORY = 2000
ON_DISK = 5000


@dataclass(frozen=True)
class Entry:
    """A final report with what it was made from. `depends` maps paths to hashes of their text, `until` is by
    `time.monotonic()`.
    """

    report: Report
    text: str
    depends: Mapping[str, str]
    until: float = math.inf


def digest(*parts: str) -> str:
    """A hash of texts, told apart."""
    hasher = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        hasher.update(f"{len(encoded)}:".encode())
        hasher.update(encoded)
    return hasher.hexdigest()


def file_digest(path: str, overlays: Mapping[str, str]) -> str:
    """The hash of a file as a probe would see it; of a file that cannot be read, a word for that."""
    text = overlays.get(path)
    if text is not None:
        return digest(text)
    try:
        state = Path(path).stat()
        known = _digests.get(path)
        if known is None or known[:2] != (state.st_mtime_ns, state.st_size):
            known = (state.st_mtime_ns, state.st_size, digest(Path(path).read_text("utf-8", "replace")))
            _digests[path] = known
        return known[2]
    except OSError:
        return "unreadable"


_digests: dict[str, tuple[int, int, str]] = {}
"""By path: when the file was written, its size, its hash. A hover asks for the same files again and again."""


class Store:
    """Entries by key. `folder` None keeps them in memory alone. Errors of the disk are never errors here."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._memory: OrderedDict[str, Entry] = OrderedDict()

    def get(self, key: str, text: str, overlays: Mapping[str, str]) -> Report | None:
        """The report under this key for a file of that text, its lines as in that text."""
        entry = self._memory.get(key) or self._read(key)
        if entry is None or time.monotonic() > entry.until:
            return None
        if any(file_digest(path, overlays) != known for path, known in entry.depends.items()):
            return None
        self._remember(key, entry)
        return entry.report if entry.text == text else _moved(entry.report, entry.text, text)

    def put(self, key: str, entry: Entry, seconds: float | None = None) -> None:
        """Keep an entry; with `seconds`, for so long and in memory alone."""
        if seconds is not None:
            self._remember(key, replace(entry, until=time.monotonic() + seconds))
        else:
            self._remember(key, entry)
            self._write(key, entry)

    def clear(self) -> None:
        """Forget what is in memory; what is on disk stays."""
        self._memory.clear()

    def _remember(self, key: str, entry: Entry) -> None:
        self._memory[key] = entry
        self._memory.move_to_end(key)
        while len(self._memory) > IN_MEMORY:
            self._memory.popitem(last=False)

    def _read(self, key: str) -> Entry | None:
        if self._folder is None:
            return None
        try:
            data = wire.parse((self._folder / f"{key}.json").read_bytes())
            if wire.validate_report(data["report"]) or not isinstance(data["text"], str):
                return None
            depends = {str(path): str(known) for path, known in data["depends"].items()}
            return Entry(Report.from_json(data["report"]), data["text"], depends)
        except (OSError, wire.WireError, KeyError, TypeError, AttributeError, ValueError):
            return None

    def _write(self, key: str, entry: Entry) -> None:
        if self._folder is None:
            return
        data = {"report": entry.report.to_json(), "text": entry.text, "depends": dict(entry.depends)}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._folder, suffix=".tmp")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(data, file)
                Path(name).replace(self._folder / f"{key}.json")
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(name).unlink()
                raise
            self._prune()
        except (OSError, ValueError):
            return

    def _prune(self) -> None:
        """Drop the oldest tenth once there are too many files."""
        assert self._folder is not None
        files = list(self._folder.glob("*.json"))
        if len(files) > ON_DISK:
            files.sort(key=lambda file: file.stat().st_mtime)
            for file in files[: ON_DISK // 10]:
                file.unlink(missing_ok=True)


def _moved(report: Report, old: str, new: str) -> Report:
    """`report` with the lines of its own file as they are in `new`."""
    lines: dict[int, int] = {}
    matcher = difflib.SequenceMatcher(None, old.splitlines(), new.splitlines(), autojunk=False)
    for block in matcher.get_matching_blocks():
        for offset in range(block.size):
            lines[block.a + offset + 1] = block.b + offset + 1

    def line(number: int) -> int:
        before = max((known for known in lines if known <= number), default=None)
        return lines[before] + (number - before if before != number else 0) if before is not None else number

    def location(place: Location) -> Location:
        if place.path != report.path:
            return place
        span = place.range
        return replace(place, range=Range(line(span.line), span.column, line(span.end_line), span.end_column))

    def failure(item: Failure) -> Failure:
        return replace(
            item,
            location=None if item.location is None else location(item.location),
            related=tuple(location(place) for place in item.related),
        )

    def layer(item: Layer) -> Layer:
        return item if item.line is None else replace(item, line=line(item.line))

    def variable(item: Variable) -> Variable:
        return replace(item, line=line(item.line))

    scripted = report.torchscript
    return replace(
        report,
        line=line(report.line),
        reason=None if report.reason is None else failure(report.reason),
        layers=tuple(map(layer, report.layers)),
        variables=tuple(map(variable, report.variables)),
        mismatches=tuple(map(failure, report.mismatches)),
        torchscript=TorchScript(
            replace(scripted.script, failures=tuple(map(failure, scripted.script.failures))),
            replace(scripted.trace, failures=tuple(map(failure, scripted.trace.failures))),
            scripted.annotations,
        ),
    )


def key(digest_of_class: str, path: str, name: str, *rest: Any) -> str:
    """The key of a report: the class's code, where it is, and everything else that decides."""
    return digest(digest_of_class, path, name, json.dumps(rest, sort_keys=True, default=str))
