"""Tries, from inside, what the sandbox must withhold: a layer that does not hold is found before any user code runs."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable

from ts_shape_server.agent.sandbox.policy import Policy


def failures(policy: Policy, files: bool, calls: bool) -> list[str]:
    """What could still be done, in words that follow "could". `files` and `calls` say which layers are to hold."""
    tried: list[tuple[str, Callable[[], object]]] = []
    if files:
        if not _is_readable(policy, policy.forbidden):
            tried.append(("list a folder outside", lambda: os.listdir(policy.forbidden)))
        tried += [
            ("write a file outside", lambda: os.close(os.open(_place(policy), os.O_WRONLY | os.O_CREAT, 0o600))),
            ("read the system's configuration", lambda: os.close(os.open("/etc/passwd", os.O_RDONLY))),
        ]
    if calls:
        tried += [
            ("open a socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()),
            ("open a socket to other processes", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).close()),
            ("start a process", _fork),
            ("run a program", lambda: os.execv(os.path.join(policy.forbidden, "none"), ["none"])),
            ("signal its parent", lambda: os.kill(policy.parent, 0)),
            ("change a file's mode", lambda: os.chmod(policy.scratch, 0o700)),
        ]
    if not files and not calls:
        return []
    return [words for words, attempt in tried if not _refused(attempt)]


def _is_readable(policy: Policy, folder: str) -> bool:
    """Whether what is granted to read holds a folder: a place for temporary files may be in the workspace."""
    place = os.path.realpath(folder)
    roots = [os.path.realpath(root) for root in policy.readable]
    return any(place == root or place.startswith(root.rstrip(os.sep) + os.sep) for root in roots)


def _place(policy: Policy) -> str:
    return os.path.join(policy.forbidden, "outside")


def _refused(attempt: Callable[[], object]) -> bool:
    """Whether the system refused, by the errors that the layers give; any other error is another matter."""
    try:
        attempt()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _fork() -> None:
    pid = os.fork()
    if pid == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
