"""What a run showed of the inside, as the contract tells it: layers and variables, with their lines.

Decides nothing, runs nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from ts_shape_server.agent.infer.facts.source import function_tree
from ts_shape_server.agent.infer.running.memory import parameter_counts
from ts_shape_server.agent.infer.running.recording import LayerCall, Local, Shape
from ts_shape_server.agent.infer.tell.specs import spec_of
from ts_shape_server.contract.report import Layer, Variable, Visit

_MOST_VISITS = 16


def layers(calls: Sequence[LayerCall], lines: Mapping[str, int]) -> tuple[Layer, ...]:
    """Each submodule with its first call, and with all that the code of the class makes itself."""
    visits: dict[str, dict[Visit, None]] = {}
    for call in calls:
        seen = visits.setdefault(call.name, {})
        if call.line is not None and len(seen) < _MOST_VISITS:
            seen[Visit(call.line, _dims(call.inputs), _dims(call.outputs))] = None
    found: dict[str, Layer] = {}
    for call in calls:
        if call.name not in found:
            found[call.name] = Layer(
                call.name,
                type(call.module).__name__,
                lines.get(call.name.split(".")[0]) if "." not in call.name else None,
                _dims(call.inputs),
                _dims(call.outputs),
                parameter_counts(call.module)[0],
                tuple(visits[call.name]),
            )
    return tuple(found.values())


def _dims(shapes: Sequence[Shape]) -> tuple[tuple[Any, ...], ...]:
    return tuple(tuple(item.sizes) for item in shapes)


def variables(locals_: Sequence[Local]) -> tuple[Variable, ...]:
    """Locals that hold tensors, in the order of their lines."""
    ordered = sorted(locals_, key=lambda item: item.line)
    told = (Variable(item.name, item.line, spec_of(item.value)) for item in ordered)
    return tuple(dict.fromkeys(item for item in told if "Tensor" in item.value.type))


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
