"""segmentation_models_pytorch: an encoder's pretrained weights are random ones; the files about them are not needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ts_shape_server.agent.ecosystem import checkpoints
from ts_shape_server.agent.ecosystem.libraries.huggingface_hub import absent


def _encoders(module: Any) -> None:
    def hf_hub_download(repo_id: str, filename: str, **_: Any) -> str:
        if checkpoints.is_weights(filename):
            checkpoints.weights(repo_id)
        return absent(filename)

    if hasattr(module, "hf_hub_download"):
        module.hf_hub_download = hf_hub_download


WATCHED: Mapping[str, Callable[[Any], None]] = {"segmentation_models_pytorch.encoders": _encoders}
