"""Whether this interpreter has TorchScript at all: torch supports it up to Python 3.13, and everything else beyond.
Decides nothing but that, and knows no class.
"""

from __future__ import annotations

import sys

PYTHON = (sys.version_info[0], sys.version_info[1])
UNSUPPORTED_FROM = (3, 14)
"""`torch.jit` warns from this Python on that it is not supported (torch 2.13, `torch/jit/_script.py`)."""


def supported() -> bool:
    return PYTHON < UNSUPPORTED_FROM


def sentence() -> str:
    """What a person is told instead of what scripts and traces."""
    version = f"{PYTHON[0]}.{PYTHON[1]}"
    return (
        f"TorchScript does not support Python {version}: scripting and tracing were not tried. "
        "Export with `torch.export`."
    )
