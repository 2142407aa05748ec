"""Faults of the machine around a probe: full disks, no processes, clocks that jump, an entry of the cache that rots."""

from __future__ import annotations

import errno
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
import weakened
from probing_helpers import quiet

from ts_shape_server.contract.report import Report
from ts_shape_server.probing import store
from ts_shape_server.probing.store import Entry, Store

PACKAGE = Path(__file__).parents[2] / "ts_shape_server"
GOOD = "from torch import nn\nclass Good(nn.Linear):\n    def __init__(self): super().__init__(4, 3)\n"
FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("patches", "words"),
    [
        pytest.param(
            "real = os.makedirs\n"
            "def makedirs(place, **more):\n"
            "    if place.endswith('job-1'): raise OSError(28, 'No space left on device')\n"
            "    real(place, **more)\n"
            "os.makedirs = makedirs",
            "No space left on device",
            id="scratch is full",
        ),
        pytest.param(
            "real, count = os.fork, [0]\n"
            "def fork():\n"
            "    count[0] += 1\n"
            "    if count[0] == 2: raise OSError(11, 'Resource temporarily unavailable')\n"
            "    return real()\n"
            "os.fork = fork",
            "Resource temporarily unavailable",
            id="no process to be had",
        ),
    ],
)
def test_a_job_that_cannot_be_started_is_told_and_the_next_runs(tmp_path: Path, patches: str, words: str) -> None:
    made = weakened.prober(tmp_path, patches, wall=60.0)
    try:
        first = made.reports(tmp_path, GOOD, "Good", on_report=quiet)["Good"]
        agent = made.agent_pid
        second = made.reports(tmp_path, GOOD, "Good", on_report=quiet)["Good"]
        assert first.reason is None or words in first.reason.message
        assert second.status == "ok"
        assert made.agent_pid == agent
    finally:
        made.close()


def test_a_clock_that_jumps_ends_nothing(tmp_path: Path) -> None:
    patches = (
        "import time, itertools\njumps = itertools.cycle((-1e9, 1e9, 0.0, -86400.0))\nreal = time.time\n"
        "time.time = lambda: real() + next(jumps)\ntime.time_ns = lambda: int(time.time() * 1e9)"
    )
    made = weakened.prober(tmp_path, patches, wall=60.0)
    try:
        for _ in range(3):
            assert made.reports(tmp_path, GOOD, "Good", on_report=quiet)["Good"].status == "ok"
    finally:
        made.close()


def test_no_deadline_rests_on_a_clock_that_can_be_set() -> None:
    settable = re.compile(r"\btime\.time\(|\bdatetime\b|\bCLOCK_REALTIME\b")
    found = [str(path) for path in PACKAGE.rglob("*.py") if settable.search(path.read_text(encoding="utf-8"))]
    assert found == []
    assert settable.search("started = time.time()")


def test_a_disk_that_gets_full_leaves_no_half_of_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(data: Any, file: Any) -> None:
        file.write('{"report": ')
        raise FULL

    made = Store(tmp_path)
    report = Report(str(tmp_path / "net.py"), "Net", 1, "ok")
    monkeypatch.setattr(store.json, "dump", half)
    made.put("k", Entry(report, "", {}))
    assert list(tmp_path.iterdir()) == []
    assert made.get("k", "", {}) == report
    assert Store(tmp_path).get("k", "", {}) is None


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("filling", [b"", b"\0" * 64, b"}" * 64])
def test_an_entry_that_rots_is_no_entry_and_is_replaced(tmp_path: Path, keep: float, filling: bytes) -> None:
    report = Report(str(tmp_path / "net.py"), "Net", 1, "ok")
    Store(tmp_path).put("k", Entry(report, "", {}))
    (place,) = tmp_path.iterdir()
    whole = place.read_bytes()
    place.write_bytes(whole[: int(len(whole) * keep)] + filling)
    assert Store(tmp_path).get("k", "", {}) is None
    Store(tmp_path).put("k", Entry(report, "", {}))
    assert Store(tmp_path).get("k", "", {}) == report


def test_no_room_for_a_scratch_folder_is_told(
    make_prober: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prober = make_prober()
    prober.run(prober.service.find())

    def full(**more: Any) -> str:
        raise FULL

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    report = prober.reports(tmp_path, GOOD, "Good", on_report=quiet)["Good"]
    assert report.status == "unresolved"
    assert "No space left on device" in report.reason.message
