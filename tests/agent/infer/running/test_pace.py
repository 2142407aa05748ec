"""A run that will not be done in its time ends early, one that may be done goes on."""

from __future__ import annotations

import pytest
import torch

from ts_shape_server.agent.clock import TimeLimit
from ts_shape_server.agent.infer.running import pace as paced
from ts_shape_server.agent.infer.running.pace import Pace


class Work:
    """A clock that goes on by what each step of a run takes, and by nothing else."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def run(self, pace: Pace, steps: int, each: float, questions: int = 0) -> None:
        tensor = torch.zeros(1)
        with pace:
            for _ in range(steps):
                self.seconds += each
                for _ in range(questions):
                    tensor.dim()
                tensor = torch.relu(tensor)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    made = Work()
    monkeypatch.setattr(paced, "now", lambda: made.seconds)
    return made


def test_a_run_that_would_take_a_hundred_times_as_long_ends_after_a_part_of_the_time(work: Work) -> None:
    with pytest.raises(TimeLimit):
        work.run(Pace(steps=20_000, seconds=0.5), 20_000, 0.0025)
    assert work.seconds < 0.2


@pytest.mark.parametrize("each", [0.0, 0.005], ids=["quick", "a little slower than it should be"])
def test_a_run_that_may_be_done_in_its_time_goes_on(work: Work, each: float) -> None:
    work.run(Pace(steps=100, seconds=0.3), 100, each)


def test_calls_that_only_ask_are_no_steps(work: Work) -> None:
    with pytest.raises(TimeLimit):
        work.run(Pace(steps=1_000, seconds=0.2), 1_000, 0.002, questions=20)
