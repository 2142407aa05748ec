"""What may be chosen of an export: said once for the command line, the editor and the agent."""

from __future__ import annotations

from typing import Literal, get_args

ExportMethod = Literal["auto", "script", "trace", "program"]
"""How a class is exported: ``auto`` takes what is faithful of a script and a trace, ``program`` is `torch.export`."""
EXPORT_METHODS: tuple[ExportMethod, ...] = get_args(ExportMethod)
ExportDtype = Literal["", "float16", "bfloat16", "float32", "float64"]
"""What weights and inputs are converted to; empty leaves them."""
EXPORT_DTYPES: tuple[ExportDtype, ...] = tuple(dtype for dtype in get_args(ExportDtype) if dtype)
