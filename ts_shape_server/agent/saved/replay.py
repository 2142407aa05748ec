"""A scripted or traced module as a module of Python: the same parts, each of which takes the steps of its own graph.

TorchScript's interpreter runs a module out of sight: what it calls, which layers it has and where sizes stay symbols
cannot be seen. Replayed, it is met as its source was. What no step is known for is refused, and told by `refused`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent.compare import compare
from ts_shape_server.agent.infer.running import symbolic
from ts_shape_server.agent.infer.running.spy import Spy
from ts_shape_server.agent.runs import Run
from ts_shape_server.agent.saved import quantised
from ts_shape_server.agent.saved.graphs import Routine
from ts_shape_server.agent.torch_says import needs_values

_LITTLE = 5_000_000_000
"""So many products take a second or two."""
_OF_TORCH = ("aten::", "prim::", "quantized::")
_MANGLED = re.compile(r"___torch_mangle_\d+\.")
"""What torch puts into the name of a class where an archive has several of that name."""
_DYNAMIC = "torch.ao.nn.quantized.dynamic.modules.rnn"
"""Where torch has recurrent layers with packed weights, of the names of the others."""
_SEQUENCE_LAYERS: tuple[type[nn.Module], ...] = (
    nn.RNN,
    nn.LSTM,
    nn.GRU,
    nn.RNNCell,
    nn.LSTMCell,
    nn.GRUCell,
    nn.MultiheadAttention,
    nn.Transformer,
)
"""Layers that say themselves which dim is the batch; those that are made of these say it with them."""
_AGAIN = re.compile(r"forward(?:__)?\d+")
"""What a trace calls the further calls of one layer, and a script the forms of a `forward` that has several."""


class Archive:
    """A loaded module and the functions that its code calls. `refused` names what was reached and cannot be replayed.
    `quantised`: some of it computes in numbers of few bits, and its replay in floating ones. `foreign`: it calls
    operations that are not torch's, on which torch's interpreter of scripts is not run on tensors without memory.

    Raises what torch raises where the file does not load. It is not copied with the modules that come of it.
    """

    def __init__(self, path: str) -> None:
        unit: Any = torch._C.CompilationUnit()
        read: Any = torch._C.import_ir_module
        native = read(unit, path, torch.device("cpu"), {}, False)
        recursive: Any = torch.jit._recursive
        self.module = recursive.wrap_cpp_module(native).eval()
        self.refused: set[str] = set()
        self.quantised = any(map(quantised.is_quantised, _operations(self.module)))
        self._graphs = {item.qualified_name: item.graph for item in unit.get_functions()}
        called = {node.kind() for graph in self._graphs.values() for node in _nodes(graph)} | _operations(self.module)
        self.foreign = not all(name.startswith(_OF_TORCH) for name in called)
        self._routines: dict[Any, Routine] = {}

    def __deepcopy__(self, memory: Any) -> Archive:
        return self

    def instance(self) -> nn.Module:
        """The module anew, on the archive's own weights."""
        return _replayed(self.module, self)

    def routine(self, native: Any, name: str) -> Routine:
        """The steps of a method."""
        key = (str(native._type()), name)
        if key not in self._routines:
            self._routines[key] = Routine(native._get_method(name).graph, self)
        return self._routines[key]

    def attribute(self, owner: Any, name: str) -> Any:
        if not isinstance(owner, Replayed):
            raise self.refuse(f"{name} of {type(owner).__name__}")
        return owner.attribute(name)

    def assign(self, owner: Any, name: str, value: Any) -> None:
        if not isinstance(owner, Replayed):
            raise self.refuse(f"{name} of {type(owner).__name__}")
        owner.assigned[name] = value

    def method(self, owner: Any, name: str, arguments: Sequence[Any]) -> Any:
        if not isinstance(owner, Replayed):
            raise self.refuse(f"{name} of {type(owner).__name__}")
        if name == "forward":
            return owner(*arguments)
        if _AGAIN.fullmatch(name):
            return owner(*arguments, graph=name)
        return self.routine(owner.native, name)([owner, *arguments])

    def function(self, name: str, arguments: Sequence[Any]) -> Any:
        if name not in self._routines:
            graph = self._graphs.get(name)
            if graph is None:
                raise self.refuse(name)
            self._routines[name] = Routine(graph, self)
        return self._routines[name](arguments)

    def refuse(self, what: str) -> Exception:
        self.refused.add(what)
        return NotImplementedError(f"{what} cannot be replayed")


