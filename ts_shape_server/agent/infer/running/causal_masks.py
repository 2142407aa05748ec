"""Spares runs without memory the question of torch's transformers whether a mask is the causal one.

It is asked of the mask's values, which are not there, only to choose a faster kernel: no size depends on the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.nn.modules import transformer

from ts_shape_server.agent.infer.running import symbolic

_NAME = "_detect_is_causal_mask"


@contextmanager
def unread() -> Iterator[None]:
    """While in it, a mask without memory is not causal unless the caller says that it is."""
    usual: Any = getattr(transformer, _NAME, None)
    if usual is None:
        # torch before 2.1 does not ask.
        yield
        return

    def detect(mask: Any, is_causal: bool | None = None, size: int | None = None) -> bool:
        if is_causal is None and mask is not None and symbolic.is_fake(mask):
            return False
        told: bool = usual(mask, is_causal, size)
        return told

    setattr(transformer, _NAME, detect)
    try:
        yield
    finally:
        setattr(transformer, _NAME, usual)
