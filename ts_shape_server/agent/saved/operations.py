"""TorchScript's operations as functions of Python: torch's own for tensors, plain ones for numbers and lists.

`function` gives what a person would have called, with the arguments in the order in which a person gives them. Knows
nothing of graphs.
"""

from __future__ import annotations

import builtins
import functools
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional

from ts_shape_server.agent.saved import quantised

_NATIVE: tuple[Any, ...] = (getattr(torch._C, "_nn", None), getattr(torch._C, "_VariableFunctions", None), torch.Tensor)
_DTYPES = {
    0: torch.uint8,
    1: torch.int8,
    2: torch.int16,
    3: torch.int32,
    4: torch.int64,
    5: torch.float16,
    6: torch.float32,
    7: torch.float64,
    8: torch.complex32,
    9: torch.complex64,
    10: torch.complex128,
    11: torch.bool,
    12: torch.qint8,
    13: torch.quint8,
    14: torch.qint32,
    15: torch.bfloat16,
}
"""By the number that TorchScript has for each."""
DTYPE_NUMBERS = {dtype: number for number, dtype in _DTYPES.items()}
_MEMORY_FORMATS = (torch.contiguous_format, torch.preserve_format, torch.channels_last, torch.channels_last_3d)
_NUMBERED: Mapping[str, Callable[[Any], Any]] = {
    "ScalarType": lambda number: _DTYPES[number] if isinstance(number, int) else number,
    "MemoryFormat": lambda number: _MEMORY_FORMATS[number] if isinstance(number, int) else number,
    "Layout": lambda number: torch.strided if number == 0 else number,
}
_NUMBERED_ARGUMENT = re.compile(r"\b(ScalarType|MemoryFormat|Layout)\?? (\w+)")
_ENDLESS = (1 << 63) - 1


_LEFT_OUT = frozenset([("to", "layout"), ("to", "pin_memory")])
"""Arguments of operations that their functions in Python do not take."""


class Unsupported(Exception):
    """An operation that has no function here; the text is its name."""


@functools.cache
def tensor_function(name: str, schema: str) -> Callable[[Sequence[Any]], Any]:
    """What computes an operation of tensors from all of its arguments, in the order of its schema. Raises Unsupported.

    Arguments at the end that have their default values are left out, as a person leaves them out.
    """
    namespace, _, plain = name.rpartition("::")
    adapted = _ADAPTED.get(plain) if namespace == "aten" else None
    if adapted is not None:
        return adapted
    floating = quantised.function(name)
    if floating is not None:
        return floating
    if namespace == "quantized":
        raise Unsupported(name)
    called = _native(namespace, plain)
    numbered = {word: _NUMBERED[kind] for kind, word in _NUMBERED_ARGUMENT.findall(schema)}
    parsed = torch._C.parse_schema(schema).arguments
    takes = [
        (item.name, item.kwarg_only, item.has_default_value(), item.default_value, numbered.get(item.name))
        for item in parsed
    ]

    def call(arguments: Sequence[Any]) -> Any:
        positional: list[Any] = []
        keywords: dict[str, Any] = {}
        kept = 0
        for value, (word, named, optional, default, convert) in zip(arguments, takes):
            usual = optional and (value is default or (type(value) is type(default) and value == default))
            if convert is not None and value is not None:
                value = convert(value)
            if named:
                if not usual and (plain, word) not in _LEFT_OUT:
                    keywords[word] = value
            else:
                positional.append(value)
                kept = kept if usual else len(positional)
        return called(*positional[:kept], **keywords)

    return call


def _native(namespace: str, name: str) -> Callable[..., Any]:
    if namespace == "aten":
        for place in _NATIVE:
            found = getattr(place, name, None)
            if found is not None:
                return found  # type: ignore[no-any-return]  # whatever the module has
    packet = getattr(getattr(torch.ops, namespace), name, None)
    if packet is None:
        raise Unsupported(f"{namespace}::{name}")
    return packet  # type: ignore[no-any-return]  # made by torch when it is asked for


