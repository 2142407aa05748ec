"""A run that will not be done in its time ends early, one that may be done goes on."""

from __future__ import annotations

import time

import pytest
import torch

from ts_shape_server.agent.clock import TimeLimit, now
from ts_shape_server.agent.infer.running.pace import Pace


def run(pace: Pace, steps: int, each: float, questions: int = 0) -> None:
    tensor = torch.zeros(1)
    with pace:
        for _ in range(steps):
            until = time.process_time() + each
            while time.process_time() < until:
                pass
            for _ in range(questions):
                tensor.dim()
            tensor = torch.relu(tensor)


def test_a_run_that_would_take_a_hundred_times_as_long_ends_after_a_part_of_the_time() -> None:
    began = now()
    with pytest.raises(TimeLimit):
        run(Pace(steps=20_000, seconds=0.5), 20_000, 0.0025)
    assert now() - began < 0.4


@pytest.mark.parametrize("each", [0.0, 0.004], ids=["quick", "a little slower than it should be"])
def test_a_run_that_may_be_done_in_its_time_goes_on(each: float) -> None:
    run(Pace(steps=100, seconds=0.3), 100, each)


def test_calls_that_only_ask_are_no_steps() -> None:
    with pytest.raises(TimeLimit):
        run(Pace(steps=1_000, seconds=0.2), 1_000, 0.002, questions=20)
