"""Fixtures for tests of probes: a running service for a whole module, and what it leaves behind."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from probing_helpers import Prober, descendants

from ts_shape_server.agent import clock

# Hypothesis has Python call it after each collection: what is raised there goes nowhere.
clock.keep_together("hypothesis")


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    made = Prober()
    made.run(made.service.start())
    assert made.service.problem is None, made.service.problem
    yield made
    made.close()


@pytest.fixture
def survivors(prober: Prober) -> Iterator[Callable[[], list[int]]]:
    """What is left of a probe: processes below the agent."""
    yield lambda: descendants(prober.agent_pid)


@pytest.fixture(scope="session")
def alive() -> Callable[[int], bool]:
    """Whether a process exists and is no zombie."""

    def look(pid: int) -> bool:
        try:
            return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    return look


@pytest.fixture
def make_prober() -> Iterator[Callable[..., Prober]]:
    """For a test that needs an agent of its own, to end it or to configure it."""
    made: list[Prober] = []

    def make(**options: Any) -> Prober:
        made.append(Prober(**options))
        return made[-1]

    yield make
    for each in made:
        each.close()


assert os.name == "posix", "the tests of probes are written for POSIX systems"
