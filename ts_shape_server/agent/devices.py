"""Code that asks for an accelerator runs on a machine without one: CUDA calls land on the CPU.

Only for children, only where torch finds no CUDA. Device *names* stay what the code wrote where torch allows them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode, _get_current_function_mode

_FACTORIES = ("FloatTensor", "LongTensor", "HalfTensor", "DoubleTensor", "IntTensor", "ByteTensor", "BoolTensor")


class OnCpu(TorchFunctionMode):
    """Replaces CUDA devices in the arguments of torch calls."""

    def __torch_function__(
        self, function: Any, types: Any, arguments: Sequence[Any] = (), keywords: Mapping[str, Any] | None = None
    ) -> Any:
        keywords = dict(keywords or {})
        name = getattr(function, "__name__", "")
        if name == "cuda":
            return arguments[0]
        if name == "get_device":
            return -1
        if _is_accelerator(keywords.get("device")):
            keywords["device"] = "cpu"
        if name in ("to", "type"):
            arguments = [_cpu_type(item) if index else item for index, item in enumerate(arguments)]
        return function(*arguments, **keywords)


def _is_accelerator(device: Any) -> bool:
    if isinstance(device, torch.device):
        return device.type in ("cuda", "mps", "xpu")
    if isinstance(device, str):
        return device.split(":")[0] in ("cuda", "mps", "xpu")
    return isinstance(device, int) and not isinstance(device, bool)


def _cpu_type(value: Any) -> Any:
    if isinstance(value, (str, torch.device)) and _is_accelerator(value):
        return "cpu"
    if isinstance(value, str) and value.startswith("torch.cuda."):
        return value.replace("torch.cuda.", "torch.")
    return value


class _NoDevice:
    """Stands for a context that selects a device."""

    def __init__(self, *arguments: Any) -> None:
        return None

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


_mode: OnCpu | None = None


@contextlib.contextmanager
def suspended() -> Iterator[None]:
    """While in it torch's own calls come to torch directly: with frames of this module between, torch takes this module
    for the author's code. What asks for an accelerator fails here.
    """
    innermost = _get_current_function_mode()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    if _mode is None or innermost is not _mode:
        yield
        return
    _mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    try:
        yield
    finally:
        _mode.__enter__()  # type: ignore[no-untyped-call]  # torch leaves it untyped


def pretend() -> None:
    """From here on CUDA calls of this process land on the CPU. A second call does nothing."""
    global _mode
    if _mode is not None or torch.cuda.is_available():
        return
    _mode = OnCpu()
    _mode.__enter__()  # type: ignore[no-untyped-call]  # torch leaves it untyped

    def to_cpu(self: nn.Module, *arguments: Any, **keywords: Any) -> nn.Module:
        kept: dict[str, Any] = {name: _cpu_type(item) if name == "device" else item for name, item in keywords.items()}
        return original_to(self, *[_cpu_type(item) for item in arguments], **kept)

    original_to = nn.Module.to
    nn.Module.to = to_cpu  # type: ignore[method-assign, assignment]  # the point of this module
    nn.Module.cuda = lambda self, device=None: self  # type: ignore[method-assign]  # likewise
    torch.Tensor.cuda = lambda self, *arguments, **keywords: self  # type: ignore[method-assign]  # likewise
    torch.set_default_device = lambda device: None
    torch.cuda.device = _NoDevice  # type: ignore[misc, assignment]  # likewise
    torch.cuda.stream = lambda stream: _NoDevice()  # type: ignore[assignment, return-value]  # likewise
    torch.cuda.current_device = lambda: 0
    torch.cuda.set_device = lambda device: None
    torch.cuda.synchronize = lambda device=None: None
    torch.cuda.empty_cache = lambda: None
    for name in _FACTORIES:
        setattr(torch.cuda, name, getattr(torch, name))
