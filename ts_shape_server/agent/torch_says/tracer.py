"""What `torch.jit.trace` warns of, and why it fails: the only place that reads its text."""

from __future__ import annotations

import re

from ts_shape_server.agent.torch_says.rows import Row, row

WARNINGS: tuple[Row, ...] = (
    row(
        "trace-branch",
        r"to a Python boolean",
        "Converting a tensor to a Python boolean might cause the trace to be incorrect.",
    ),
    row(
        "trace-number",
        r"to a Python (?:integer|index|float|number)",
        "Converting a tensor to a Python integer might cause the trace to be incorrect.",
        "Converting a tensor to a Python float might cause the trace to be incorrect.",
        "Converting a tensor to a Python number might cause the trace to be incorrect.",
        "Converting a tensor to a Python index might cause the trace to be incorrect.",
    ),
    row(
        "trace-leaves-graph",
        r"to a (?:NumPy array|Python list)",
        "Converting a tensor to a NumPy array might cause the trace to be incorrect.",
        "Converting a tensor to a Python list might cause the trace to be incorrect.",
    ),
    row(
        "trace-constant",
        r"registered as constants",
        "torch.tensor results are registered as constants in the trace. You can safely ignore this warning if you use "
        "this function to create tensors out of constant variables that would be the same every time you call this "
        "function.",
    ),
    row(
        "trace-loop",
        r"Iterating over a tensor",
        "Iterating over a tensor might cause the trace to be incorrect.",
    ),
    row(
        "trace-length",
        r"Using len to get tensor shape",
        "Using len to get tensor shape might cause the trace to be incorrect. Recommended usage would be "
        "tensor.shape[0].",
    ),
    row(
        "trace-shared-memory",
        r"live references to the data region",
        "There are 2 live references to the data region being modified when tracing in-place operator copy_.",
    ),
)
_UNTYPED = re.compile(r"Tracer cannot infer type of")
_LOST = re.compile(r"did not have observable data dependence with trace inputs")


def warning(text: str) -> str:
    """The kind of a warning of the tracer's; ``trace-unrecognised`` for one that nobody knows."""
    return next((item.kind for item in WARNINGS if item.pattern.search(text)), "trace-unrecognised")


def cannot_type(text: str) -> bool:
    """Whether tracing failed over a value that is neither a Tensor nor a container of one type."""
    return _UNTYPED.search(text.split("\n")[0]) is not None


def loses_an_output(text: str) -> bool:
    """Whether tracing failed since a result does not follow the inputs, as far as the tracer sees."""
    return _LOST.search(text) is not None
