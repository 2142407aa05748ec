"""What no limit of the system holds is seen from outside: threads, and a disk filled by files that are in no folder."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ts_shape_server.agent import guards
from ts_shape_server.agent.sandbox import policy

MIB = 1 << 20
FILE = 16 * MIB


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        pytest.param((1000 * MIB, 9**9), (990 * MIB, 9**9), "", id="little is written"),
        pytest.param((1000 * MIB, 9**9), (510 * MIB, 9**9), "", id="others write, and half of it is left"),
        pytest.param((1000 * MIB, 9**9), (490 * MIB, 9**9), "half of its free space", id="the disk fills up"),
        pytest.param((100 * MIB, 9**9), (40 * MIB, 9**9), "", id="no more than a job may write"),
        pytest.param((100 * MIB, 9**9), (30 * MIB, 9**9), "half of its free space", id="a small disk"),
        pytest.param((1000 * MIB, 30_000), (1000 * MIB, 14_000), "half of its free files", id="files"),
        pytest.param((1000 * MIB, 10**6), (1000 * MIB, 900_000), "", id="files of others"),
        pytest.param((0, 0), (0, 0), "", id="the system does not tell"),
    ],
)
def test_the_disk_is_not_filled_by_files_in_no_folder(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: tuple[int, int],
    after: tuple[int, int],
    words: str,
) -> None:
    monkeypatch.setattr(guards, "_free", lambda place: before)
    guard = guards.JobGuard(str(tmp_path), FILE, os.getpid(), None)
    monkeypatch.setattr(guards, "_free", lambda place: after)
    outcome, told = guard.problem()
    assert bool(outcome) is bool(words)
    assert words in told


def test_the_disk_that_fills_up_slowly_is_held_against_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 1000 * MIB
    monkeypatch.setattr(guards, "_free", lambda place: (free, 9**9))
    guard = guards.JobGuard(str(tmp_path), FILE, os.getpid(), None)
    told = [guard.problem()]
    while not told[-1][0]:
        free -= 33 * MIB
        told.append(guard.problem())
    assert (len(told), "half of its free space" in told[-1][1]) == (17, True), told


@pytest.mark.skipif(not policy.threads(os.getpid()), reason="the system does not tell of threads")
def test_threads_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard = guards.JobGuard(str(tmp_path), FILE, os.getpid(), None)
    there = policy.threads(os.getpid())
    monkeypatch.setattr(guards, "THREADS", there + 1)
    end = threading.Event()
    started = [threading.Thread(target=end.wait) for _ in range(3)]
    try:
        assert not guard.problem()[0]
        for thread in started:
            thread.start()
        assert policy.threads(os.getpid()) == there + 3
        assert guard.problem() == ("crashed", f"it started more than {there + 1} threads")
    finally:
        end.set()
        for thread in started:
            thread.join()


def test_a_process_that_is_gone_has_no_threads() -> None:
    assert policy.threads(2**22 + 1) == 0