def _convolution(arguments: Sequence[Any]) -> Any:
    tensor, weight, bias, stride, padding, dilation, transposed, output_padding, groups = arguments[:9]
    number = len(stride)
    if transposed:
        called = getattr(torch, f"conv_transpose{number}d")
        return called(tensor, weight, bias, stride, padding, output_padding, groups, dilation)
    return getattr(torch, f"conv{number}d")(tensor, weight, bias, stride, padding, dilation, groups)


def _batch_norm(arguments: Sequence[Any]) -> Any:
    tensor, weight, bias, mean, variance, training, momentum, eps = arguments[:8]
    return functional.batch_norm(tensor, mean, variance, weight, bias, training, momentum, eps)


def _layer_norm(arguments: Sequence[Any]) -> Any:
    return functional.layer_norm(*arguments[:5])


def _group_norm(arguments: Sequence[Any]) -> Any:
    return functional.group_norm(*arguments[:5])


def _dropout(arguments: Sequence[Any]) -> Any:
    tensor, share, training = arguments
    return functional.dropout(tensor, share, training) if training else tensor


def _embedding(arguments: Sequence[Any]) -> Any:
    weight, indices = arguments[:2]
    return functional.embedding(indices, weight)


def _slice(arguments: Sequence[Any]) -> Any:
    values, dim, start, end, step = arguments
    if (start is None or _is(start, 0)) and (end is None or _is(end, _ENDLESS)) and _is(step, 1):
        return values
    axis = dim % values.dim()
    end = None if _is(end, _ENDLESS) else end
    place = (*[slice(None)] * axis, slice(start, end, None if _is(step, 1) else step))
    return values[place]


def _is(value: Any, number: int) -> bool:
    return type(value) is int and value == number


def _index(arguments: Sequence[Any]) -> Any:
    tensor, indices = arguments
    return tensor[tuple(slice(None) if index is None else index for index in indices)]


def _einsum(arguments: Sequence[Any]) -> Any:
    return torch.einsum(arguments[0], *arguments[1])


def _size(arguments: Sequence[Any]) -> Any:
    return arguments[0].size(arguments[1]) if len(arguments) > 1 else list(arguments[0].shape)


def _item(arguments: Sequence[Any]) -> Any:
    return arguments[0].item()


def _to_int(arguments: Sequence[Any]) -> Any:
    return int(arguments[0])


def _to_float(arguments: Sequence[Any]) -> Any:
    return float(arguments[0])


def _to_bool(arguments: Sequence[Any]) -> Any:
    return bool(arguments[0])


_ADAPTED: Mapping[str, Callable[[Sequence[Any]], Any]] = {
    "_convolution": _convolution,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "dropout": _dropout,
    "dropout_": _dropout,
    "feature_dropout": _dropout,
    "embedding": _embedding,
    "slice": _slice,
    "index": _index,
    "einsum": _einsum,
    "size": _size,
    "Int": _to_int,
    "IntImplicit": _to_int,
    "Float": _to_float,
    "FloatImplicit": _to_float,
    "Bool": _to_bool,
    "item": _item,
    "ScalarImplicit": _item,
    "len": lambda arguments: len(arguments[0]),
    "warn": lambda arguments: None,
    "__is__": lambda arguments: arguments[0] is arguments[1],
    "__isnot__": lambda arguments: arguments[0] is not arguments[1],
    "_unwrap_optional": lambda arguments: _present(arguments[0]),
    "list": lambda arguments: list(arguments[0]),
}
"""Operations whose arguments come in another order than a person's, or that mean a question of Python."""


def _present(value: Any) -> Any:
    if value is None:
        raise ValueError("Unwrapping null optional")
    return value


def _numeric_add(left: Any, right: Any, alpha: Any = 1) -> Any:
    return left + (right if _is(alpha, 1) else alpha * right)


def _numeric_sub(left: Any, right: Any, alpha: Any = 1) -> Any:
    return left - (right if _is(alpha, 1) else alpha * right)


