"""In which form torch's layers get what comes from the inputs, watched during one run.

Two things speak against an input although it runs: a layer that takes batches gets a single item, and a tensor meets
a table that was written for other ones, since it has more dims, or fewer and the first of these is a one. And layers
that read sequences say which dim is the batch.
Knows torch's layers and functions by name, and nothing of guesses or of the search.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch._ops import OpOverload
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode

from ts_shape_server.agent import trees

_BATCHED_RANK: Mapping[str, int] = {
    f"{name}{dims}d": dims + 2
    for dims in (1, 2, 3)
    for name in (
        "conv",
        "conv_transpose",
        "max_pool",
        "_max_pool",
        "avg_pool",
        "adaptive_avg_pool",
        "adaptive_max_pool",
        "lp_pool",
        "instance_norm",
    )
}
"""The dims of a batch, for functions that also take one item of it."""
_SPREADING = frozenset(
    [
        *("add", "sub", "rsub", "mul", "div", "true_divide", "pow", "maximum", "minimum", "where", "cdist"),
        *(f"__{side}{name}__" for name in ("add", "sub", "mul", "truediv", "pow") for side in ("", "r")),
        *("matmul", "__matmul__", "__rmatmul__", "addcmul", "lerp", "masked_fill", "dist"),
    ]
)
"""Functions that give their tensors the dims of each other."""

_ALIKE = frozenset(
    [
        *("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "pairwise_distance"),
        *("binary_cross_entropy", "binary_cross_entropy_with_logits"),
    ]
)
"""Functions of two tensors of the same sizes, which may spread the one over the other all the same."""
_EXPANDING = frozenset(["expand", "expand_as", "broadcast_to"])
"""Functions that give a tensor the dims that are written out, or those of another one."""
_RESHAPING = frozenset(["view", "reshape"])

DEPTH = 3
"""Containers inside of containers, of the arguments that are looked through."""


_RECURRENT = frozenset(["lstm", "gru", "rnn_tanh", "rnn_relu", "quantized_lstm", "quantized_gru"])
"""Functions whose last argument says whether the batch comes first, if they get no packed sequences."""

_ATTENTION = "scaled_dot_product_attention"


class Forms(TorchFunctionMode):
    """Context manager for one run of `module`.

    `single` counts calls of layers with one item where they take a batch, `spread` those that put a tensor which comes
    from the inputs together with a table of another rank, that give the first input the dims of another one, or that
    find one item where the author counts them (``x.view(b, -1, heads, width)``). `raised` counts the dims that tensors
    which come from inputs get of each other. `batch` is the size of the dim that
    the first layer which reads sequences takes for the batch, None without such a layer.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.single = 0
        self.spread = 0
        self.raised = 0
        self.batch: int | None = None
        self._module = module
        self._handles: list[Any] = []
        self._derived: dict[int, torch.Tensor] = {}
        """By id, the tensors that come from the inputs; kept alive, so that no other gets their id."""
        self._of_first: set[int] = set()
        """Of these, by id, those that come from the first input alone."""

    def __enter__(self) -> Forms:
        super().__enter__()  # type: ignore[no-untyped-call]  # torch's own
        for part in self._module.modules():
            if isinstance(part, torch.jit.ScriptModule):
                continue
            if part is self._module:
                self._handles.append(part.register_forward_pre_hook(self._begin, with_kwargs=True))
            if _sequence_form(part) is not None:
                self._handles.append(part.register_forward_pre_hook(self._read, with_kwargs=True))
        return self

    def __exit__(self, *details: Any) -> None:
        for handle in self._handles:
            handle.remove()
        super().__exit__(*details)  # type: ignore[no-untyped-call]  # torch's own

    def _begin(self, module: nn.Module, arguments: Any, keywords: Any) -> None:
        for number, tensor in enumerate(_within((*arguments, *keywords.values()))):
            self._derived[id(tensor)] = tensor
            if number == 0:
                self._of_first.add(id(tensor))

    def _read(self, module: nn.Module, arguments: Any, keywords: Any) -> None:
        packed = any(isinstance(item, PackedSequence) for item in (*arguments, *keywords.values()))
        first = None if packed else next(_within((*arguments[:1], *keywords.values())), None)
        form = _sequence_form(module)
        if first is None or form is None or id(first) not in self._derived:
            return
        rank, axis = form
        if first.dim() == rank - 1:
            self.single += 1
        elif first.dim() == rank and self.batch is None:
            size = first.shape[axis]
            self.batch = size if isinstance(size, int) else None

    def __torch_function__(
        self, function: Any, types: Any, arguments: Sequence[Any] = (), keywords: Mapping[str, Any] | None = None
    ) -> Any:
        keywords = keywords or {}
        result = function(*arguments, **keywords)
        own = [item for item in _within((*arguments, *keywords.values())) if id(item) in self._derived]
        if not own:
            return result
        alone = all(id(item) in self._of_first for item in own)
        for tensor in _within((result,)):
            self._derived[id(tensor)] = tensor
            if alone:
                self._of_first.add(id(tensor))
        name = getattr(function, "__name__", "").partition(".")[0]
        if name in _RESHAPING and isinstance(result, torch.Tensor):
            self.spread += _is_counted_as_one(own[0], arguments[1:], result)
        if name in _EXPANDING and isinstance(result, torch.Tensor):
            self.raised += result.dim() - own[0].dim()
        if name in _BATCHED_RANK and own[0].dim() == _BATCHED_RANK[name] - 1:
            self.single += 1
        if name in _RECURRENT and self.batch is None and own[0].dim() == 3 and type(arguments[-1]) is bool:
            size = own[0].shape[0 if arguments[-1] else 1]
            self.batch = size if isinstance(size, int) else None
        if name == _ATTENTION and isinstance(function, OpOverload) and self.batch is None and own[0].dim() == 4:
            # A program has no layers: what they did is one operation after the other.
            size = own[0].shape[0]
            self.batch = size if isinstance(size, int) else None
        if name == "_pack_padded_sequence" and self.batch is None and own[0].dim() > 1 and len(arguments) > 2:
            size = own[0].shape[0 if arguments[2] else 1]
            self.batch = size if isinstance(size, int) else None
        if name in _ALIKE:
            self.spread += _is_of_other_rank(name, arguments)
        if name == "__getitem__" and len(arguments) == 2 and isinstance(arguments[1], tuple):
            self.spread += _is_laid_out(arguments[1], self._derived)
        if name in _SPREADING and isinstance(result, torch.Tensor):
            tables = [item for item in _within((*arguments, *keywords.values())) if id(item) not in self._derived]
            self.spread += _is_spread(max(item.dim() for item in own), result, tables)
            first = [item.dim() for item in own if id(item) in self._of_first]
            self.spread += bool(first) and not alone and 0 < max(first) < result.dim()
            self.raised += sum(result.dim() - item.dim() for item in own if item.dim() and len(own) > 1)
        return result


