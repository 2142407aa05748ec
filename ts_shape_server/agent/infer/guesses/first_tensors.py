"""The tensor that is tried first for a parameter: by its number of dims, by its name, or by both."""

from __future__ import annotations

import re
from dataclasses import replace

from ts_shape_server.agent.infer.guesses.values import OneSize, TensorGuess, Whole

BATCH = 2
SEQUENCE = 8
LONGEST = 4
"""Of the lengths that are tried: what a sequence has to have at least, so that all of them are within it."""
_SIZES = {
    0: (),
    1: (16,),
    2: (BATCH, 16),
    3: (BATCH, SEQUENCE, 16),
    4: (BATCH, 3, 64, 64),
    5: (BATCH, 3, 8, 64, 64),
    6: (BATCH, 3, 4, 4, 16, 16),
}
_INDEX_NAMES = frozenset(
    [
        "input_ids",
        "token_ids",
        "tokens",
        "token",
        "ids",
        "idx",
        "indices",
        "labels",
        "label",
        "token_type_ids",
        "position_ids",
        "edge_index",
        "words",
        "captions",
        "caption",
        "targets",
        "user",
        "item",
        "users",
        "items",
        "src_tokens",
        "prev_output_tokens",
        "word_ids",
        "char_ids",
    ]
)
LARGEST_RANK = 6
EDGES = 6
_EDGE = OneSize("E", "edges")
_SEQUENCE_MASKS = re.compile(r"(^|_)((key_)?pad(ding)?|attention|attn|src|tgt|memory)_mask$")
"""What sequence models call a mask: of places in each sequence, or of pairs of places."""
_PADDING_MASKS = re.compile(r"(^|_)pad(ding)?_mask$")
"""What sequence models call flags: of the places that only fill a sequence up."""
_ROTATIONS = re.compile(r"(^|_)freqs?_cis$")
"""What language models call the complex numbers by which queries and keys are turned, a row for each position."""
_EDGES = re.compile(r"(^|_)edge_(label_)?index$")
"""What graph libraries call the pairs of nodes that are joined."""
_OF_EDGES = re.compile(r"(^|_)edge_(attrs?|feats?|features|weights?|types?)$")
"""What graph libraries call what is told of each pair of nodes that are joined."""
_COMPARED = re.compile(r"^(anchors?|positives?|negatives?)(_\w+)?$")
"""What losses call the vectors that they compare: one for each item of the batch."""
_MOMENTS = re.compile(r"(^|_)(mu|log_?var|log_?sigma|log_?std)$")
"""What variational models call the moments of a distribution: a vector for each item of the batch."""
_ONE_EACH = re.compile(r"^(users?|item)(_(id|idx|index|indices))?$")
"""What recommenders call who rates what: a number for each item of the batch, whole where it is called an id."""
_ADJACENCY = re.compile(r"(^|_)(adj|adjacency|laplacian)(_(mat|matrix))?$")
"""What graph networks call the matrix of which node is joined to which."""
_LENGTHS = re.compile(r"(^|_)(lengths|lens)$|(?<!max)(?<!min)(?<!new)(?<!total)(?<!chunk)(?<!window)_(len|length)$")
_FOUND = 3
"""Things that are found in an image."""
_OF_IMAGES: dict[str, tuple[tuple[int, ...], str]] = {
    "boxes": ((4,), "float32"),
    "bboxes": ((4,), "float32"),
    "labels": ((), "int64"),
    "scores": ((), "float32"),
    "area": ((), "float32"),
    "iscrowd": ((), "int64"),
    "masks": ((64, 64), "bool"),
    "keypoints": ((17, 3), "float32"),
}
"""What detectors are told of each thing in an image, under the names that torchvision documents: the sizes after that
of the things, and the dtype.
"""
_OF_ONE_IMAGE: dict[str, tuple[tuple[int, ...], str]] = {
    "image_id": ((1,), "int64"),
    "size": ((2,), "int64"),
    "orig_size": ((2,), "int64"),
}
"""What they are told of the image."""
_PREDICTED = re.compile(r"(^|_)pred_(boxes|logits)$")
"""What detectors call what they found in each image of a batch: four numbers or a score for each class."""
_TIMES = frozenset(
    ["t", "time", "times", "timestep", "timesteps", "time_step", "diffusion_step", "sigma", "sigmas", "noise_level"]
)
"""What a model that is conditioned on the time of a process calls it: a number for each item of the batch."""


def default_sizes(rank: int) -> tuple[int, ...]:
    """First sizes to try for a tensor of that rank: a batch of two, channels, and sides that divide well."""
    return _SIZES.get(rank, (BATCH,) * rank)


def ranked(guess: TensorGuess, rank: int) -> TensorGuess:
    """A tensor of that rank, with the first sizes that are tried."""
    return replace(guess, dims=default_sizes(rank), axes=())


def tensor(rank: int, dtype: str = "float32", high: int = 1) -> TensorGuess:
    return TensorGuess(default_sizes(rank), dtype, 0, high)


