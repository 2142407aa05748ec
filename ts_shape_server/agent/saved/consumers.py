"""The rank and dtype of a scripted module's inputs, as the first operation that takes each of them documents.

Inside TorchScript's interpreter no call can be watched, but the graph says what is called. Knows nothing of files.
"""

from __future__ import annotations

from typing import Any

_RANKS = {
    "linear": 2,
    "addmm": 2,
    "conv1d": 3,
    "conv2d": 4,
    "conv3d": 5,
    "conv_transpose1d": 3,
    "conv_transpose2d": 4,
    "conv_transpose3d": 5,
    "lstm": 3,
    "gru": 3,
    "rnn_tanh": 3,
    "rnn_relu": 3,
    "layer_norm": 3,
    "max_pool1d": 3,
    "max_pool2d": 4,
    "max_pool3d": 5,
    "avg_pool2d": 4,
    "adaptive_avg_pool1d": 3,
    "adaptive_avg_pool2d": 4,
    "adaptive_avg_pool3d": 5,
    "pixel_shuffle": 4,
    "pixel_unshuffle": 4,
    "bmm": 3,
    "flatten": 4,
    "embedding": 2,
}
"""By operation of ``aten``: the batched form that torch's documentation gives for its input."""
_ALIKE = frozenset(
    [
        "relu",
        "gelu",
        "silu",
        "sigmoid",
        "tanh",
        "to",
        "contiguous",
        "clone",
        "dropout",
        "mul",
        "div",
        "sub",
        "add",
        "neg",
    ]
)
"""What gives a tensor of the sizes that it takes."""
_RECURRENT = frozenset(["lstm", "gru", "rnn_tanh", "rnn_relu"])
"""Operations whose last argument says whether the batch comes first."""
_INDICES = {"embedding": 1}
_DEEPEST = 8


def documented(module: Any) -> dict[str, str]:
    """The shapes that are known, in the words of a pragma, ``(_, _) int64``, by the input's name in the schema."""
    found: dict[str, str] = {}
    try:
        values = list(module.inlined_graph.inputs())[1:]
        names = [argument.name for argument in module.forward.schema.arguments[1:]]
    except (AttributeError, RuntimeError):
        return found
    for name, value in zip(names, values):
        text = _first_use(value, _DEEPEST) if value.type().kind() == "TensorType" else None
        if text is not None:
            found[name] = text
    return found


def _first_use(value: Any, depth: int) -> str | None:
    for use in value.uses():
        operation = use.user.kind().rpartition("::")[2]
        if operation in _RECURRENT and use.offset == 0:
            first = use.user.inputsAt(use.user.inputsSize() - 1).toIValue()
            if isinstance(first, bool):
                return "(B, L, _)" if first else "(L, B, _)"
        if operation in _RANKS and use.offset == _INDICES.get(operation, 0):
            rank = _RANKS[operation]
            return f"({', '.join('_' * rank)}){' int64' if operation in _INDICES else ''}"
        if operation in _ALIKE and depth and use.offset == 0:
            found = _first_use(use.user.output(), depth - 1)
            if found is not None:
                return found
    return None
