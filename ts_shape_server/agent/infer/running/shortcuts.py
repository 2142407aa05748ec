"""Answers torch calls of a run without memory whose result is known: no values are computed there, sizes alone.

Three ways: what keeps its input's sizes by definition gives the input back, once its own requirements are checked; a
call like an earlier one (same function, same sizes, strides and dtypes) gives what that one gave, so that a block which
repeats costs once; and the sizes of a new one are computed here, or by torch's own kernels (`kernels`). A call that is
not surely of this kind goes to torch, as does one whose requirements are not met: the error is torch's own. Knows
torch's public functions by name, and nothing of what a run is for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from ts_shape_server.agent.infer.running import call_names, kernels

try:
    from torch._subclasses.fake_tensor import FakeTensor
    from torch.utils._mode_utils import no_dispatch
except ImportError:  # a torch without them: nothing is ever of that type
    FakeTensor = type("FakeTensor", (), {})  # type: ignore[assignment,misc]

MAXIMUM = 20_000
"""So many results are remembered for a module."""

_NOTHING = object()


class Shortcuts:
    """For one run. `remembered` holds the results of earlier calls and may be shared by runs on the same sizes' terms:
    those on numbers, or those of one set of symbols. `origin` tells tensors apart that an observer must not confuse;
    it raises LookupError for those that must stay themselves. `plainer` takes the place of a new tensor by one whose
    sizes are easier to reason about.
    """

    def __init__(
        self,
        remembered: dict[Any, Any],
        origin: Callable[[torch.Tensor], Any],
        plainer: Callable[[Any], Any] | None = None,
    ) -> None:
        self._remembered = remembered
        self._origin = origin
        self._plainer = plainer
        self._described: dict[int, tuple[torch.Tensor, Any]] = {}
        self.unsafe = False

    def call(
        self, function: Callable[..., Any], name: str, arguments: Sequence[Any], keywords: Mapping[str, Any]
    ) -> Any:
        """The result of `function`, from torch or without it. Raises what torch raises."""
        if name in call_names.RESHAPES:
            self.unsafe = True
        if (
            name not in call_names.PURE and name not in call_names.SAME and name not in call_names.BOTH
        ) or not _ordinary():
            return function(*arguments, **keywords)
        kept = self._kept(name, arguments, keywords)
        if kept is not None:
            return kept
        if name not in call_names.PURE:
            return function(*arguments, **keywords)
        key = self._key(function, arguments, keywords)
        if key is None:
            made = self._made(function, name, arguments, keywords)
            return self._plain(function(*arguments, **keywords) if made is None else made)
        known = self._remembered.get(key, _NOTHING)
        if known is not _NOTHING:
            return list(known) if isinstance(known, list) else known
        made = self._made(function, name, arguments, keywords)
        result = self._plain(function(*arguments, **keywords) if made is None else made)
        if _is_tensors(result) and len(self._remembered) < MAXIMUM:
            self._remembered[key] = list(result) if isinstance(result, list) else result
        return result

    def _plain(self, result: Any) -> Any:
        if self._plainer is None:
            return result
        if type(result) in (tuple, list):
            return type(result)(self._plainer(item) if type(item) is FakeTensor else item for item in result)
        return self._plainer(result) if type(result) is FakeTensor else result

    def _kept(self, name: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        """The first argument, where the result is one like it; None where that is not sure."""
        first = arguments[0] if arguments else None
        if type(first) is not FakeTensor or not first.is_floating_point():
            return None
        try:
            if name in call_names.SAME:
                fits = len(arguments) == 1 and not {"out", "dtype"} & keywords.keys()
                fits = fits or name in ("dropout", "leaky_relu", "leaky_relu_", "hardtanh", "hardtanh_", "elu", "relu")
            elif name in call_names.BOTH:
                fits = len(arguments) == 2 and not keywords and self._alike(first, arguments[1])
            else:
                check = _NORMALISING.get(name)
                fits = check is not None and check(first, arguments[1:], keywords)
            return first if fits and first.is_contiguous() else None
        except (AttributeError, IndexError, TypeError, ValueError):
            return None

    def _alike(self, first: torch.Tensor, second: Any) -> bool:
        if isinstance(second, (int, float)) and not isinstance(second, bool):
            return True
        if type(second) is not FakeTensor or second.dtype is not first.dtype:
            return False
        return bool(self._describe(first)[0] == self._describe(second)[0])

    def _made(
        self, function: Callable[..., Any], name: str, arguments: Sequence[Any], keywords: Mapping[str, Any]
    ) -> Any:
        """A new tensor of the sizes that the result has; None where torch has to tell."""
        maker = _MAKERS.get(name)
        made: Any = None
        if maker is not None:
            with contextlib.suppress(AttributeError, IndexError, TypeError, ValueError):
                made = maker(arguments, keywords)
        if made is None and self._plainer is None:
            # What torch asks of symbols on its way to the kernels is not to be missed.
            made = kernels.result(function, name, arguments, keywords)
        return made

    def _key(self, function: Any, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        try:
            named = tuple((word, self._part(keywords[word])) for word in sorted(keywords))
            key = (function, tuple(self._part(item) for item in arguments), named)
            hash(key)
            return key
        except (LookupError, TypeError):
            return None

    def _part(self, value: Any) -> Any:
        """What of an argument decides about the result. LookupError: that cannot be said."""
        if isinstance(value, torch.Tensor):
            return (*self._describe(value), self._origin(value))
        if value is None or isinstance(value, (bool, int, float, str, torch.dtype)) or value is Ellipsis:
            return type(value), value
        if isinstance(value, (tuple, list)):
            return type(value), tuple(self._part(item) for item in value)
        if isinstance(value, slice):
            return slice, self._part(value.start), self._part(value.stop), self._part(value.step)
        if isinstance(value, torch.SymInt):
            return torch.SymInt, value.node.expr
        raise LookupError

    def _describe(self, tensor: torch.Tensor) -> tuple[Any, Any, Any]:
        """Sizes, strides and dtype, read once for each tensor."""
        known = self._described.get(id(tensor))
        if known is None:
            told = (_plain(tensor.shape), _plain(tensor.stride()), tensor.dtype)
            known = self._described[id(tensor)] = (tensor, told)
        return known[1]


def _plain(sizes: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(size.node.expr if isinstance(size, torch.SymInt) else size for size in sizes)


def _is_tensors(value: Any) -> bool:
    if isinstance(value, (tuple, list)) and type(value) in (tuple, list):
        return all(item is None or isinstance(item, torch.Tensor) for item in value)
    return isinstance(value, torch.Tensor)


_any_autocast: Callable[[], bool] = getattr(torch._C, "_is_any_autocast_enabled", lambda: False)
_interpreters: Callable[[], Any] = getattr(
    getattr(torch._C, "_functorch", None), "peek_interpreter_stack", lambda: None
)


def _ordinary() -> bool:
    """Whether a call means what it says: no automatic dtypes, no transformation such as `vmap` around it."""
    return not _any_autocast() and _interpreters() is None


def _argument(rest: Sequence[Any], keywords: Mapping[str, Any], position: int, name: str) -> Any:
    return rest[position] if len(rest) > position else keywords.get(name)


def _batch_norm(tensor: torch.Tensor, rest: Sequence[Any], keywords: Mapping[str, Any]) -> bool:
    mean, weight = _argument(rest, keywords, 0, "running_mean"), _argument(rest, keywords, 2, "weight")
    if mean is None or _argument(rest, keywords, 4, "training") or mean.dtype is not tensor.dtype:
        return False
    return bool(tensor.shape[1] == mean.shape[0]) and _fits(tensor, weight, mean.shape)


def _layer_norm(tensor: torch.Tensor, rest: Sequence[Any], keywords: Mapping[str, Any]) -> bool:
    shape = tuple(_argument(rest, keywords, 0, "normalized_shape"))
    weight = _argument(rest, keywords, 1, "weight")
    inner = tensor.shape[len(tensor.shape) - len(shape) :]
    return (
        0 < len(shape) <= len(tensor.shape)
        and all(a == b for a, b in zip(inner, shape))
        and _fits(tensor, weight, shape)
    )


def _group_norm(tensor: torch.Tensor, rest: Sequence[Any], keywords: Mapping[str, Any]) -> bool:
    groups, weight = _argument(rest, keywords, 0, "num_groups"), _argument(rest, keywords, 1, "weight")
    return (
        weight is not None
        and bool(tensor.shape[1] == weight.shape[0])
        and weight.shape[0] % groups == 0
        and weight.dtype is tensor.dtype
    )


def _fits(tensor: torch.Tensor, weight: Any, shape: Sequence[int]) -> bool:
    return weight is None or (tuple(weight.shape) == tuple(shape) and weight.dtype is tensor.dtype)


_NORMALISING = {"batch_norm": _batch_norm, "layer_norm": _layer_norm, "group_norm": _group_norm}


def empty(like: Any, sizes: Sequence[Any]) -> torch.Tensor:
    """A contiguous fake tensor of these sizes, made past torch's dispatcher, which takes ten times as long."""
    if type(like) is not FakeTensor:
        raise TypeError
    with no_dispatch():
        meta = torch.empty(tuple(sizes), dtype=like.dtype, device="meta")
    return FakeTensor(like.fake_mode, meta, like.fake_device)


