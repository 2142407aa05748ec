"""The sandbox's interface: a policy goes in, the layers that hold come out. The platform's module does the work.

Knows no torch and nothing of probes. A layer that the platform lacks is named with the reason, never left out in
silence.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

FULL, PARTIAL, LIMITS, NONE = "full", "partial", "limits", "none"
ON = "on"


@dataclass(frozen=True)
class Policy:
    """What a child may use.

    `readable` are folders, `scratch` the one folder it may write; sizes in bytes, times in seconds.

    `keep` are the descriptors that stay open beside 0, 1 and 2.
    """

    readable: tuple[str, ...]
    scratch: str
    cpu_seconds: int
    memory_bytes: int
    file_bytes: int
    open_files: int
    keep: tuple[int, ...]
    parent: int


@dataclass(frozen=True)
class Applied:
    """The tier that holds, and for each layer ``on`` or the reason why it does not."""

    tier: str
    layers: Mapping[str, str]


class SandboxUnavailable(Exception):
    """A layer that was promised could not be applied, or a witness saw it fail."""


def available() -> Applied:
    """The tier that `enter` would reach here. Applies nothing."""
    if sys.platform == "linux":
        from ts_shape_server.agent.sandbox import linux

        return linux.available()
    return Applied(NONE, {"limits": f"not built for {sys.platform} yet"})


def enter(policy: Policy) -> Applied:
    """Give up, for good, what the policy does not grant. Raises SandboxUnavailable."""
    if sys.platform == "linux":
        from ts_shape_server.agent.sandbox import linux

        return linux.enter(policy)
    return available()
