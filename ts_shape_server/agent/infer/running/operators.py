"""What torch's functions document of their inputs: ranks, sizes of axes, dtypes, and how large an index may be.

Each is read from the arguments of one call, as a weight's sizes. Knows torch's public functions by name, and nothing of
who asks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass(frozen=True)
class Documented:
    """The documented form of an operator's input. `firm`: other ranks are refused or mean something else."""

    rank: int | None = None
    firm: bool = False
    dtype: str | None = None
    axes: Mapping[int, int] = field(default_factory=dict)
    high: int | None = None


Handler = Callable[[Sequence[Any], Mapping[str, Any]], dict[Any, Documented]]
"""From the call's arguments to the documented form by argument position or name, or by both positions where it is in a
tuple of them.
"""


def _argument(
    arguments: Sequence[Any], keywords: Mapping[str, Any], position: int, name: str, default: Any = None
) -> Any:
    return arguments[position] if len(arguments) > position else keywords.get(name, default)


def _dtype_of(weight: torch.Tensor) -> str:
    """The dtype that goes with a weight: its own, which is another one where a module was converted."""
    return str(weight.dtype).replace("torch.", "") if weight.is_floating_point() or weight.is_complex() else "float32"


def _converted(weight: torch.Tensor | None) -> str | None:
    """The dtype of a weight that takes any usual input, None where it is the usual one itself."""
    dtype = "float32" if weight is None else _dtype_of(weight)
    return None if dtype == "float32" else dtype


