"""The sandbox's interface: a policy goes in, the layers that hold come out. The platform's module does the work.

Knows no torch and nothing of probes. A layer that the platform lacks is named with the reason, never left out in
silence; one that was promised and does not hold is an error, and the probe is not run.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

FULL, PARTIAL, LIMITS, NONE = "full", "partial", "limits", "none"
ON = "on"
TURNED_OFF = "turned off by the setting `sandbox`"


@dataclass(frozen=True)
class Policy:
    """What a child may use. Sizes in bytes, times in seconds.

    `readable` are folders and files beside those of the system, `scratch` the one folder it may write. `keep` are the
    descriptors that stay open beside 0, 1 and 2. `tier` is what `available` promised; `parent` the agent's number.
    `forbidden` is a folder that nothing grants: the witness tries it.
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
    """The tier that `enter` would reach here, as far as the kernel tells. Applies nothing."""
    if sys.platform == "linux":
        from ts_shape_server.agent.sandbox import linux

        return linux.available(turned_off)
    return Applied(NONE, {"limits": f"not built for {sys.platform} yet"})


def weakened(applied: Applied, reason: str) -> Applied:
    """`applied` without the layers that the witness did not see hold."""
    kernel = {name: reason for name in ("landlock", "seccomp") if applied.layers.get(name) == ON}
    return Applied(LIMITS, {**applied.layers, **kernel})


def enter(policy: Policy) -> None:
    """Give up, for good, what the policy does not grant, and try it. Raises SandboxUnavailable."""
    if sys.platform == "linux":
        from ts_shape_server.agent.sandbox import linux

        linux.enter(policy)


def adopt_orphans() -> None:
    """From here on a process whose parent has ended becomes a child of this one, so that it can be found and ended."""
    if sys.platform == "linux":
        from ts_shape_server.agent.sandbox import linux

        linux.adopt_orphans()


def end_strays() -> None:
    """End every child of this process, whatever started it. For the agent, while no job runs."""
    if sys.platform == "linux":
        from ts_shape_server.agent.sandbox import linux

        linux.end_strays()
