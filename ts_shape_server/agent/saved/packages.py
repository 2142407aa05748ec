"""Packages without which an archive cannot be read: those that register the operations which its code calls.

It imports installed packages by name, and reads of an archive nothing but its code.
"""

from __future__ import annotations

import importlib
import zipfile
from typing import IO

from ts_shape_server.agent.saved import kinds

_OPERATIONS_OF = ("torchvision", "torchaudio", "torchtext", "torch_scatter", "torch_sparse", "torch_cluster")
"""Packages that register operations of their own, by the namespace of these."""


def needed(file: str | IO[bytes]) -> list[str]:
    """The packages that register operations which the code of an archive calls. Raises what reading the file raises."""
    with zipfile.ZipFile(file) as archive:
        code = [entry for entry in archive.infolist() if "/code/" in entry.filename and entry.filename.endswith(".py")]
        texts = [archive.read(entry) for entry in code if entry.file_size < kinds.MOST_SPEC]
    return [name for name in _OPERATIONS_OF if any(f"ops.{name}.".encode() in text for text in texts)]


def imported(package: str) -> bool:
    """Whether a package can be imported; it then is."""
    try:
        importlib.import_module(package)
    except Exception:
        return False
    return True