class Replayed(nn.Module):
    """One part of a saved module. `native` is torch's own; `assigned` are attributes that a run has set; `stands_for`
    is the layer of torch's whose steps it takes, None for one of another's, or whose form nothing says.
    """

    def __init__(self, script: Any, archive: Archive) -> None:
        super().__init__()
        kind, first = _layer(script._c), _batch_comes_first(script._c)
        self.batch_first = bool(first)
        known = kind is not None and (first is not None or issubclass(kind, nn.RNNCellBase))
        self.stands_for = kind if known else None
        self.archive, self.native = archive, script._c
        self.assigned: dict[str, Any] = {}
        for name, parameter in script._parameters.items():
            kept = None if parameter is None else nn.Parameter(parameter.detach(), parameter.requires_grad)
            self.register_parameter(name, kept)
        for name, buffer in script._buffers.items():
            self.register_buffer(name, None if buffer is None else buffer.detach())
        for name, child in script._modules.items():
            self.add_module(name, _replayed(child, archive))
        self.training = False
        self._made_of = (script,)

    def __deepcopy__(self, memory: Any) -> Replayed:
        return _replayed(self._made_of[0], self.archive)

    def attribute(self, name: str) -> Any:
        if name in self.assigned:
            return self.assigned[name]
        for held in (self._modules, self._parameters, self._buffers):
            if name in held:
                return held[name]
        return self.native.getattr(name)

    def forward(self, *arguments: Any, graph: str = "forward") -> Any:
        takes = self.native._get_method(graph).schema.arguments[1:]
        left_out = [item.default_value for item in takes[len(arguments) :] if item.has_default_value()]
        return self.archive.routine(self.native, graph)([self, *arguments, *left_out])


def _operations(module: Any) -> set[str]:
    """The operations in the code of a module and of its parts."""
    methods = (part._c._get_method(name) for part in module.modules() for name in part._c._method_names())
    return {node.kind() for method in methods for node in _nodes(method.graph)}


def _nodes(block: Any) -> Iterator[Any]:
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from _nodes(inner)


def _layer(native: Any) -> type[nn.Module] | None:
    """The layer of torch's that reads sequences of which a part was made, by its qualified name."""
    name = _MANGLED.sub("", str(native._type().qualified_name())).replace(_DYNAMIC, nn.RNNBase.__module__)
    return next((kind for kind in _SEQUENCE_LAYERS if name == f"__torch__.{kind.__module__}.{kind.__name__}"), None)


def _batch_comes_first(native: Any) -> bool | None:
    """Whether a layer that reads sequences takes the batch first; None for one that says nothing of it.

    A trace keeps no such constant. There attention that has the batch first begins by putting it second, or is one
    operation that only exists so.
    """
    if native.hasattr("batch_first"):
        return bool(native.getattr("batch_first"))
    if _layer(native) is not nn.MultiheadAttention or not native._has_method("forward"):
        return None
    graph = native._get_method("forward").graph
    if any(node.kind() == "aten::_native_multi_head_attention" for node in graph.nodes()):
        return True
    uses = [use.user for value in list(graph.inputs())[1:] for use in value.uses() if use.offset == 0]
    swaps = [node for node in uses if node.kind() == "aten::transpose"]
    return any([item.toIValue() for item in list(node.inputs())[1:]] == [1, 0] for node in swaps)


def _replayed(script: Any, archive: Archive) -> Replayed:
    """The part under the name of the class that it was saved from."""
    made = type(script.original_name or "Module", (Replayed,), {})(script, archive)
    assert isinstance(made, Replayed)
    return made


def agrees(archive: Archive, run: Run) -> bool:
    """Whether the module itself does as its replay does, on the sizes of a run.

    It must compute the same where that takes little; else, and where the replay computes in other numbers, its results
    must have the same sizes and dtypes, which is asked without memory if it can be. Where neither can be asked, as of a
    large trace that reads sizes, the replay is believed.
    """
    if archive.refused:
        return False
    return all(_agrees(archive, run, second) for second in ((False,) if run.second is None else (False, True)))


def _agrees(archive: Archive, run: Run, second: bool) -> bool:
    spy = Spy((), remembered={})
    jit: Any = torch.jit
    expected: Any = None
    try:
        with symbolic.new_mode(), spy:
            expected = run.call(archive.instance(), second)
    except Exception as error:
        if not needs_values(error):
            return False
    try:
        with jit.optimized_execution(False):
            if archive.quantised:
                return bool(_form(expected) == _form(run.call(archive.module, second)))
            if spy.work < _LITTLE:
                return compare(run.call(archive.instance(), second), run.call(archive.module, second)).agree
    except Exception:
        return False
    if archive.foreign:
        return True
    try:
        with symbolic.new_mode(), jit.optimized_execution(False):
            return bool(_form(expected) == _form(run.call(archive.module, second)))
    except Exception:
        return True


def _form(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return tuple(value.shape), value.dtype
    if isinstance(value, (list, tuple)):
        return isinstance(value, list), [_form(item) for item in value]
    if isinstance(value, dict):
        return {key: _form(item) for key, item in value.items()}
    return type(value)
