"""Gets a process ready for jobs: torch loaded and warm, or the reason why this interpreter cannot be used.

Runs nothing of the user's. Used by the agent that forks and by each spare process.
"""

from __future__ import annotations

import gc
import os
import sys

from ts_shape_server.contract import wire
from ts_shape_server.contract.jobs import Hello, NotReady

MINIMUM_TORCH = (2, 2)
MINIMUM_PYTHON = (3, 9)


def hello() -> Hello | NotReady:
    """The handshake without the sandbox, or a refusal."""
    if sys.version_info < MINIMUM_PYTHON:
        return NotReady("old-python", f"Python {sys.version.split()[0]} is too old: 3.9 or later is needed.")
    try:
        import torch
    except Exception as error:
        return NotReady("no-torch", f"torch cannot be imported: {type(error).__name__}: {error}"[:300])
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2] if part.isdigit())
    if version < MINIMUM_TORCH:
        return NotReady("old-torch", f"torch {torch.__version__} is too old: 2.2 or later is needed.")
    return Hello(
        wire.PROTOCOL, sys.version.split()[0], str(torch.__version__), sys.executable, os.getpid(), symbolic=_warm()
    )


def threads() -> int:
    """How many threads this process has, as far as the system tells."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1


def _warm() -> bool:
    """Load what every child needs, on fake and meta tensors alone: a parallel kernel would leave threads behind."""
    import logging
    import warnings

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    from ts_shape_server.agent import child, warmup

    symbolic = warmup.warm()
    child.prepare()
    gc.collect()
    gc.freeze()
    return symbolic
