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
_OF_EDGES = frozenset({"edge_index", "edge_attr", "edge_weight", "edge_type", "edge_label_index", "batch"})
"""What an input is by its name alone, beside layers of the library."""
_EDGE_INDEXES = ("edge_index", "edge_label_index", "adj_t")


def field(name: str) -> TensorGuess:
    """The tensor that an attribute of a graph holds, or that a layer calls so."""
    if name in _EDGE_INDEXES or name.endswith("_edge_index"):
        # Edges that are asked about are others than those of the graph.
        return TensorGuess((2, EDGES), "int64", 0, 1, (None, E if name == "edge_index" else OneSize("E", name)))
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
        return _of_kinds(asked, asked.name)
    if _mappings(asked):
        return _graph_of_kinds(asked)
    if _is_graph(asked):
        return _graph(asked.attributes, _is_batch(asked))
    if _is_looked_up(asked):
        return TensorGuess((EDGES,) if asked.name in _OF_EACH_EDGE else (NODES,), "int64", 0, 1, (_EACH[asked.name],))
    dense = next((parameter for target, parameter in _of_layers(asked, _is_dense) if parameter in _DENSE), None)
    if dense is not None:
        return _DENSE[dense]
    layer = next((parameter for _, parameter in _of_layers(asked)), None)
    if layer is None and _is_layer(asked.module):
        layer = asked.name
    by_name = asked.name in _OF_EDGES or asked.name.endswith("_edge_index")
    if layer is None and by_name and _has_layers(asked.module):
        return field(asked.name)
    if layer in ("x", "pos", "h", "x_i") or (layer in _FIELDS and layer is not None):
        return field(layer)
    return None


_OF_EACH_EDGE = ("edge_attr", "edge_type")
_EACH = {**dict.fromkeys(_OF_EACH_EDGE, E), "z": N}
_GRAPHS, _PLACES = OneSize("B"), OneSize("N", "dense")
_DENSE: Mapping[str, Guess] = {
    "x": TensorGuess((2, NODES * 3, FEATURES), axes=(_GRAPHS, _PLACES, None)),
    "adj": TensorGuess((2, NODES * 3, NODES * 3), axes=(_GRAPHS, _PLACES, _PLACES)),
    "mask": TensorGuess((2, NODES * 3), "bool", axes=(_GRAPHS, _PLACES)),
}
"""What layers take that have all pairs of nodes of each graph in a matrix."""


def _is_dense(value: Any) -> bool:
    kind = value if inspect.isroutine(value) else type(value)
    dense = str(getattr(kind, "__module__", "")).startswith("torch_geometric.nn.dense.")
    return dense and "adj" in inspect.signature(value.forward if kind is not value else value).parameters


def _is_looked_up(asked: Asked) -> bool:
    """Whether what belongs to nodes or edges is a number of a category, of which a table has a row."""
    return asked.name in _EACH and any(type(item.target).__name__ == "Embedding" for item in asked.passed)


def _of_layers(asked: Asked, belongs: Callable[[Any], bool] | None = None) -> list[tuple[Any, str]]:
    return [(item.target, item.parameter) for item in asked.passed if (belongs or _is_layer)(item.target)]


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


_HETERO = "__import__('torch_geometric.data', fromlist=['HeteroData']).HeteroData"


def _graph(attributes: frozenset[str], batched: bool) -> RecordGuess:
    names = sorted(attributes - _OF_A_BATCH - _DERIVED) if attributes else ["x", "edge_index"]
    names = [name for name in names if name in _FIELDS or not attributes & _FIELDS]
    names += ["batch"] if batched and "batch" not in names else []
    ordered = [*(name for name in _ORDER if name in names), *(name for name in names if name not in _ORDER)]
    kind = "Batch" if batched else "Data"
    return RecordGuess(_maker(kind), tuple((name, field(name)) for name in ordered), kind)


def _maker(kind: str) -> str:
    return f"__import__('torch_geometric.data', fromlist=['{kind}']).{kind}"


def _mappings(asked: Asked) -> list[str]:
    """The mappings that are read of a graph with several kinds of nodes."""
    return sorted(name for name in asked.attributes if name in ("x_dict", "edge_index_dict", "edge_attr_dict"))


def _graph_of_kinds(asked: Asked) -> Guess | None:
    """A graph with several kinds of nodes, with what is read of each."""
    items = [(name, _of_kinds(asked, name)) for name in reversed(_mappings(asked))]
    if any(item is None for _, item in items):
        return None
    each = "for name, kinds in parts.items() for kind, value in kinds.items()"
    maker = f"(lambda **parts: (lambda made: ([setattr(made[kind], name[:-5], value) {each}], made)[1])({_HETERO}()))"
    return RecordGuess(maker, tuple((name, item) for name, item in items if item is not None), "HeteroData")


def _of_kinds(asked: Asked, name: str) -> Guess | None:
    """The mapping of nodes or of edges, for the kinds that the layers of the module are made for."""
    if asked.module is None:
        return None
    edges = dict.fromkeys(tuple(key) for part in asked.module.modules() for key in _edge_kinds(part))
    if not edges:
        # What comes of nodes of several kinds is read by their names: ``z_dict["user"][row]``.
        kinds = [(key, replace(field("x"), axes=("N", None))) for key in asked.keys]
        return DictGuess(tuple(kinds)) if kinds and "edge" not in name else None
    nodes = dict.fromkeys(name for edge in edges for name in (edge[0], edge[-1]))
    if "edge" not in name:
        return DictGuess(tuple((kind, replace(field("x"), axes=("N", None))) for kind in nodes))
    # The kinds have numbers of nodes and of edges of their own.
    what = field("edge_index") if "index" in name else field("edge_attr")
    maker = f"(lambda **kinds: {{tuple(name.split('{_BETWEEN}')): item for name, item in kinds.items()}})"
    return RecordGuess(
        maker,
        tuple((_BETWEEN.join(edge), replace(what, axes=(None, "E"))) for edge in edges),
        "Dict[Tuple[str, str, str], Tensor]",
    )


def _edge_kinds(part: Any) -> list[Any]:
    """The kinds of edges of a layer that holds one layer for each, or that was given them."""
    convs = getattr(part, "convs", None) if type(part).__name__ == "HeteroConv" else None
    if convs is not None:
        return [key for key, _ in convs.items() if isinstance(key, tuple)]
    given: Any = vars(part).get("metadata")
    edges = vars(part).get("edge_types") or (given[1] if isinstance(given, tuple) and len(given) == 2 else ())
    return [key for key in edges if isinstance(key, tuple)] if _is_layer(part) else []


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
