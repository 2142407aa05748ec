"""torch_geometric: graphs as inputs, and what its layers take beside each other.

A graph is `x` (a row of features for each node), `edge_index` (two rows of node numbers) and what else is read of it;
`batch` says for each node of which graph it is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ts_shape_server.agent.ecosystem import Asked
from ts_shape_server.agent.infer.guesses.values import DictGuess, Guess, OneSize, RecordGuess, TensorGuess

NODES, EDGES, FEATURES = 2, 6, 16
N, E = OneSize("N"), OneSize("E")
_ORDER = ("x", "edge_index", "edge_attr", "edge_weight", "batch")
"""In which the attributes of a graph are told."""
_FIELDS = frozenset({"x", "edge_index", "edge_attr", "edge_weight", "batch", "pos", "y", "edge_type", "z", "norm"})
_OF_A_BATCH = frozenset({"num_graphs", "ptr", "batch_size"})
_DERIVED = frozenset({"num_nodes", "num_edges", "num_features", "num_node_features", "num_edge_features", "size"})
_BETWEEN = ","
"""Between the names of an edge's type, in the name of a field."""


def field(name: str) -> TensorGuess:
    """The tensor that an attribute of a graph holds, or that a layer calls so."""
    if name in ("edge_index", "edge_label_index", "adj_t"):
        return TensorGuess((2, EDGES), "int64", 0, 1, (None, E))
    if name == "batch":
        return TensorGuess((NODES,), "int64", 0, 1, (N,))
    if name in ("edge_attr", "edge_features"):
        return TensorGuess((EDGES, FEATURES), axes=(E, None))
    if name in ("edge_weight", "norm"):
        return TensorGuess((EDGES,), axes=(E,))
    if name == "edge_type":
        return TensorGuess((EDGES,), "int64", 0, 1, (E,))
    if name in ("z", "y"):
        return TensorGuess((NODES,), "int64", 0, 1, (N,))
    return TensorGuess((NODES, 3 if name == "pos" else FEATURES), axes=(N, None))


def container(asked: Asked, namespace: Mapping[str, Any]) -> Guess | None:
    """A graph, a tensor of one, or the two mappings of a graph with several kinds of nodes."""
    if asked.name.endswith("_dict") or any(parameter.endswith("_dict") for _, parameter in _of_layers(asked)):
        return _of_kinds(asked)
    if _is_graph(asked):
        return _graph(asked.attributes, _is_batch(asked))
    layer = next((parameter for _, parameter in _of_layers(asked)), None)
    if layer is None and _is_layer(asked.module):
        layer = asked.name
    if (
        layer is None
        and asked.name in ("edge_index", "edge_attr", "edge_weight", "batch")
        and _has_layers(asked.module)
    ):
        layer = asked.name
    if layer in ("x", "pos", "h", "x_i") or (layer in _FIELDS and layer is not None):
        return field(layer)
    return None


def _of_layers(asked: Asked) -> list[tuple[Any, str]]:
    return [(item.target, item.parameter) for item in asked.passed if _is_layer(item.target)]


def _is_layer(value: Any) -> bool:
    """Whether a part is one of the library's: its own convolutions and the author's, which inherit from one."""
    return any(base.__module__.startswith("torch_geometric.nn") for base in type(value).__mro__)


def _has_layers(module: Any) -> bool:
    return module is not None and any(_is_layer(part) for part in module.modules())


def _is_graph(asked: Asked) -> bool:
    annotation = asked.annotation
    if inspect.isclass(annotation) and annotation.__module__.startswith("torch_geometric.data"):
        return True
    fields = asked.attributes & (_FIELDS | _OF_A_BATCH)
    return "edge_index" in fields or len(fields) >= 2 or ("x" in fields and _has_layers(asked.module))


def _is_batch(asked: Asked) -> bool:
    return bool(asked.attributes & _OF_A_BATCH) or getattr(asked.annotation, "__name__", "") == "Batch"


def _graph(attributes: frozenset[str], batched: bool) -> RecordGuess:
    names = sorted(attributes - _OF_A_BATCH - _DERIVED) if attributes else ["x", "edge_index"]
    names = [name for name in names if name in _FIELDS or not attributes & _FIELDS]
    names += ["batch"] if batched and "batch" not in names else []
    ordered = [*(name for name in _ORDER if name in names), *(name for name in names if name not in _ORDER)]
    kind = "Batch" if batched else "Data"
    return RecordGuess(_maker(kind), tuple((name, field(name)) for name in ordered), kind)


def _maker(kind: str) -> str:
    return f"__import__('torch_geometric.data', fromlist=['{kind}']).{kind}"


def _of_kinds(asked: Asked) -> Guess | None:
    """The mapping of nodes or of edges, for the kinds that the layers of the module are made for."""
    if asked.module is None:
        return None
    edges = dict.fromkeys(tuple(key) for part in asked.module.modules() for key in _edge_kinds(part))
    if not edges:
        return None
    nodes = dict.fromkeys(name for edge in edges for name in (edge[0], edge[-1]))
    if "edge" not in asked.name:
        return DictGuess(tuple((name, replace(field("x"), axes=("N", None))) for name in nodes))
    # The kinds have numbers of nodes and of edges of their own.
    what = field("edge_index") if "index" in asked.name else field("edge_attr")
    maker = f"(lambda **kinds: {{tuple(name.split('{_BETWEEN}')): item for name, item in kinds.items()}})"
    return RecordGuess(
        maker,
        tuple((_BETWEEN.join(edge), replace(what, axes=(None, "E"))) for edge in edges),
        "Dict[Tuple[str, str, str], Tensor]",
    )


def _edge_kinds(part: Any) -> list[Any]:
    """The kinds of edges of a layer that holds one layer for each."""
    convs = getattr(part, "convs", None) if type(part).__name__ == "HeteroConv" else None
    return [key for key, _ in convs.items() if isinstance(key, tuple)] if convs is not None else []


def instance(value: Any, namespace: Mapping[str, Any], guess: Callable[[Any], Guess | None]) -> Guess | None:
    """A graph that the workspace made, by what it stores."""
    if not type(value).__module__.startswith("torch_geometric.data") or not hasattr(value, "to_dict"):
        return None
    stored = {str(key): guess(item) for key, item in value.to_dict().items() if key != "ptr"}
    if not stored or any(item is None for item in stored.values()):
        return None
    kind = "Batch" if "batch" in stored and hasattr(value, "num_graphs") else "Data"
    items = tuple((key, _with_axes(key, item)) for key, item in stored.items() if item is not None)
    return RecordGuess(_maker(kind), items, kind)


def _with_axes(name: str, guess: Guess) -> Guess:
    """An attribute of a graph with what its axes are called."""
    known = field(name) if name in _FIELDS else None
    if known is None or not isinstance(guess, TensorGuess) or len(known.dims) != len(guess.dims):
        return guess
    return replace(guess, axes=known.axes)
