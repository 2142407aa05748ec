"""torch itself: what compiles is taken as it is, and `torch.hub` runs the code that is on this machine.

A compiled function gives what the function gives; compiling would start processes, and takes minutes. Masks of
attention are rows of flags, and what an `autograd.Function` keeps as an attribute of its context is a number.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any

from ts_shape_server.agent.ecosystem import Asked, checkpoints
from ts_shape_server.agent.infer.facts.source import function_tree
from ts_shape_server.agent.infer.guesses.values import ConstantGuess, Guess, SequenceGuess, TensorGuess


def _uncompiled(module: Any) -> None:
    def compile(model: Any = None, *_: Any, **__: Any) -> Any:
        return model if model is not None else lambda function: function

    def compile_module(self: Any, *_: Any, **__: Any) -> None:
        return None

    if hasattr(module, "compile"):
        module.compile = compile
        module.nn.Module.compile = compile_module


def _hub(module: Any) -> None:
    usual = module.load

    def load(repo_or_dir: Any, model: str, *arguments: Any, source: str = "github", **keywords: Any) -> Any:
        if source == "local" or os.path.isdir(repo_or_dir):
            keywords = {key: value for key, value in keywords.items() if key not in _LOADING}
            return usual(repo_or_dir, model, *arguments, source="local", **keywords)
        kept = {key: value for key, value in keywords.items() if key not in _LOADING}
        owner, _, rest = str(repo_or_dir).partition("/")
        name, _, reference = rest.partition(":")
        folder = _cached(module, f"{owner}_{name}_", reference.replace("/", "_"))
        if folder is not None:
            return module._load_local(folder, model, *arguments, **kept)
        if (owner, name) == ("pytorch", "vision"):
            return getattr(importlib.import_module("torchvision.models"), model)(*arguments, **kept)
        raise checkpoints.NotHere(
            f"`{repo_or_dir}` is code that `torch.hub` would download: name its folder in the setting `readable`, or "
            "clone it"
        )

    module.load = load


_LOADING = frozenset({"trust_repo", "force_reload", "verbose", "skip_validation"})


def _cached(module: Any, beginning: str, reference: str) -> str | None:
    """The folder of a repository in the cache: of that reference, or the first one."""
    try:
        found = [name for name in sorted(os.listdir(module.get_dir())) if name.startswith(beginning)]
    except OSError:
        return None
    chosen = [name for name in found if not reference or name == beginning + reference]
    places = [os.path.join(module.get_dir(), name) for name in chosen]
    return next((place for place in places if os.access(os.path.join(place, "hubconf.py"), os.R_OK)), None)


_OF_ATTENTION = frozenset(
    (
        *("MultiheadAttention", "Transformer", "TransformerEncoder", "TransformerDecoder"),
        *("TransformerEncoderLayer", "TransformerDecoderLayer"),
    )
)


_OF_SEQUENCES = frozenset(("nested_tensor", "as_nested_tensor", "pad_sequence", "pack_sequence"))
"""Functions that take sequences of other lengths each."""
LENGTHS, WIDTH = (5, 3), 16


def container(asked: Asked, namespace: Mapping[str, Any]) -> Guess | None:
    """A mask of attention, `(L, S)` or `(B, S)`, the number that scales a gradient, sequences that are put together."""
    for item in asked.passed:
        if getattr(item.target, "__name__", "") in _OF_SEQUENCES and item.parameter in ("tensor_list", "sequences"):
            return SequenceGuess(tuple(TensorGuess((length, WIDTH), axes=("L", None)) for length in LENGTHS), "list")
        kinds = {base.__name__ for base in type(item.target).__mro__ if base.__module__.startswith("torch.nn.")}
        if kinds & _OF_ATTENTION and item.parameter.endswith("mask"):
            return TensorGuess((2, 8), "bool", axes=(None, None))
        if inspect.isclass(item.target) and _is_kept(item.target, item.parameter):
            return ConstantGuess("0.5", "float")
    return None


def _is_kept(function: Any, parameter: str) -> bool:
    """Whether an `autograd.Function` does nothing with an argument but keep it as an attribute of its context, as it
    may not do with tensors.
    """
    methods = [function_tree(vars(function).get(name)) for name in ("forward", "setup_context")]
    trees = [tree for tree in methods if tree is not None]
    read = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == parameter]
    kept = [
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and all(isinstance(target, ast.Attribute) for target in node.targets)
    ]
    loads = [node for node in read if isinstance(node.ctx, ast.Load)]
    return bool(loads) and all(node in kept for node in loads)


ADAPTED: Mapping[str, Callable[[Any], None]] = {"torch": _uncompiled}
WATCHED: Mapping[str, Callable[[Any], None]] = {"torch.hub": _hub}
