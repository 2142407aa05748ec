"""Calls torch's kernels for tensors without memory directly, past the Python code in which fake tensors come to them.

A composite function such as ``einsum`` comes to a dozen operators, and each costs a fake tensor a fraction of a
millisecond before the very same kernel says the sizes. Knows torch's functions by name, and nothing of what a run is
for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

try:
    from torch._subclasses.fake_tensor import FakeTensor
    from torch._subclasses.fake_tensor import in_kernel_invocation_manager as _within_a_kernel
except ImportError:  # a torch without them: nothing is ever of that type
    FakeTensor = type("FakeTensor", (), {})  # type: ignore[assignment,misc]  # stands for torch's class

DIRECT = frozenset(
    [
        *("einsum", "matmul", "__matmul__", "bmm", "mm", "baddbmm", "addmm"),
        *("reshape", "view", "flatten", "unflatten", "permute", "transpose", "swapaxes", "movedim"),
        *("squeeze", "unsqueeze", "expand", "expand_as", "repeat", "tile", "contiguous", "narrow", "select"),
        *("chunk", "split", "unbind", "roll", "flip", "stack", "cat", "concat", "__getitem__"),
        *("softmax", "log_softmax", "layer_norm", "mean", "sum", "amax", "amin", "var", "std"),
        *("add", "sub", "mul", "div", "true_divide", "__add__", "__radd__", "__sub__", "__rsub__"),
        *("__mul__", "__rmul__", "__truediv__", "sqrt", "rsqrt", "pow", "__pow__", "masked_fill", "glu"),
    ]
)
"""Functions that are kernels, or made of kernels, and of nothing that fake tensors do in another way."""


def result(function: Callable[..., Any], name: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """What torch gives for fake tensors whose sizes are numbers; None where it has to be asked in the usual way, as for
    what it refuses.
    """
    if name not in DIRECT or torch.is_grad_enabled() or torch.is_inference_mode_enabled():
        return None
    try:
        tensors = list(_tensors((*arguments, *keywords.values())))
    except TypeError:
        return None
    if not tensors or (name == "__getitem__" and len(tensors) > 1):
        return None
    mode, device = tensors[0].fake_mode, tensors[0].fake_device
    if any(item.fake_mode is not mode or item.fake_device != device for item in tensors):
        return None
    try:
        with _within_a_kernel(mode):
            made = function(*arguments, **keywords)
        return _wrapped(made, mode, device)
    except Exception:
        return None


def _tensors(values: Sequence[Any]) -> Iterator[Any]:
    """The tensors among arguments. TypeError for one that is no plain fake tensor, and for sizes that are symbols."""
    for value in values:
        if type(value) is FakeTensor:
            if value.constant is not None or value._has_symbolic_sizes_strides:
                raise TypeError
            yield value
        elif isinstance(value, (torch.Tensor, torch.SymInt, torch.SymFloat, torch.SymBool)):
            raise TypeError
        elif isinstance(value, (tuple, list)):
            yield from _tensors(value)


def _wrapped(made: Any, mode: Any, device: torch.device) -> Any:
    """A kernel's results as fake tensors of a device. TypeError for what is no tensor."""
    if type(made) in (tuple, list):
        return type(made)(_wrapped(item, mode, device) for item in made)
    if type(made) is FakeTensor:
        return made
    if type(made) is not torch.Tensor or made.device.type != "meta":
        raise TypeError
    return FakeTensor(mode, made, device)
