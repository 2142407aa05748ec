"""The graph of a TorchScript function, read once into steps that Python takes one by one.

Each call of torch is made from Python, as the module's source made it, so that whoever watches calls sees it. Knows
nothing of archives: the objects of a module and the functions that it calls come from a `World`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch

from ts_shape_server.agent.infer.running import symbolic
from ts_shape_server.agent.saved import operations, quantised
from ts_shape_server.agent.saved.operations import Unsupported

Values = dict[int, Any]
"""By the number that the graph gives each of its values."""
Step = Callable[[Values], None]


class World(Protocol):
    """What a graph refers to beyond itself."""

    def attribute(self, owner: Any, name: str) -> Any: ...

    def assign(self, owner: Any, name: str, value: Any) -> None: ...

    def method(self, owner: Any, name: str, arguments: Sequence[Any]) -> Any: ...

    def function(self, name: str, arguments: Sequence[Any]) -> Any: ...

    def refuse(self, what: str) -> Exception: ...


class Routine:
    """A graph as a function of its inputs. What it cannot take is refused by the world once it is reached."""

    def __init__(self, graph: Any, world: World) -> None:
        self._inputs = [value.unique() for value in graph.inputs()]
        self._body = _Block(graph, world)

    def __call__(self, arguments: Sequence[Any]) -> Any:
        results = self._body.run(dict(zip(self._inputs, arguments)))
        return results[0] if len(results) == 1 else tuple(results)


class _Block:
    """Nodes in a row; `run` gives the values that the block returns."""

    def __init__(self, block: Any, world: World) -> None:
        self.inputs = [value.unique() for value in block.inputs()]
        self._outputs = [value.unique() for value in block.outputs()]
        self._steps = [_step(node, world) for node in block.nodes()]

    def run(self, values: Values) -> list[Any]:
        for step in self._steps:
            step(values)
        return [values[number] for number in self._outputs]


def _step(node: Any, world: World) -> Step:
    kind = node.kind()
    special = _nothing if _is_scale(node, kind) else _SPECIAL.get(kind)
    if special is None and _is_property(node, kind):
        special = _property
    try:
        if special is not None:
            return special(node, world)
        return _operation(node, kind)
    except Unsupported as error:
        what = str(error) or kind

        def refuse(values: Values) -> None:
            raise world.refuse(what)

        return refuse


_NUMBERS = frozenset(f"aten::{name}" for name in ("Float", "Int", "item", "FloatImplicit", "IntImplicit"))


def _is_scale(node: Any, kind: str) -> bool:
    """Whether a node reads a number out of a tensor for operations of quantised tensors alone: their scales and zero
    points, which say nothing of sizes and which no run without memory can read.
    """
    if kind not in _NUMBERS:
        return False
    uses = list(node.output().uses())
    return bool(uses) and all(use.offset and quantised.is_quantised(use.user.kind()) for use in uses)


def _numbers(node: Any) -> tuple[list[int], list[int]]:
    return [value.unique() for value in node.inputs()], [value.unique() for value in node.outputs()]


def _one(node: Any, compute: Callable[[list[Any]], Any]) -> Step:
    """The step of a node that gives one value, or none."""
    inputs, outputs = _numbers(node)
    if not outputs:
        return lambda values: _ignored(compute([values[number] for number in inputs]))
    output = outputs[0]

    def step(values: Values) -> None:
        values[output] = compute([values[number] for number in inputs])

    return step


def _ignored(_: Any) -> None:
    return None


def _operation(node: Any, kind: str) -> Step:
    namespace, _, name = kind.rpartition("::")
    schema = node.schema()
    plain = operations.plain_function(name) if namespace in ("aten", "prim") else None
    of_tensors = None
    if namespace != "prim" and ("Tensor" in schema or plain is None):
        of_tensors = operations.tensor_function(kind, schema)
    if plain is None and of_tensors is None:
        raise Unsupported(kind)
    inputs, outputs = _numbers(node)
    fixed = {place: value for place, item in enumerate(node.inputs()) for value in _fixed_number(item)}

    def compute(arguments: list[Any]) -> Any:
        # What a trace keeps as a tensor of no dims is the number that it was: sizes stay symbols.
        if plain is not None:
            numbers = [fixed.get(place, value) for place, value in enumerate(arguments)] if fixed else arguments
            if of_tensors is None or not any(map(_holds_tensor, numbers)):
                return plain(*numbers)
        return None if of_tensors is None else of_tensors(arguments)

    if len(outputs) < 2:
        return _one(node, compute)

    def step(values: Values) -> None:
        for number, value in zip(outputs, compute([values[number] for number in inputs])):
            values[number] = value

    return step


def _fixed_number(value: Any) -> Iterator[Any]:
    """The number in a constant tensor of no dims."""
    if value.node().kind() == "prim::Constant" and value.type().kind() == "TensorType":
        found = value.toIValue()
        if isinstance(found, torch.Tensor) and not found.dim():
            # Steps are read while the first run without memory is under way.
            with symbolic.not_fake():
                number = found.item()
            yield number


def _holds_tensor(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(isinstance(item, torch.Tensor) for item in value)
    return isinstance(value, torch.Tensor)


def _constant(node: Any, world: World) -> Step:
    output = node.output()
    number, kind = output.unique(), output.type()
    value = str(kind) if kind.kind() == "FunctionType" else output.toIValue()

    def step(values: Values) -> None:
        values[number] = value

    return step


def _attribute(node: Any, world: World) -> Step:
    name = node.s("name")
    return _one(node, lambda arguments: world.attribute(arguments[0], name))


def _assignment(node: Any, world: World) -> Step:
    name = node.s("name")
    return _one(node, lambda arguments: world.assign(arguments[0], name, arguments[1]))


def _method(node: Any, world: World) -> Step:
    name = node.s("name")
    return _one(node, lambda arguments: world.method(arguments[0], name, arguments[1:]))


def _function(node: Any, world: World) -> Step:
    return _one(node, lambda arguments: world.function(arguments[0], arguments[1:]))


def _if(node: Any, world: World) -> Step:
    condition = next(node.inputs()).unique()
    outputs = [value.unique() for value in node.outputs()]
    then, otherwise = (_Block(block, world) for block in node.blocks())

    def step(values: Values) -> None:
        results = (then if values[condition] else otherwise).run(values)
        values.update(zip(outputs, results))

    return step


def _loop(node: Any, world: World) -> Step:
    inputs, outputs = _numbers(node)
    (block,) = (_Block(block, world) for block in node.blocks())
    counter, carried = block.inputs[0], block.inputs[1:]

    def step(values: Values) -> None:
        most, going = values[inputs[0]], values[inputs[1]]
        state = [values[number] for number in inputs[2:]]
        count = 0
        while count < most and going:
            values[counter] = count
            values.update(zip(carried, state))
            going, *state = block.run(values)
            count += 1
        values.update(zip(outputs, state))

    return step


def _unpack(node: Any, world: World) -> Step:
    inputs, outputs = _numbers(node)

    def step(values: Values) -> None:
        found = values[inputs[0]]
        if len(found) != len(outputs):
            raise RuntimeError(f"Provided list of length {len(found)} where {len(outputs)} are expected")
        values.update(zip(outputs, found))

    return step


def _dict(node: Any, world: World) -> Step:
    return _one(node, lambda arguments: dict(zip(arguments[::2], arguments[1::2])))


def _raise(node: Any, world: World) -> Step:
    def compute(arguments: list[Any]) -> Any:
        raise operations.raised(str(arguments[0]), arguments[1] if len(arguments) > 1 else None)

    return _one(node, compute)


def _is_property(node: Any, kind: str) -> bool:
    namespace, _, name = kind.rpartition("::")
    return namespace == "prim" and node.inputsSize() == 1 and hasattr(torch.Tensor, name)


def _property(node: Any, world: World) -> Step:
    """``prim::dtype`` and its like: what a tensor says of itself, with TorchScript's numbers for dtypes."""
    name = node.kind().rpartition("::")[2]

    def compute(arguments: list[Any]) -> Any:
        found = getattr(arguments[0], name)
        return operations.DTYPE_NUMBERS[found] if isinstance(found, torch.dtype) else found

    return _one(node, compute)


def _same(node: Any, world: World) -> Step:
    return _one(node, lambda arguments: arguments[0])


def _nothing(node: Any, world: World) -> Step:
    return _one(node, lambda arguments: None)


_SPECIAL: dict[str, Callable[[Any, World], Step]] = {
    "prim::Constant": _constant,
    "prim::GetAttr": _attribute,
    "prim::SetAttr": _assignment,
    "prim::CallMethod": _method,
    "prim::CallFunction": _function,
    "prim::If": _if,
    "prim::Loop": _loop,
    "prim::ListConstruct": lambda node, world: _one(node, list),
    "prim::TupleConstruct": lambda node, world: _one(node, tuple),
    "prim::DictConstruct": _dict,
    "prim::ListUnpack": _unpack,
    "prim::TupleUnpack": _unpack,
    "prim::TupleIndex": lambda node, world: _one(node, lambda arguments: arguments[0][arguments[1]]),
    "prim::RaiseException": _raise,
    "prim::Uninitialized": _nothing,
    "prim::Print": _nothing,
    "prim::NumToTensor": _same,
    "prim::unchecked_cast": _same,
    "prim::unchecked_unwrap_optional": _same,
    "prim::data": _same,
}