def _numeric_div(left: Any, right: Any, rounding: Any = None) -> Any:
    if rounding is None:
        return left / right
    return left // right if rounding == "floor" else int(left / right)


def _put(values: Any, place: Any, value: Any) -> Any:
    values[place] = value
    return values


def _grown(values: list[Any], value: Any) -> list[Any]:
    values.append(value)
    return values


def _format(text: str, *values: Any) -> str:
    return text.format(*values)


def _derived(number: int, start: int, step: int) -> int:
    return start + number * step


def _range_length(start: int, end: int, step: int) -> int:
    return len(range(start, end, step))


def _tensor_of(value: Any, dtype: Any = None, *_: Any) -> Any:
    return torch.tensor(value, dtype=_DTYPES.get(dtype))


def _first(value: Any, *_: Any) -> Any:
    return value


_PLAIN: Mapping[str, Callable[..., Any]] = {
    "add": _numeric_add,
    "add_": operator.iadd,
    "sub": _numeric_sub,
    "rsub": lambda left, right, alpha=1: _numeric_sub(right, left, alpha),
    "mul": operator.mul,
    "div": _numeric_div,
    "floordiv": operator.floordiv,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "mod": operator.mod,
    "fmod": math.fmod,
    "neg": operator.neg,
    "pow": operator.pow,
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "__and__": operator.and_,
    "__or__": operator.or_,
    "__xor__": operator.xor,
    "__not__": operator.not_,
    "__lshift__": operator.lshift,
    "__rshift__": operator.rshift,
    "__is__": operator.is_,
    "__isnot__": operator.is_not,
    "__contains__": operator.contains,
    "__getitem__": operator.getitem,
    "_set_item": _put,
    "__range_length": _range_length,
    "__derive_index": _derived,
    "len": len,
    "append": _grown,
    "extend": lambda values, more: values.extend(more),
    "insert": lambda values, place, value: values.insert(place, value),
    "pop": lambda values, place=-1, *rest: values.pop(place, *rest),
    "reverse": lambda values: values.reverse(),
    "clear": lambda values: values.clear(),
    "copy": lambda values: values.copy(),
    "index": lambda values, value: values.index(value),
    "count": lambda values, value: values.count(value),
    "list": list,
    "keys": lambda values: list(values.keys()),
    "values": lambda values: list(values.values()),
    "items": lambda values: list(values.items()),
    "get": lambda values, key, default=None: values.get(key, default),
    "slice": lambda values, start, end, step: values[start:end:step],
    "format": _format,
    "percentFormat": lambda text, *values: text % values,
    "str": str,
    "join": lambda text, values: text.join(values),
    "Int": lambda value: value if isinstance(value, torch.SymInt) else int(value),
    "Float": float,
    "Bool": bool,
    "ceil": math.ceil,
    "floor": math.floor,
    "round": round,
    "sqrt": lambda value: value**0.5,
    "exp": math.exp,
    "log": math.log,
    "abs": abs,
    "sum": sum,
    "all": all,
    "any": any,
    "min": min,
    "max": max,
    "sorted": sorted,
    "device": torch.device,
    "warn": lambda *_: None,
    "_unwrap_optional": _present,
    "tensor": _tensor_of,
    "scalar_tensor": _tensor_of,
    "to": _first,
    "detach": _first,
    "cpu": _first,
    "IntImplicit": int,
    "FloatImplicit": float,
    "ScalarImplicit": _first,
    "item": _first,
}


def plain_function(name: str) -> Callable[..., Any] | None:
    """What computes an operation of numbers, texts and containers; None where only torch can."""
    return _PLAIN.get(name)


def raised(text: str, kind: str | None) -> Exception:
    """The error that a module raises itself, by the name of its class."""
    plain = (kind or "").rpartition(".")[2]
    match = re.match(r"(\w+Error): ", text)
    if not plain and match:
        plain, text = match.group(1), text[match.end() :]
    found = getattr(builtins, plain, None)
    made = found if isinstance(found, type) and issubclass(found, Exception) else RuntimeError
    return made(text)
