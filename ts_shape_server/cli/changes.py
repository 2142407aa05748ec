"""What `check` looks at of many files: those that a change reaches, and one machine's share of them.

Git is asked for the names and hashes of a revision alone; what the working tree holds is hashed here. Comparing by
``git diff`` would run the filters and monitors that a repository's own configuration names, outside of any sandbox.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ts_shape_server import reading
from ts_shape_server.analysis import documents
from ts_shape_server.analysis.reaching import Module, module, reached
from ts_shape_server.cli.runs import CommandProblem
from ts_shape_server.contract import wire
from ts_shape_server.workspace import Workspace

_SECONDS = 60.0
_SETTINGS = frozenset({"pyproject.toml"})
"""Files that decide over every class."""
_SPEAKING = (*documents.NAMES, ".yaml", ".yml", ".json", ".toml", ".cfg", ".ini")
"""Endings of files that may name a class, or say what it is made with."""


def share(paths: Sequence[str], part: tuple[int, int]) -> list[str]:
    """The files of one part. Which part a file is in hangs on its name alone, so that machines need not agree on more
    than the number of parts, and a new file moves no other.
    """
    here = Path.cwd()
    number, of = part
    return [path for path in paths if _place(os.path.relpath(path, here)) % of == number - 1]


def _place(name: str) -> int:
    return int.from_bytes(
        hashlib.sha256(name.replace(os.sep, "/").encode("utf-8", "surrogateescape")).digest()[:8], "big"
    )


def reached_files(paths: Sequence[str], revision: str) -> list[str]:
    """Those of the files that differ from a revision of their repositories, or that such a change reaches."""
    workspace = Workspace(())
    roots = dict.fromkeys(_repository(path) for path in paths)
    found: set[str] = set()
    for root in roots:
        changed = _changed(root, revision)
        if any(Path(path).name in _SETTINGS for path in changed):
            return list(paths)
        # One that is gone is missed by those that import it.
        sources = dict.fromkeys((*workspace.files(root), *(path for path in changed if path.endswith(".py"))))
        files = {path: _module(path, root, workspace) for path in sources}
        speaking = [text for path in changed if path.endswith(_SPEAKING) and (text := _text(path))]
        found |= reached(changed, speaking, files)
    return [path for path in paths if path in found]


def _module(path: str, root: str, workspace: Workspace) -> Module:
    parts = Path(path).relative_to(root).with_suffix("").parts
    package = parts[-1] == "__init__"
    return module(parts[:-1] if package else parts, workspace.text(path) or "", package)


def _text(path: str) -> str:
    try:
        return reading.text(path)
    except OSError:
        return ""


def _repository(path: str) -> str:
    folder = Path(path).parent
    for place in (folder, *folder.parents):
        if (place / ".git").exists():
            return str(place)
    raise CommandProblem(f"{path} is in no Git repository, so that what has changed is not known.")


def _changed(root: str, revision: str) -> list[str]:
    """The files of a repository that are not as in a revision, or as where this branch left it."""
    base = _git(root, "merge-base", "--end-of-options", revision, "HEAD")
    start = base.strip().decode("ascii", "replace") if base else revision
    listed = _git(root, "ls-tree", "-r", "-z", "--full-tree", "--end-of-options", start)
    if listed is None:
        raise CommandProblem(f"Git knows no revision {wire.printable(revision)[:80]} in {root}.")
    before: dict[str, str] = {}
    for entry in listed.decode("utf-8", "surrogateescape").split("\0"):
        about, _, name = entry.partition("\t")
        if name:
            before[str(Path(root) / name)] = about.split()[2]
    there = set(Workspace(()).files(root)) | {path for path in before if path.endswith(_SPEAKING)}
    gone = [path for path in before if path.endswith(".py") and path not in there and not Path(path).exists()]
    return [*gone, *(path for path in sorted(there) if _hash(path, before.get(path, "")) != before.get(path))]


def _hash(path: str, like: str) -> str:
    """The name that Git would give to what a file holds; empty for one that cannot be read."""
    try:
        data = reading.data(path, wire.MAXIMUM_FRAME)
    except OSError:
        return ""
    hashed = hashlib.sha256() if len(like) == 64 else hashlib.sha1(usedforsecurity=False)
    hashed.update(b"blob %d\0" % len(data) + data)
    return hashed.hexdigest()


def _git(root: str, *arguments: str) -> bytes | None:
    """What Git prints; None where it fails. Nothing that a repository's configuration names is run."""
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=", "-C", root, *arguments]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"}
    try:
        run = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=_SECONDS, env=environment
        )
    except OSError as error:
        raise CommandProblem(f"Git cannot be run: {error.strerror or error}.") from None
    except subprocess.TimeoutExpired:
        raise CommandProblem(f"Git did not answer within {_SECONDS:.0f} s.") from None
    return run.stdout if run.returncode == 0 else None
