"""What would make a layer take what it is given: a flatten, channels in their place, a dim more. A part of a sentence.

Looks at the layer that refuses and at the sizes that arrive there, which say it or say nothing. Runs nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from torch import nn

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.running import mismatch

SMALLEST_IMAGE_RANK = 3
"""Of a batch of items with channels and a side."""
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_ADAPTIVE = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_POOLS = (*(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d), *_ADAPTIVE)


def named(layer: str, module: nn.Module) -> str:
    """A layer's name in quotes; with its type where the name is only a place in a container."""
    if not layer.rsplit(".", 1)[-1].isdigit():
        return f"`{layer}`"
    return f"`{layer}` ({type(module.get_submodule(layer)).__name__})"


def of(watched: mismatch.FailingLayer, module: nn.Module) -> str:
    """What is missing before the layer that failed; empty where its sizes do not say."""
    layer = module.get_submodule(watched.entered[-1]) if watched.entered else module
    given = watched.taken.get(watched.entered[-1] if watched.entered else "")
    if given is None or len(given) != 1 or not all(isinstance(size, int) for size in given[0].sizes):
        return ""
    sizes = tuple(int(size) for size in given[0].sizes)
    if isinstance(layer, nn.Linear):
        return _of_linear(layer.in_features, sizes, _is_image(sizes, watched, module))
    if isinstance(layer, _CONVOLUTIONS):
        return _of_convolution(int(layer.in_channels), len(layer.kernel_size), sizes)
    if isinstance(layer, nn.RNNBase) and layer.input_size == 1 and len(sizes) == 2:
        return f"`.unsqueeze(-1)` makes each number of {_spelled(sizes)} a step of its own"
    return ""


def of_sum(error: BaseException, passed: Sequence[values.TensorGuess]) -> str:
    """The layer that is missing in a shortcut: where two tensors that are added are an input and what was made of it,
    with other channels or sides.
    """
    said = torch_says.read(error).get("broadcast-differs")
    sizes = () if said is None else (said.numbers("wanted"), said.numbers("had"))
    for one, other in itertools.permutations(sizes, 2):
        shortcut = len(one) == len(other) >= SMALLEST_IMAGE_RANK and any(item.dims == one for item in passed)
        if not shortcut or one[0] != other[0]:
            continue
        steps = {before // after for before, after in zip(one[2:], other[2:]) if after and before % after == 0}
        if len(steps) == 1 and (one[1] != other[1] or steps != {1}):
            stride = f", stride={steps.pop()}" if steps != {1} else ""
            layer = f"nn.Conv{len(one) - 2}d({one[1]}, {other[1]}, 1{stride})"
            return f"the input that is added, {_spelled(one)}, needs a layer such as `{layer}` to be {_spelled(other)}"
    return ""


def _is_image(sizes: Sequence[int], watched: mismatch.FailingLayer, module: nn.Module) -> bool:
    """Whether a convolution or a pool gave something of these sizes: of others, the last dim may be the channels."""
    return any(
        isinstance(module.get_submodule(name), (*_CONVOLUTIONS, *_POOLS))
        and any(tuple(item.sizes) == sizes for item in made)
        for name, made in watched.finished
    )


def _of_linear(features: int, sizes: Sequence[int], image: bool) -> str:
    """A flatten where the rows have the features, or where what arrives is an image."""
    product = math.prod(sizes[1:])
    if len(sizes) > 2 and sizes[-1] != features and (product == features or image):
        factors = " x ".join(map(str, sizes[1:]))
        return f"{_spelled(sizes)} arrives, which is not flattened: with `.flatten(1)` it has {factors} = {product}"
    if len(sizes) == 2 and sizes[0] == features != sizes[1]:
        return f"{_spelled(sizes)} arrives, which would fit the other way round"
    return ""


def _of_convolution(channels: int, sides: int, sizes: Sequence[int]) -> str:
    """The channels in another place, or the dim of a single one missing."""
    batched = len(sizes) == sides + 2
    if not batched and len(sizes) != sides + 1:
        return ""
    if sizes[-1] == channels != sizes[1 if batched else 0]:
        order = (0, sides + 1, *range(1, sides + 1)) if batched else (sides, *range(sides))
        return f"the channels of {_spelled(sizes)} come last: `.permute{order}` puts them where they belong"
    if channels == 1 != sizes[0] and not batched:
        return f"the dim of the one channel is missing in {_spelled(sizes)}: `.unsqueeze(1)`"
    return ""


def _spelled(sizes: Sequence[int]) -> str:
    return f"({', '.join(map(str, sizes))})"
