"""Hostile code tried in a probe, with a secret beside it that it may not reach; what it met is read from its output."""

from __future__ import annotations

import contextlib
import platform
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import weakened
from probing_helpers import Prober, descendants

TRIED = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    result = libc.syscall(number, *arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def attempt():
{body}
try:
    print("OUTCOME done", attempt())
except BaseException as error:
    print("OUTCOME", type(error).__name__, getattr(error, "errno", None))
"""


def lay_out(folder: Path) -> None:
    """A secret and, beside it, a workspace."""
    (folder / "secret").mkdir()
    (folder / "secret" / "key").write_text("private")
    (folder / "work").mkdir()


def attempt(used: Prober, folder: Path, body: str, without: str = "") -> str:
    """How an attempt ended that a module of the workspace makes at import, and that it left nothing behind."""
    if "call(" in body and platform.machine() != "x86_64":
        pytest.skip("the numbers of system calls are those of x86_64")
    if without:
        weakened.switch_off(folder / "work", without.split())
    body = body.replace("SECRET", repr(str(folder / "secret" / "key")))
    body = body.replace("OUTSIDE", repr(str(folder / "secret")))
    body = body.replace("WORKSPACE", repr(str(folder / "work")))
    source = TRIED.replace("{body}", textwrap.indent(textwrap.dedent(body), "    "))
    agent = used.agent_pid
    used.service._agents[0].output._lines.clear()
    used.imported(folder / "work", source)
    outcome = used.printed("OUTCOME").removeprefix("OUTCOME ")
    assert used.agent_pid == agent, "the agent did not live through it"
    assert descendants(agent) == []
    assert threads_of(agent) == 1
    assert list(Path(used.service._agents[0].scratch).glob("job-*")) == []
    return str(outcome)


@contextlib.contextmanager
def nothing_changed(folder: Path) -> Iterator[None]:
    """That what is done here leaves the secret and the workspace as they were."""
    secret, workspace = folder / "secret", folder / "work"
    before = (secret / "key").stat()
    yield
    assert (secret / "key").read_text() == "private"
    after = (secret / "key").stat()
    assert (before.st_mode, before.st_mtime, before.st_nlink) == (after.st_mode, after.st_mtime, after.st_nlink)
    assert [path.name for path in secret.iterdir()] == ["key"]
    assert [path.name for path in workspace.iterdir()] == ["net.py"]
    assert "OUTCOME" in (workspace / "net.py").read_text()


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))
