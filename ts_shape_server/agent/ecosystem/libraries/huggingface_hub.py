"""huggingface_hub: files come from the caches that may be read; those that hold weights are stood in for.

A configuration file that is not here raises the library's own error for an offline machine, so that the fallback of
whoever asked for it serves.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from typing import Any

from ts_shape_server.agent.ecosystem import checkpoints


def _file_download(module: Any) -> None:
    usual = module.hf_hub_download

    def hf_hub_download(repo_id: str, filename: str, **keywords: Any) -> Any:
        subfolder = keywords.get("subfolder") or ""
        if checkpoints.is_weights(filename):
            checkpoints.weights(repo_id)
            return absent(filename)
        found = checkpoints.file_of(repo_id, filename, subfolder)
        if found is not None:
            return found
        try:
            return usual(repo_id, filename, **keywords)
        except OSError as error:
            errors = importlib.import_module("huggingface_hub.errors")
            wanted = getattr(errors, "LocalEntryNotFoundError", FileNotFoundError)
            if isinstance(error, wanted):
                raise
            message = f"`{filename}` of `{checkpoints.shortened(repo_id)}` is in no model cache that may be read"
            raise wanted(message) from None

    module.hf_hub_download = hf_hub_download


def absent(filename: str) -> str:
    """A path for a file of weights that does not exist: what loads it gets a stand-in."""
    return os.path.join(os.sep, "absent", filename)


WATCHED: Mapping[str, Callable[[Any], None]] = {"huggingface_hub.file_download": _file_download}
