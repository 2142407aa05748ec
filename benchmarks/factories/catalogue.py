"""The factories of an installed package and the inputs that its authors document; runs in a process of its own.

``python -m benchmarks.factories.catalogue torchvision|timm FOLDER…`` prints one JSON object: the factories' names with
the documented sizes of an image or clip, without the batch, and the lines that a file needs before it imports the
package. Knows nothing of the tool.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from typing import Any

FRAMES = 16
"""Of the clips that video models were trained on, where the weights do not say."""

_UNDECLARED = """import torch

_library = torch.library.Library("torchvision", "FRAGMENT")
for _name in ("nms", "qnms"):
    _library.define(_name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""
"""A torchvision whose C++ part was built for another torch does not load it, and then misses these two operators."""


def torchvision(module: Any) -> Iterator[dict[str, Any]]:
    models = importlib.import_module("torchvision.models")
    for part in (models, models.segmentation, models.video):
        for name in models.list_models(module=part):
            # Weights for larger images come with constructor arguments of their own.
            weights, sides = min(
                ((weights, _sides(weights)) for weights in models.get_model_weights(name)), key=lambda pair: pair[1]
            )
            if part is models.video:
                sides = (weights.meta.get("min_temporal_size", 1), *sides)
                sides = (max(FRAMES, sides[0]), *sides[1:])
            yield {
                "name": name,
                "module": part.__name__,
                "expression": f"{name}()",
                "imports": f"from {part.__name__} import {name}",
                "sizes": [3, *sides],
            }


def _sides(weights: Any) -> tuple[int, ...]:
    """Height and width of the images that these weights were made for."""
    told = weights.transforms.keywords
    sides = told["crop_size"] if "crop_size" in told else told["resize_size"]
    return tuple(sides) if isinstance(sides, (tuple, list)) else (sides, sides)


def timm(module: Any) -> Iterator[dict[str, Any]]:
    for name in module.list_models():
        configuration = module.get_pretrained_cfg(name)
        if configuration is not None:
            yield {
                "name": name,
                "module": "timm",
                "expression": f'create_model("{name}")',
                "imports": "from timm import create_model",
                "sizes": list(configuration.input_size),
            }


def main() -> None:
    package, *folders = sys.argv[1:]
    sys.path[:0] = folders
    preamble = ""
    try:
        module = importlib.import_module(package)
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] in ("torchvision", "timm")]:
            del sys.modules[name]
        preamble = _UNDECLARED
        kept: dict[str, Any] = {}
        exec(preamble, kept)
        module = importlib.import_module(package)
    found = list({"torchvision": torchvision, "timm": timm}[package](module))
    json.dump({"version": module.__version__, "preamble": preamble, "factories": found}, sys.stdout)


if __name__ == "__main__":
    main()
