"""Operations of quantised layers, each as the one on floating numbers whose sizes it has.

Quantised tensors exist on real memory only, so that no symbol goes through them. Their layers are packed with weights
that torch unpacks again: replayed in floating numbers, they say what they take as other layers do. What they compute
is near and not the same; who compares looks at sizes and dtypes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional

from ts_shape_server.agent.infer.running import symbolic

Computed = Callable[[Sequence[Any]], Any]
_quantized: Any = torch.ops.quantized


def function(name: str) -> Computed | None:
    """What stands for an operation, ``quantized::conv2d_relu`` or ``aten::dequantize``; None for one unknown here."""
    namespace, _, plain = name.rpartition("::")
    if namespace == "aten":
        return _FLOATING.get(plain)
    known = _OPERATIONS.get(plain)
    base, relu, rest = plain.rpartition("_relu")
    if known is None and relu and rest in ("", "_dynamic"):
        inner = _OPERATIONS.get(base + rest)
        return None if inner is None else lambda arguments: torch.relu(inner(arguments))
    return known


def is_quantised(name: str) -> bool:
    """Whether an operation is one of quantised tensors, or makes or ends one."""
    return name.startswith("quantized::") or name in {f"aten::{plain}" for plain in _FLOATING}


def _linear(arguments: Sequence[Any]) -> Any:
    weight, bias = _unpacked(_quantized.linear_unpack, arguments[1])
    return functional.linear(arguments[0], weight, bias)


def _convolution(dims: int) -> Computed:
    def compute(arguments: Sequence[Any]) -> Any:
        packed = arguments[1]
        weight, bias = _unpacked(getattr(_quantized, f"conv{dims}d_unpack"), packed)
        # One of one dim is kept as one of two.
        kept = f"conv{max(dims, 2)}d"
        stride, padding, dilation = (
            list(getattr(_quantized, f"{kept}_{what}")(packed))[-dims:] for what in ("stride", "padding", "dilation")
        )
        called = getattr(functional, f"conv{dims}d")
        return called(
            arguments[0], weight, bias, stride, padding, dilation, getattr(_quantized, f"{kept}_groups")(packed)
        )

    return compute


def _transposed(dims: int) -> Computed:
    def compute(arguments: Sequence[Any]) -> Any:
        packed = arguments[1]
        weight, bias = _unpacked(getattr(_quantized, f"conv_transpose{dims}d_unpack"), packed)
        kept = f"conv_transpose{max(dims, 2)}d"
        stride, padding, output_padding, dilation = (
            list(getattr(_quantized, f"{kept}_{what}")(packed))[-dims:]
            for what in ("stride", "padding", "output_padding", "dilation")
        )
        groups = getattr(_quantized, f"{kept}_groups")(packed)
        called = getattr(functional, f"conv_transpose{dims}d")
        return called(arguments[0], weight, bias, stride, padding, output_padding, groups, dilation)

    return compute


def _embedding(arguments: Sequence[Any]) -> Any:
    (weight,) = _unpacked(_quantized.embedding_bag_unpack, arguments[0])
    return functional.embedding(arguments[1], weight)


def _bag(arguments: Sequence[Any]) -> Any:
    (weight,) = _unpacked(_quantized.embedding_bag_unpack, arguments[0])
    modes = ("sum", "mean", "max")
    last = bool(arguments[8]) if len(arguments) > 8 else False
    mode = modes[arguments[4]] if len(arguments) > 4 else "sum"
    return functional.embedding_bag(arguments[1], weight, arguments[2], mode=mode, include_last_offset=last)


def _unpacked(unpack: Any, packed: Any) -> tuple[Any, ...]:
    """The weights of a packed layer in floating numbers."""
    with symbolic.not_fake(), torch.no_grad():
        found = unpack(packed)
        parts = found if isinstance(found, (tuple, list)) else (found,)
        return tuple(item.dequantize() if item is not None and item.is_quantized else item for item in parts)


def _batch_norm(arguments: Sequence[Any]) -> Any:
    tensor, weight, bias, mean, variance, eps = arguments[:6]
    return functional.batch_norm(tensor, mean, variance, weight, bias, False, 0.0, eps)


def _same(arguments: Sequence[Any]) -> Any:
    return arguments[0]


def _of_one(called: Callable[..., Any]) -> Computed:
    return lambda arguments: called(arguments[0])


def _of_two(called: Callable[..., Any]) -> Computed:
    return lambda arguments: called(arguments[0], arguments[1])


_OPERATIONS: Mapping[str, Computed] = {
    "linear": _linear,
    "linear_dynamic": _linear,
    "linear_leaky_relu": _linear,
    "linear_tanh": _linear,
    **{f"conv{dims}d{kind}": _convolution(dims) for dims in (1, 2, 3) for kind in ("", "_dynamic")},
    **{f"conv_transpose{dims}d{kind}": _transposed(dims) for dims in (1, 2, 3) for kind in ("", "_dynamic")},
    "embedding_byte": _embedding,
    "embedding_4bit": _embedding,
    "embedding_bag_byte": _bag,
    "embedding_bag_4bit": _bag,
    "add": _of_two(torch.add),
    "add_scalar": _of_two(torch.add),
    "mul": _of_two(torch.mul),
    "mul_scalar": _of_two(torch.mul),
    "matmul": _of_two(torch.matmul),
    "cat": _of_two(torch.cat),
    "relu6": _of_one(functional.relu6),
    "leaky_relu": _of_one(functional.leaky_relu),
    "hardswish": _of_one(functional.hardswish),
    "sigmoid": _of_one(torch.sigmoid),
    "elu": _of_one(functional.elu),
    "celu": _of_one(functional.celu),
    "prelu": _of_two(functional.prelu),
    "dropout": _same,
    "softmax": lambda arguments: torch.softmax(arguments[0], arguments[1]),
    "layer_norm": lambda arguments: functional.layer_norm(*arguments[:5]),
    "group_norm": lambda arguments: functional.group_norm(*arguments[:5]),
    **{f"batch_norm{kind}": _batch_norm for kind in ("", "1d", "2d", "3d")},
}
_FLOATING: Mapping[str, Computed] = {
    "quantize_per_tensor": _same,
    "quantize_per_tensor_dynamic": _same,
    "quantize_per_channel": _same,
    "dequantize": _same,
}
