"""segmentation_models_pytorch: an encoder's pretrained weights are random ones; the files about them are not
needed. Where the file that says how images are normalised is not here, they are as for most encoders.
"""

from __future__ import annotations

import functools
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
    usual = getattr(module, "get_preprocessing_params", None)
    if usual is not None:
        module.get_preprocessing_params = functools.wraps(usual)(_or_of_imagenet(usual))


_OF_IMAGENET: Mapping[str, Any] = {
    "input_space": "RGB",
    "input_range": [0, 1],
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}
"""How images are normalised for encoders trained on ImageNet: one number for each channel, whatever the encoder."""


def _or_of_imagenet(usual: Callable[..., Any]) -> Callable[..., Any]:
    def get_preprocessing_params(*arguments: Any, **keywords: Any) -> Any:
        try:
            return usual(*arguments, **keywords)
        except OSError:
            return {key: list(value) if isinstance(value, list) else value for key, value in _OF_IMAGENET.items()}

    return get_preprocessing_params


WATCHED: Mapping[str, Callable[[Any], None]] = {"segmentation_models_pytorch.encoders": _encoders}
