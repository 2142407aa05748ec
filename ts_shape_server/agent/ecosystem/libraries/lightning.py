"""Lightning: a module without a trainer runs, is scripted and is traced as its own `to_torchscript` does it.

`self.trainer` is None then, where it would raise, and `self.log` does nothing. A module without `forward` is described
by what its `training_step` takes. The arguments that `LightningCLI` gives a module are those of the configuration file
beside it.
"""

from __future__ import annotations

import ast
import importlib
import os
from collections.abc import Callable, Mapping
from typing import Any

from ts_shape_server.agent.ecosystem import Asked
from ts_shape_server.agent.infer.facts.source import function_tree
from ts_shape_server.agent.infer.guesses.first_tensors import BATCH, named_tensor
from ts_shape_server.agent.infer.guesses.values import ConstantGuess, Guess, SequenceGuess, TensorGuess


def _module(module: Any) -> None:
    base = module.LightningModule
    missing = base.forward

    def __init_subclass__(cls: Any, /, **keywords: Any) -> None:
        super(base, cls).__init_subclass__(**keywords)
        if cls.forward is missing and cls.training_step is not base.training_step:
            cls.forward = cls.training_step

    if "__init_subclass__" not in vars(base):
        base.__init_subclass__ = classmethod(__init_subclass__)
    if hasattr(module.LightningModule, "_jit_is_scripting"):
        module.LightningModule._jit_is_scripting = True


LARGEST = 1 << 18
"""Bytes of a configuration file."""
_PLAIN = (bool, int, float, str)


def configured(parameter: Any, cls: type, namespace: Mapping[str, Any]) -> tuple[str, str] | None:
    """What a configuration file says of an argument, where the file of the class has a `LightningCLI`."""
    if not any(getattr(value, "__name__", "") == "LightningCLI" for value in namespace.values()):
        return None
    for file, model in _models(os.path.dirname(str(namespace.get("__file__", "")))):
        named = model.get("class_path")
        arguments = model.get("init_args") if named is not None else model
        ours = named is None or str(named).rpartition(".")[2] == cls.__name__
        if ours and isinstance(arguments, Mapping) and parameter.name in arguments:
            value = arguments[parameter.name]
            items = value if isinstance(value, list) else [value]
            return (repr(value), file) if all(isinstance(item, _PLAIN) for item in items) else None
    return None


def _models(folder: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The parts called ``model`` of the YAML files in a folder, with the names of the files."""
    yaml = importlib.import_module("yaml")
    found: list[tuple[str, Mapping[str, Any]]] = []
    for name in sorted(os.listdir(folder or ".")):
        path = os.path.join(folder, name)
        if not name.endswith((".yaml", ".yml")) or os.path.getsize(path) > LARGEST:
            continue
        try:
            with open(path, encoding="utf-8") as file:
                read = yaml.safe_load(file)
        except (OSError, ValueError, yaml.YAMLError):
            continue
        model = read.get("model") if isinstance(read, Mapping) else None
        found += [(name, model)] if isinstance(model, Mapping) else []
    return found


_NUMBERS = frozenset({"batch_idx", "batch_nb", "dataloader_idx", "optimizer_idx"})


def container(asked: Asked, namespace: Mapping[str, Any]) -> Guess | None:
    """What the trainer passes: numbers beside a batch, and a batch with labels that nothing looks at."""
    if not any(base.__name__ == "LightningModule" for base in type(asked.module).__mro__):
        return None
    if asked.name in _NUMBERS:
        return ConstantGuess("0", "int")
    return _with_labels(type(asked.module).forward, asked.name)


def _with_labels(forward: Any, name: str) -> Guess | None:
    """A batch whose labels nothing looks at, as in ``x, _ = batch``: there is one for each row."""
    tree = function_tree(forward)
    for node in ast.walk(tree) if tree is not None else ():
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Name) or node.value.id != name:
            continue
        target = node.targets[0]
        if not isinstance(target, ast.Tuple):
            continue
        names = [item.id if isinstance(item, ast.Name) else "" for item in target.elts]
        if names[-1] != "_" or not all(names) or "_" in names[:-1]:
            return None
        labels = TensorGuess((BATCH,), "int64", axes=("B",))
        return SequenceGuess((*map(named_tensor, names[:-1]), labels), "tuple")
    return None


ADAPTED: Mapping[str, Callable[[Any], None]] = {
    "pytorch_lightning.core.module": _module,
    "lightning.pytorch.core.module": _module,
}
