"""torchvision: detectors take a list of images, each of its own size; operators on boxes take rows of corners."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ts_shape_server.agent.ecosystem import Asked
from ts_shape_server.agent.infer.guesses.values import DictGuess, Guess, SequenceGuess, TensorGuess

_DETECTORS = frozenset({"GeneralizedRCNN", "RetinaNet", "SSD", "FCOS"})
_BOXES = {"boxes": 4, "boxes1": 4, "boxes2": 4, "rois": 5}
_OF_REGIONS = frozenset({"roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "RoIAlign", "RoIPool", "PSRoIAlign"})
"""They take the number of the image before the corners."""
_ROWS = 4
_IMAGE = (None, "H", "W")


def container(asked: Asked, namespace: Mapping[str, Any]) -> Guess | None:
    """What a detector or an operator on boxes takes under the name that the input is passed as."""
    for item in asked.passed:
        kind = item.target if callable(item.target) and hasattr(item.target, "__name__") else type(item.target)
        names = {base.__name__ for base in type(item.target).__mro__ if base.__module__.startswith("torchvision.")}
        if names & _DETECTORS:
            return _of_detector(item.parameter)
        if str(getattr(kind, "__module__", "")).startswith("torchvision.ops") and item.parameter in _BOXES:
            width = 5 if kind.__name__ in _OF_REGIONS else _BOXES[item.parameter]
            return TensorGuess((_ROWS, width), axes=("K", None))
    return None


def _of_detector(parameter: str) -> Guess | None:
    if parameter == "images":
        return SequenceGuess((TensorGuess((3, 64, 80), axes=_IMAGE), TensorGuess((3, 72, 64), axes=_IMAGE)), "list")
    if parameter == "targets":
        boxes = TensorGuess((1, 4), axes=("K", None))
        labels = TensorGuess((1,), "int64", 0, 1, ("K",))
        one = DictGuess((("boxes", boxes), ("labels", labels)))
        return SequenceGuess((one, one), "list")
    return None
