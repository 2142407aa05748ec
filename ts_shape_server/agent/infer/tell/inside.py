"""What a run showed of the inside, as the contract tells it: layers and variables, with their lines.

Decides nothing, runs nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from ts_shape_server.agent.infer.facts.source import function_tree
from ts_shape_server.agent.infer.running.memory import parameter_counts
from ts_shape_server.agent.infer.running.recording import LayerCall, Local
from ts_shape_server.agent.infer.tell.specs import spec_of
from ts_shape_server.contract.report import Layer, Variable


def layers(calls: Sequence[LayerCall], lines: Mapping[str, int]) -> tuple[Layer, ...]:
    """The first call of each submodule."""
    found: dict[str, Layer] = {}
    for call in calls:
        if call.name not in found:
            found[call.name] = Layer(
                call.name,
                type(call.module).__name__,
                lines.get(call.name.split(".")[0]) if "." not in call.name else None,
                tuple(tuple(item.sizes) for item in call.inputs),
                tuple(tuple(item.sizes) for item in call.outputs),
                parameter_counts(call.module)[0],
            )
    return tuple(found.values())


def variables(locals_: Sequence[Local]) -> tuple[Variable, ...]:
    """Locals that hold tensors, in the order of their lines."""
    result: list[Variable] = []
    for item in sorted(locals_, key=lambda item: item.line):
        told = Variable(item.name, item.line, spec_of(item.value))
        if "Tensor" in told.value.type and told not in result:
            result.append(told)
    return tuple(result)


def layer_lines(cls: type) -> dict[str, int]:
    """Where the constructor assigns each attribute."""
    tree = function_tree(cls.__init__)  # type: ignore[misc]  # read, not called
    found: dict[str, int] = {}
    for node in ast.walk(tree) if tree is not None else ():
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
                found.setdefault(target.attr, target.lineno)
    return found
