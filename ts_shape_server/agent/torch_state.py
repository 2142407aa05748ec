"""What torch keeps beside its values for the whole thread: the modes that are in force, gradients, the meta backend.

A `with` statement puts it back, unless an interruption lands between two of its steps; a fake mode that stays in force
that way makes every later tensor a fake one. So `clock` interrupts nothing inside of what handles modes, where torch
itself would abort the process, and has the state put back where an interrupted stretch ends. Knows nothing of what ran.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import overrides
from torch.utils import _python_dispatch as dispatch

from ts_shape_server.agent import clock


def keep() -> Callable[[], None]:
    """What puts back the state as it is now. Some microseconds, as long as nothing has to be put back."""
    modes, functions = _dispatch_modes(), _function_modes()
    gradients, meta = torch.is_grad_enabled(), torch._C._meta_in_tls_dispatch_include()

    def put_back() -> None:
        if not _same(_function_modes(), functions):
            _replace(_function_modes, overrides._pop_mode, overrides._push_mode, functions)
        if not _same(_dispatch_modes(), modes):
            _replace(_dispatch_modes, dispatch._pop_mode, dispatch._push_mode, modes)
        torch.set_grad_enabled(gradients)
        if torch._C._meta_in_tls_dispatch_include() != meta:
            torch._C._set_meta_in_tls_dispatch_include(meta)

    return put_back


def _dispatch_modes() -> list[Any]:
    return [torch._C._get_dispatch_stack_at(place) for place in range(torch._C._len_torch_dispatch_stack())]


def _function_modes() -> list[Any]:
    return [torch._C._get_function_stack_at(place) for place in range(torch._C._len_torch_function_stack())]


def _same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(map(lambda left, right: left is right, one, other))


def _replace(current: Callable[[], list[Any]], pop: Any, push: Any, modes: list[Any]) -> None:
    while current():
        mode = pop()
        if getattr(mode, "in_kernel_invocation", False):
            # A fake mode that was left inside of a kernel takes no further call.
            mode.in_kernel_invocation = False
    for mode in modes:
        push(mode)


clock.keep_through_interruptions(keep)
clock.keep_together("torch._subclasses.", "torch.utils._python_dispatch")
# What is raised in the callback of a weak reference is printed and lost.
clock.keep_together("weakref", "_weakrefset", "torch.utils.weak")