def _convolution(spatial: int) -> Callable[[Sequence[Any], Mapping[str, Any]], Any]:
    def make(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        given = dict(zip(("input", "weight", "bias", "stride", "padding", "dilation", "groups"), arguments))
        given.update(keywords)
        tensor, weight, bias = given["input"], given["weight"], given.get("bias")
        if tensor.dim() != spatial + 2 or weight.dim() != spatial + 2 or weight.dtype is not tensor.dtype:
            return None
        if bias is not None and (tuple(bias.shape) != (weight.shape[0],) or bias.dtype is not tensor.dtype):
            return None
        groups = given.get("groups", 1)
        if tensor.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups or not tensor.is_contiguous():
            return None
        sides = []
        for axis in range(spatial):
            stride, padding, dilation = (
                _side(given.get(word, default), axis)
                for word, default in (("stride", 1), ("padding", 0), ("dilation", 1))
            )
            reach = dilation * (weight.shape[axis + 2] - 1) + 1
            padded = tensor.shape[axis + 2] + 2 * padding
            if not padded >= reach:
                return None
            sides.append((padded - reach) // stride + 1)
        return empty(tensor, (tensor.shape[0], weight.shape[0], *sides))

    return make


def _side(value: Any, axis: int) -> int:
    """A stride, padding or dilation along an axis. TypeError for what is told in words."""
    if isinstance(value, int):
        return value
    if isinstance(value, (tuple, list)):
        side = value[axis if len(value) > 1 else 0]
        if isinstance(side, int):
            return side
    raise TypeError


def _linear(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    if keywords or len(arguments) not in (2, 3):
        return None
    tensor, weight = arguments[:2]
    bias = arguments[2] if len(arguments) == 3 else None
    if weight.dim() != 2 or tensor.dim() < 1 or weight.dtype is not tensor.dtype or tensor.shape[-1] != weight.shape[1]:
        return None
    if bias is not None and (tuple(bias.shape) != (weight.shape[0],) or bias.dtype is not tensor.dtype):
        return None
    return empty(tensor, (*tensor.shape[:-1], weight.shape[0]))


def _attention(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """Without a mask: the queries' rows with the values' features. How they are laid out is plain for plain queries."""
    plain = {key: value for key, value in keywords.items() if key not in ("dropout_p", "is_causal", "scale")}
    if len(arguments) != 3 or any(value is not None for value in plain.values()):
        return None
    query, key, value = arguments
    if not query.dim() == key.dim() == value.dim() == 4 or not query.dtype is key.dtype is value.dtype:
        return None
    lead = _plain(query.shape[:2])
    if lead != _plain(key.shape[:2]) or lead != _plain(value.shape[:2]):
        return None
    if query.shape[3] != key.shape[3] or key.shape[2] != value.shape[2]:
        return None
    batch, heads, rows = query.shape[:3]
    return empty(query, (batch, heads, rows, value.shape[3])) if query.is_contiguous() else None


def _cat(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    parts, dim = arguments[0], arguments[1] if len(arguments) == 2 else keywords.get("dim", 0)
    if (
        len(arguments) > 2
        or keywords.keys() - {"dim"}
        or not parts
        or any(type(part) is not FakeTensor for part in parts)
    ):
        return None
    first = parts[0]
    axis = dim % first.dim()
    rest = [_plain(part.shape) for part in parts]
    around = {(len(sizes), sizes[:axis], sizes[axis + 1 :], part.dtype) for sizes, part in zip(rest, parts)}
    if len(around) != 1:
        return None
    sizes = list(first.shape)
    sizes[axis] = sum(part.shape[axis] for part in parts)
    return empty(first, sizes)


def _pad(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    if len(arguments) < 2 or (len(arguments) > 2 and arguments[2] != "constant"):
        return None
    if keywords.get("mode", "constant") != "constant" or not arguments[0].is_contiguous():
        return None
    tensor, pads = arguments[0], list(arguments[1])
    sizes = list(tensor.shape)
    if len(pads) % 2 or len(pads) > 2 * len(sizes) or any(pad < 0 for pad in pads if isinstance(pad, int)):
        return None
    for place in range(len(pads) // 2):
        sizes[-1 - place] = sizes[-1 - place] + pads[2 * place] + pads[2 * place + 1]
    return empty(tensor, sizes)


def _recurrent(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """Of a batch of sequences, the last state after them. Torch takes every step of them by itself."""
    if keywords or len(arguments) != 9:
        return None
    tensor, state, weights, _, layers, _, _, both_ways, batch_first = arguments
    states = state if isinstance(state, (tuple, list)) else (state,)
    if not isinstance(layers, int) or tensor.dim() != 3 or any(item.dim() != 3 for item in states):
        return None
    batch, steps, features = tensor.shape[0], tensor.shape[1], tensor.shape[2]
    if not batch_first:
        batch, steps = steps, batch
    rows = layers * (2 if both_ways else 1)
    if any(item.dtype is not tensor.dtype for item in (*states, *weights)) or features != weights[0].shape[1]:
        return None
    if any(item.shape[0] != rows or item.shape[1] != batch for item in states) or not steps >= 1:
        return None
    wide = states[0].shape[2] * (2 if both_ways else 1)
    output = empty(tensor, (steps, batch, wide))
    after = [empty(tensor, item.shape) for item in states]
    return (output.transpose(0, 1) if batch_first else output, *after)


_MAKERS: dict[str, Callable[[Sequence[Any], Mapping[str, Any]], Any]] = {
    "cat": _cat,
    "pad": _pad,
    "conv1d": _convolution(1),
    "conv2d": _convolution(2),
    "conv3d": _convolution(3),
    "linear": _linear,
    "scaled_dot_product_attention": _attention,
    "lstm": _recurrent,
    "gru": _recurrent,
    "rnn_tanh": _recurrent,
    "rnn_relu": _recurrent,
}