def _convolution(spatial: int, transposed: bool) -> Handler:
    def handler(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> dict[Any, Documented]:
        weight = _argument(arguments, keywords, 1, "weight")
        if transposed:
            channels = int(weight.shape[0])
        else:
            channels = int(weight.shape[1]) * int(_argument(arguments, keywords, 6, "groups", 1))
        return {0: Documented(spatial + 2, True, _dtype_of(weight), {1: channels})}

    return handler


def _pooling(spatial: int) -> Handler:
    return lambda arguments, keywords: {0: Documented(spatial + 2, True, "float32")}


def _linear(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> dict[Any, Documented]:
    weight = _argument(arguments, keywords, 1, "weight")
    return {0: Documented(2, False, _dtype_of(weight), {-1: int(weight.shape[1])})}


def _embedding(weight_first: bool) -> Handler:
    def handler(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> dict[Any, Documented]:
        weight = _argument(arguments, keywords, 0 if weight_first else 1, "weight")
        indices = 1 if weight_first else 0
        return {indices: Documented(2, False, "int64", high=int(weight.shape[0]) - 1)}

    return handler


def _bag(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> dict[Any, Documented]:
    """Of a bag for each row, or of bags one after the other that begin at `offsets`, of which the first is 0."""
    weight = _argument(arguments, keywords, 1, "weight")
    offsets = _argument(arguments, keywords, 2, "offsets")
    high = int(weight.shape[0]) - 1
    if offsets is None:
        return {0: Documented(2, False, "int64", high=high)}
    place = 2 if len(arguments) > 2 else "offsets"
    return {0: Documented(1, True, "int64", high=high), place: Documented(1, True, "int64", high=0)}


def _batch_norm(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> dict[Any, Documented]:
    mean = _argument(arguments, keywords, 1, "running_mean")
    dtype = _converted(_argument(arguments, keywords, 3, "weight"))
    return {0: Documented(dtype=dtype, axes={} if mean is None else {1: int(mean.shape[0])})}


def _layer_norm(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> dict[Any, Documented]:
    shape = [int(size) for size in _argument(arguments, keywords, 1, "normalized_shape")]
    rank = len(shape) + (2 if len(shape) == 1 else 1)
    dtype = _converted(_argument(arguments, keywords, 2, "weight"))
    return {0: Documented(rank, False, dtype, axes={axis - len(shape): size for axis, size in enumerate(shape)})}


def _group_norm(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> dict[Any, Documented]:
    weight = _argument(arguments, keywords, 2, "weight")
    groups = int(_argument(arguments, keywords, 1, "num_groups"))
    return {0: Documented(4, False, _converted(weight), axes={1: groups if weight is None else int(weight.shape[0])})}


def _recurrent(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> dict[Any, Documented]:
    weights = next((item for item in arguments if isinstance(item, (list, tuple)) and len(item) > 2), None)
    if not weights:
        return {0: Documented(3, False, "float32")}
    return {0: Documented(3, False, _dtype_of(weights[0]), {-1: int(weights[0].shape[1])})}


def _cell(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> dict[Any, Documented]:
    """Of one step: an item of the sequence, and a state, or two, for each item of the batch."""
    item, state = arguments[2], arguments[3]
    forms = {0: Documented(2, False, _converted(item), {-1: int(item.shape[1])})}
    given = arguments[1]
    places = [(1, number) for number in range(len(given))] if isinstance(given, (list, tuple)) else [1]
    return {**forms, **{place: Documented(2, False, axes={-1: int(state.shape[1])}) for place in places}}


def _attention(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> dict[Any, Documented]:
    size = int(_argument(arguments, keywords, 3, "embed_dim_to_check"))
    form = Documented(3, True, "float32", {-1: size})
    return {0: form, 1: Documented(3, True, "float32"), 2: Documented(3, True, "float32")}


def _encoder_layer(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> dict[Any, Documented]:
    return {0: Documented(3, True, "float32", {-1: int(_argument(arguments, keywords, 1, "embed_dim"))})}


def _batched_product(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> dict[Any, Documented]:
    return {0: Documented(3, True, "float32"), 1: Documented(3, True, "float32")}


def _einsum(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> dict[Any, Documented]:
    equation = arguments[0]
    if not isinstance(equation, str) or "..." in equation:
        return {}
    terms = equation.replace(" ", "").split("->")[0].split(",")
    return {position + 1: Documented(len(term), True) for position, term in enumerate(terms)}


def _permute(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> dict[Any, Documented]:
    axes = arguments[1:] if len(arguments) > 2 else _argument(arguments, keywords, 1, "dims", ())
    return {0: Documented(len(axes), True)} if isinstance(axes, (list, tuple)) and axes else {}


def _view(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> dict[Any, Documented]:
    """The sizes of an item that is written out, ``view(-1, 28, 28)``, where the tensor's items have others."""
    tensor = arguments[0]
    sizes = arguments[1] if len(arguments) == 2 and isinstance(arguments[1], (list, tuple)) else arguments[1:]
    if len(sizes) < 2 or not all(type(size) is int for size in sizes) or min(sizes[1:]) < 1:
        return {}
    own = list(tensor.shape)
    taken_over = any(size == other for size, other in zip(sizes[1:], own[1:]))
    if sizes[0] != -1 or taken_over or math.prod(sizes[1:]) == math.prod(own[1:]):
        return {}
    return {0: Documented(len(sizes), False, axes=dict(enumerate(sizes[1:], 1)))}


def _index_at(position: int, name: str) -> Handler:
    def handler(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> dict[Any, Documented]:
        return {position if len(arguments) > position else name: Documented(dtype="int64")}

    return handler


def _mask_at(position: int) -> Handler:
    return lambda arguments, keywords: {position: Documented(dtype="bool")}


def _cross_entropy(arguments: Sequence[Any], keywords: Mapping[str, Any]) -> dict[Any, Documented]:
    scores = arguments[0] if arguments else None
    if not isinstance(scores, torch.Tensor) or scores.dim() < 1:
        return {}
    classes = scores.shape[1 if scores.dim() > 1 else 0]
    high = int(classes) - 1 if isinstance(classes, int) else None
    rest = [*scores.shape[:1], *scores.shape[2:]] if scores.dim() > 1 else []
    axes = {axis: size for axis, size in enumerate(rest) if isinstance(size, int)}
    return {0: Documented(2), 1: Documented(max(scores.dim() - 1, 0), True, "int64", axes, high=high)}


def _vectors(count: int) -> Handler:
    """So many arguments of one vector for each item of a batch."""
    return lambda arguments, keywords: {place: Documented(2) for place in range(count)}


def _rank(rank: int, dtype: str | None = None) -> Handler:
    return lambda arguments, keywords: {0: Documented(rank, False, dtype)}


HANDLERS: dict[str, Handler] = {
    **{f"conv{n}d": _convolution(n, False) for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": _convolution(n, True) for n in (1, 2, 3)},
    **{
        f"{kind}{n}d": _pooling(n)
        for n in (1, 2, 3)
        for kind in ("max_pool", "_max_pool", "avg_pool", "adaptive_avg_pool", "adaptive_max_pool", "lp_pool")
    },
    "linear": _linear,
    "embedding": _embedding(False),
    "embedding_bag": _bag,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "lstm": _recurrent,
    "gru": _recurrent,
    "rnn_tanh": _recurrent,
    "rnn_relu": _recurrent,
    "lstm_cell": _cell,
    "gru_cell": _cell,
    "rnn_tanh_cell": _cell,
    "rnn_relu_cell": _cell,
    "multi_head_attention_forward": _attention,
    "_native_multi_head_attention": _attention,
    "_transformer_encoder_layer_fwd": _encoder_layer,
    "bmm": _batched_product,
    "baddbmm": _batched_product,
    "einsum": _einsum,
    "permute": _permute,
    "view": _view,
    "reshape": _view,
    "interpolate": _rank(4),
    "upsample": _rank(4),
    "grid_sample": _rank(4),
    "pixel_shuffle": _rank(4),
    "pixel_unshuffle": _rank(4),
    "unfold": _rank(4),
    "stft": _rank(2),
    "affine_grid": _rank(3),
    "_pack_padded_sequence": lambda arguments, keywords: {0: Documented(3, True), 1: Documented(1, True, "int64")},
    "one_hot": lambda arguments, keywords: {0: Documented(2, False, "int64")},
    "gather": _index_at(2, "index"),
    "scatter": _index_at(2, "index"),
    "scatter_": _index_at(2, "index"),
    "scatter_add": _index_at(2, "index"),
    "scatter_add_": _index_at(2, "index"),
    "index_select": _index_at(2, "index"),
    "index_add_": _index_at(2, "index"),
    "masked_fill": _mask_at(1),
    "masked_fill_": _mask_at(1),
    "masked_select": _mask_at(1),
    "where": _mask_at(0),
    "logical_not": _mask_at(0),
    "__invert__": _mask_at(0),
    "bitwise_not": _mask_at(0),
    "ctc_loss": lambda arguments, keywords: {0: Documented(3, True), 1: Documented(2, False, "int64")},
    "pairwise_distance": _vectors(2),
    "cosine_similarity": _vectors(2),
    "triplet_margin_loss": _vectors(3),
    "cosine_embedding_loss": _vectors(2),
    "cross_entropy": _cross_entropy,
    "nll_loss": _cross_entropy,
}
