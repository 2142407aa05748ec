"""Why `torch.export` refuses a module: the only place that reads its text."""

from __future__ import annotations

from ts_shape_server.agent.torch_says.rows import Row, row

REFUSALS: tuple[Row, ...] = (
    row(
        "value-decides",
        r"Could not guard on data-dependent expression|Could not extract specialized integer from data-dependent",
        "Could not guard on data-dependent expression Eq(u0, 1) (unhinted: Eq(u0, 1)).  (Size-like symbols: none)",
        "Could not extract specialized integer from data-dependent expression u0 (unhinted: u0).",
        "Could not guard on data-dependent expression Eq(u0, 0) (unhinted: Eq(u0, 0)).  (Size-like symbols: u0)",
    ),
    row(
        "leaves-torch",
        r"\.numpy\(\) is not supported for tensor subclasses|can't be converted to (?:a )?numpy|Numpy is not available",
        ".numpy() is not supported for tensor subclasses.",
    ),
)


def refusal(text: str) -> str:
    """The kind of what the exporter refuses; ``program-refused`` for what nobody knows."""
    return next((item.kind for item in REFUSALS if item.pattern.search(text)), "program-refused")