def _is_counted_as_one(before: torch.Tensor, sizes: Sequence[Any], result: torch.Tensor) -> bool:
    """Whether a view with more dims leaves a size to torch, behind the first, and that comes to one. What flattens the
    numbers of classes, one for each item, makes a column of them.
    """
    given = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes
    if result.dim() <= before.dim() or len(given) != result.dim():
        return False
    if not before.is_floating_point() and result.dim() == before.dim() + 1 and given[-1] == -1:
        return False
    return any(type(size) is int and size == -1 and at > 0 and result.shape[at] == 1 for at, size in enumerate(given))


def _is_of_other_rank(name: str, arguments: Sequence[Any]) -> bool:
    """Whether the two tensors of a function that compares item by item differ in their sizes, or in how many there are
    where each may be a batch or one item.
    """
    pair = [item for item in arguments[:2] if isinstance(item, torch.Tensor)]
    if len(pair) < 2:
        return False
    if name == "pairwise_distance":
        return pair[0].dim() != pair[1].dim()
    return tuple(pair[0].shape) != tuple(pair[1].shape)


def _is_laid_out(index: tuple[Any, ...], derived: Mapping[int, torch.Tensor]) -> bool:
    """Whether places that come from an input have more dims than those beside them: ``x[torch.arange(b), place]``."""
    places = [item for item in index if isinstance(item, torch.Tensor) and item.dtype is not torch.bool]
    own = [item.dim() for item in places if id(item) in derived]
    others = [item.dim() for item in places if id(item) not in derived]
    return bool(own and others) and max(own) > max(others) > 0


def _is_spread(rank: int, result: torch.Tensor, tables: Sequence[torch.Tensor]) -> bool:
    """Whether a tensor of that rank got the dims of a table, or met one with a batch of one that has fewer dims."""
    batched = any(1 < table.dim() < rank and table.shape[0] == 1 for table in tables)
    return batched or 0 < rank < result.dim()


def _sequence_form(part: nn.Module) -> tuple[int, int] | None:
    """For a layer that reads sequences, the dims of a batch of them and which of these the batch is.

    A part that takes the steps of one of torch's layers says so in `stands_for`.
    """
    kind = getattr(part, "stands_for", None) or type(part)
    if issubclass(kind, nn.RNNCellBase):
        return 2, 0
    if issubclass(kind, (nn.RNNBase, nn.MultiheadAttention, nn.Transformer)):
        return 3, 0 if part.batch_first else 1
    if issubclass(kind, (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)):
        attention: Any = part.self_attn
        return 3, 0 if attention.batch_first else 1
    return None


def _within(values: tuple[Any, ...]) -> Iterator[torch.Tensor]:
    """The tensors in the arguments or the result of a call."""
    return trees.tensors(values, DEPTH)
