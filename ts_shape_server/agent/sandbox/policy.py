"""The sandbox's interface: a policy goes in, the layers that hold come out. The platform's module does the work.

Knows no torch and nothing of probes. A layer that the platform lacks is named with the reason, never left out in
silence; one that was promised and does not hold is an error, and the probe is not run.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

FULL, SEATBELT, PARTIAL, LIMITS, NONE = "full", "seatbelt", "partial", "limits", "none"
STRONG = frozenset({FULL, SEATBELT})
"""Tiers in which a stranger's code may run by itself."""
ON = "on"
TURNED_OFF = "turned off by the setting `sandbox`"


@dataclass(frozen=True)
class Policy:
    """What a child may use. Sizes in bytes, times in seconds.

    `readable` are folders and files beside those of the system, `scratch` the one folder it may write. `keep` are the
    descriptors that stay open beside 0, 1 and 2. `tier` is what `available` promised; `parent` the agent's number.
    `forbidden` is a folder that may not be written to, nor read if `readable` does not hold it: the witness tries it.
    """

    readable: tuple[str, ...]
    scratch: str
    cpu_seconds: int
    memory_bytes: int
    file_bytes: int
    open_files: int
    keep: tuple[int, ...]
    parent: int
    tier: str
    forbidden: str


@dataclass(frozen=True)
class Applied:
    """The tier that holds, and for each layer ``on`` or the reason why it does not."""

    tier: str
    layers: Mapping[str, str]


class SandboxUnavailable(Exception):
    """A layer that was promised could not be applied, or the witness saw it fail."""


def available(turned_off: bool = False) -> Applied:
    """The tier that `enter` would reach here, as far as the system tells. Applies nothing."""
    platform = _platform()
    if platform is None:
        return Applied(NONE, {"limits": f"not built for {sys.platform}"})
    return platform.available(turned_off)


def weakened(applied: Applied, reason: str) -> Applied:
    """`applied` without the layers that the witness did not see hold."""
    kernel = {name: reason for name in _WITNESSED if applied.layers.get(name) == ON}
    return Applied(LIMITS, {**applied.layers, **kernel})


_WITNESSED = ("landlock", "seccomp", "seatbelt", "low integrity")


def enter(policy: Policy) -> None:
    """Give up, for good, what the policy does not grant, and try it. Raises SandboxUnavailable."""
    platform = _platform()
    if platform is not None:
        platform.enter(policy)


def adopt_orphans() -> None:
    """From here on a process whose parent has ended becomes a child of this one, so that it can be found and ended."""
    if sys.platform == "linux":
        from ts_shape_server.agent.sandbox import linux

        linux.adopt_orphans()


def end_with_server(scratch: str, request: int) -> None:
    """End, and remove the scratch folder, when the server is killed while this process gets ready, which takes seconds
    in which it looks at nothing. `request` is the descriptor of which the server has the other end.
    """
    if sys.platform == "linux":
        from ts_shape_server.agent.sandbox import linux

        linux.end_with_server(scratch, request)


def outlive_server() -> None:
    """From here on this process itself looks whether the server is there."""
    if sys.platform == "linux":
        from ts_shape_server.agent.sandbox import linux

        linux.outlive_server()


def end_strays(keep: frozenset[int] = frozenset()) -> None:
    """End every child of this process but those of `keep`, whatever started it. For the agent, while no job runs."""
    if sys.platform == "linux":
        from ts_shape_server.agent.sandbox import linux

        linux.end_strays(keep)


def needs_spares() -> bool:
    """Whether a process that has torch loaded cannot be forked here."""
    return sys.platform != "linux"


def watches_memory() -> bool:
    """Whether the system holds no limit of memory by itself, so that the agent has to look."""
    return sys.platform == "darwin"


def resident(pid: int) -> int:
    """The bytes of memory that a process holds; 0 if that cannot be told."""
    platform = _platform()
    return 0 if platform is None else platform.resident(pid)


def worked(pid: int) -> float | None:
    """Seconds of processor time that a process has used, its threads included; None if that cannot be told here."""
    if sys.platform == "linux":
        from ts_shape_server.agent.sandbox import linux

        return linux.worked(pid)
    return None


def threads(pid: int) -> int:
    """How many threads a process has; 0 if that cannot be told here."""
    if sys.platform == "linux":
        from ts_shape_server.agent.sandbox import linux

        return linux.threads(pid)
    return 0


class _Platform(Protocol):
    """What each platform's module has."""

    def available(self, turned_off: bool) -> Applied: ...

    def enter(self, policy: Policy) -> None: ...

    def resident(self, pid: int) -> int: ...


def _platform() -> _Platform | None:
    if sys.platform == "linux":
        from ts_shape_server.agent.sandbox import linux

        return linux
    if sys.platform == "darwin":
        from ts_shape_server.agent.sandbox import macos

        return macos
    if sys.platform == "win32":
        from ts_shape_server.agent.sandbox import windows

        return windows
    return None
