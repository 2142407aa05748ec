"""Whether the class may run on a way that its probe does not go: trained, or with a layer that a method puts in later.

What fails on the way of the probe is then no error of the author's.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator

from torch import nn

from ts_shape_server.agent.infer.facts.source import function_tree
from ts_shape_server.agent.infer.guesses import values
from ts_shape_server.agent.infer.tell.reasons.unsolved import Unfound

_REGISTERING = ("setattr", "__setattr__", "add_module", "register_module")


def may_run(unfound: Unfound, inputs: values.Inputs, *layers: str) -> bool:
    """Whether `inputs` run while the module is trained, or one of `layers` (dotted names) may be another one later."""
    replaced = set(_set_later(unfound.session.cls))
    if "" in replaced or any(layer.split(".")[0] in replaced for layer in layers if layer):
        return True
    return unfound.session.in_training(inputs).ok


def _set_later(cls: type) -> Iterator[str]:
    """The attributes that methods set which the constructor does not call; empty text where any may be."""
    trees = {
        name: tree
        for base in reversed(inspect.getmro(cls))
        if issubclass(base, nn.Module) and not base.__module__.startswith("torch.")
        for name, function in vars(base).items()
        if inspect.isfunction(function) and (tree := function_tree(function)) is not None
    }
    built, waiting = set(), ["__init__"]
    while waiting:
        name = waiting.pop()
        if name in trees and name not in built:
            built.add(name)
            waiting += [node.attr for node in ast.walk(trees[name]) if isinstance(node, ast.Attribute)]
    for name, tree in trees.items():
        if name not in built and tree.args.args:
            yield from _set_in(tree, tree.args.args[0].arg)


def _set_in(tree: ast.FunctionDef, owner: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, (ast.Store, ast.Del)):
            if isinstance(node.value, ast.Name) and node.value.id == owner:
                yield node.attr
        elif isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            held = [function.value] if isinstance(function, ast.Attribute) else []
            if name in _REGISTERING and any(
                isinstance(item, ast.Name) and item.id == owner for item in (*held, *node.args[:1])
            ):
                yield ""