def lengths() -> TensorGuess:
    """A length for each item of a batch of sequences, none of them longer than a short sequence."""
    return TensorGuess((BATCH,), "int64", 1, LONGEST)


def of_one_image(key: str) -> TensorGuess:
    """What a detector is told of one image under that key: a row for each thing in it, which has no batch dim."""
    lowered = key.lower()
    if lowered in _OF_ONE_IMAGE:
        return TensorGuess(*_OF_ONE_IMAGE[lowered])
    if lowered not in _OF_IMAGES:
        return named_tensor(key)
    sizes, dtype = _OF_IMAGES[lowered]
    return TensorGuess((_FOUND, *sizes), dtype, axes=(OneSize("N", "things"), *(None,) * len(sizes)))


def edges(name: str = "edge_index") -> TensorGuess:
    """Pairs of nodes: a row of sources and a row of targets, between the two nodes that are there at least. Those that
    are looked at for a prediction are others than those of the graph.
    """
    edge = OneSize("E", "labelled edges") if "label" in name.lower() else _EDGE
    return TensorGuess((2, EDGES + (edge is not _EDGE)), "int64", 0, 1, axes=(Whole("_ends"), edge))


def _of_edges(name: str) -> TensorGuess:
    """What is told of each edge: a number, or a vector of features."""
    if "weight" in name:
        return TensorGuess((EDGES,), axes=(_EDGE,))
    if "type" in name:
        return TensorGuess((EDGES,), "int64", axes=(_EDGE,))
    return TensorGuess((EDGES, 16), axes=(_EDGE, None))


def is_adjacency(name: str) -> bool:
    """Whether a name is what graph networks call the matrix of which node is joined to which."""
    return _ADJACENCY.search(name.lower()) is not None


def _adjacency(rank: int) -> TensorGuess:
    """A matrix with a row and a column for each node, or a batch of them."""
    nodes = OneSize("N", "adjacency")
    batch: tuple[str | None, ...] = ("B",) * (rank - 2)
    return TensorGuess((BATCH,) * (rank - 2) + (SEQUENCE, SEQUENCE), axes=(*batch, nodes, nodes))


def is_edges(name: str) -> bool:
    """Whether a name is what graph libraries call the pairs of nodes that are joined."""
    return _EDGES.search(name.lower()) is not None


def tells_of_steps(name: str, dtype: str) -> bool:
    """Whether a matrix beside a sequence tells something of each of its steps, as tags, flags and masks do."""
    return dtype in ("int64", "bool") or "mask" in name.lower()


def named_tensor(
    name: str,
    rank: int | None = None,
    at_least: int = 0,
    axes: tuple[str | None, ...] = (),
    index: bool = False,
    counts: bool = False,
) -> TensorGuess:
    """The tensor that a name suggests, with what is known of its use: its rank, or the least that it may be, the names
    of its axes, whether it is an index, and whether its items are taken one by one as whole numbers.
    """
    lowered = name.lower()
    if is_edges(name):
        return edges(name)
    predicted = _PREDICTED.search(lowered) if rank in (None, 3) and at_least <= 3 else None
    if predicted is not None:
        return TensorGuess((BATCH, SEQUENCE, 4 if predicted[2] == "boxes" else 16), axes=axes)
    if _ROTATIONS.search(lowered):
        return TensorGuess(default_sizes(rank) if rank else (SEQUENCE, 16), "complex64", axes=axes)
    if rank is None and at_least <= 2 and _SEQUENCE_MASKS.search(lowered):
        return replace(tensor(2, "bool" if index or _PADDING_MASKS.search(lowered) else "float32"), axes=axes)
    if rank is None and (_LENGTHS.search(lowered) or (counts and at_least < 2)):
        return lengths()
    if rank is None and lowered in _TIMES and at_least < 2:
        return TensorGuess((BATCH,))
    if rank in (None, 2, 3) and at_least <= 3 and is_adjacency(name):
        return _adjacency(rank or max(at_least, 2))
    if rank is None and at_least <= 2 and _OF_EDGES.search(lowered):
        return _of_edges(lowered)
    if rank is None and at_least <= 2 and _COMPARED.search(lowered):
        return replace(tensor(2), axes=axes)
    one_each = _ONE_EACH.search(lowered) if rank is None and at_least < 2 else None
    if one_each is not None:
        return TensorGuess((BATCH,), "int64" if one_each[2] or index else "float32", axes=axes or ("B",))
    if rank is None and at_least <= 2 and _MOMENTS.search(lowered):
        return replace(tensor(2), axes=axes)
    if rank is None and at_least:
        rank = max(at_least, 2)
    if index and "mask" in lowered:
        return replace(tensor(rank or 2, "bool"), axes=axes)
    if lowered in _INDEX_NAMES or index:
        return replace(tensor(rank or 2, "int64"), axes=axes)
    return replace(tensor(4 if rank is None else rank), axes=axes)
