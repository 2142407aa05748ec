"""What the system limits for no process: the files of a folder all together, threads, the time of a class, and on some
systems a process's memory.

Looked at from outside, by the agent, while a job runs: cheap while nothing is wrong.
"""

from __future__ import annotations

import os
import time

from ts_shape_server import folders
from ts_shape_server.agent import clock
from ts_shape_server.agent.sandbox import policy
from ts_shape_server.contract.jobs import Outcome

SECONDS = 0.05
"""From one look to the next. A disk takes perhaps a hundred MiB in this time, a kernel a thousand threads."""
THREADS = 256
"""So many may a process start: the numbers of processes that a machine has are everyone's."""
FILES = 10_000
SIZES = 4
"""So many times the size of one file may all files of a job have together."""
_SUSPICIOUS_BYTES = 32 << 20
_SUSPICIOUS_FILES = 2000


class Allowance:
    """The time that a class may take: seconds of work, so that a busy machine changes nothing.

    Where the system does not tell what a process has worked, and for a process that only waits, it is wall time.
    """

    def __init__(self, pid: int, seconds: float) -> None:
        self.seconds = seconds
        self._pid = pid
        self._began = time.monotonic()
        self._worked = policy.worked(pid)

    def left(self) -> float:
        """Seconds of wall time after which it may be used up, 0 if it may be by now."""
        return max(0.0, self._began + self.seconds - time.monotonic())

    def over(self) -> bool:
        """Whether it is used up."""
        passed = time.monotonic() - self._began
        if passed < self.seconds:
            return False
        worked = policy.worked(self._pid)
        if worked is None or self._worked is None:
            return True
        worked -= self._worked
        return worked >= self.seconds or worked < clock.IDLE * passed or passed >= clock.CONTENTION * self.seconds


class JobGuard:
    """Watches one job. `file_bytes` is the limit of one file; `memory_bytes` None: the system holds that limit."""

    def __init__(self, scratch: str, file_bytes: int, pid: int, memory_bytes: int | None) -> None:
        self._scratch = scratch
        self._bytes = file_bytes * SIZES
        self._pid = pid
        self._memory = memory_bytes
        self._before = policy.resident(pid)
        self._free = self._at_start = _free(scratch)

    def problem(self) -> tuple[Outcome | None, str]:
        """An outcome and words if the job must end; None and nothing while it may go on."""
        if self._memory is not None and policy.resident(self._pid) - self._before > self._memory:
            return "memory", f"it needs more than the limit of {self._memory >> 20} MiB of memory"
        if policy.threads(self._pid) > THREADS:
            return "crashed", f"it started more than {THREADS} threads"
        space, files = _free(self._scratch)
        if self._free[0] - space < _SUSPICIOUS_BYTES and self._free[1] - files < _SUSPICIOUS_FILES:
            return None, ""
        used = folders.usage(self._scratch, FILES)
        if used.files > FILES:
            return "crashed", f"it made more than {FILES} files"
        if used.too_deep:
            return "crashed", f"it made folders inside of more than {folders.DEEPEST} others"
        if used.size > self._bytes:
            return "crashed", f"it wrote more than {self._bytes >> 20} MiB of files"
        # What was removed is held by whoever has it open or mapped, and is in no folder. The file system's own numbers
        # know of it, and of what all others write: a job is ended over them before the disk is full.
        before, files_before = self._at_start
        if before - space > self._bytes and space < before // 2:
            return "crashed", "the disk that its files are on lost more than half of its free space while it ran"
        if files_before - files > FILES and files < files_before // 2:
            return "crashed", "the disk that its files are on lost more than half of its free files while it ran"
        # The disk filled up by other hands: look again only when it does so further.
        self._free = space, files
        return None, ""


def _free(place: str) -> tuple[int, int]:
    """Free bytes and free files of the disk that a folder is on; zeros where that cannot be told."""
    try:
        found = os.statvfs(place)
    except (AttributeError, OSError):
        return 0, 0
    return found.f_bavail * found.f_frsize, found.f_favail
