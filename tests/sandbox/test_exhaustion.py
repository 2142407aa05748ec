"""What a machine has only once is not used up: its disk, by files that are in no folder, and its threads."""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ts_shape_server.agent.sandbox import policy

pytestmark = pytest.mark.skipif(policy.available().tier != policy.FULL, reason="the kernel lacks a layer")

MIB = 1 << 20
CLASS = """
import mmap, os, threading, time
from torch import nn
class Bad(nn.Module):
    def forward(self, x):
{body}
        time.sleep(999)
"""
HOLDING = """
        held = []
        for number in range({files}):
            with open("file", "wb+") as file:
                file.write(bytes(8 << 20))
                {hold}
            os.unlink("file")
"""
THREADS = """
        threading.stack_size(1 << 15)
        for number in range(400):
            try: threading.Thread(target=time.sleep, args=(999,), daemon=True).start()
            except RuntimeError: pass
"""


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A disk of its own for scratch folders."""
    place = tmp_path / "disk"
    place.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", os.fsencode(place), b"tmpfs", 0, b"size=200m") != 0:
        pytest.skip(f"no file system can be mounted here: {os.strerror(ctypes.get_errno())}")
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    libc.umount2(os.fsencode(place), 2)


def free(place: Path) -> int:
    found = os.statvfs(place)
    return found.f_bfree * found.f_frsize


def ended(prober: Any, folder: Path, body: str) -> str:
    """How a probe was ended of a class that does this and then waits."""
    report = prober.reports(folder, CLASS.format(body=body), "Bad", on_report=lambda report: None)["Bad"]
    assert report.status == "crashed", report.reason
    return str(report.reason.message)


@pytest.mark.parametrize("hold", ["held.append(mmap.mmap(file.fileno(), 4096))", "held.append(os.dup(file.fileno()))"])
def test_files_that_were_removed_and_are_held_do_not_fill_the_disk(
    make_prober: Callable[..., Any], small_disk: Path, tmp_path: Path, hold: str
) -> None:
    (tmp_path / "work").mkdir()
    prober = make_prober(wall=60.0, memory=512 << 20)
    prober.run(prober.service.start())
    before = free(small_disk)
    told = ended(prober, tmp_path / "work", HOLDING.format(files=19, hold=hold))
    assert "lost more than half of its free space" in told
    assert before - free(small_disk) < 8 * MIB


def test_threads_end_the_probe_before_the_machine_has_no_more(make_prober: Callable[..., Any], tmp_path: Path) -> None:
    prober = make_prober(wall=60.0, memory=4 << 30)
    assert "it started more than 256 threads" in ended(prober, tmp_path, THREADS)
    assert policy.threads(prober.agent_pid) == 1
