"""What torch keeps for a thread is as before, wherever an interruption strikes: in a mode's first step or its last."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import unset_fake_temporarily

from ts_shape_server.agent import clock, torch_state
from ts_shape_server.agent.infer.running import symbolic

STRIDE = 5
"""One of so many lines is interrupted; what may leave a mode in force is some tens of lines."""


def work() -> None:
    with torch.no_grad(), symbolic.new_mode():
        weight = torch.ones(4, 3)
        with unset_fake_temporarily():
            torch.ones(2)
        torch.nn.functional.linear(torch.ones(2, 3), weight)


def lines_until(interrupted: int) -> int:
    """The lines that `work` goes through; it is interrupted at the first from this one on that may be."""
    count = 0

    def look(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if event in ("call", "line"):
            count += 1
            if count >= interrupted > 0 and not clock.within_steps_that_belong_together(frame):
                sys.settrace(None)
                raise clock.TimeLimit
        return look

    before = sys.gettrace()
    try:
        with clock.time_limit(1000.0):
            sys.settrace(look)
            work()
    except clock.TimeLimit:
        pass
    finally:
        sys.settrace(before)
    return count


# An interruption in the callback of a weak reference is swallowed by Python; a timer would repeat it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interruption_leaves_no_mode_in_force() -> None:
    work()
    left = []
    for place in range(1, lines_until(-1), STRIDE):
        lines_until(place)
        if type(torch.ones(1)) is not torch.Tensor or not torch.is_grad_enabled():
            left.append(place)
        work()
    assert not left


def test_a_state_is_put_back_as_a_whole() -> None:
    back = torch_state.keep()
    mode = symbolic.new_mode()
    mode.__enter__()
    mode.in_kernel_invocation = True
    torch._C._set_meta_in_tls_dispatch_include(True)
    torch.set_grad_enabled(False)
    back()
    assert type(torch.ones(1)) is torch.Tensor
    assert torch.is_grad_enabled()
    assert not torch._C._meta_in_tls_dispatch_include()
    with mode:
        assert symbolic.is_fake(torch.ones(1) + 1)
