"""Rebuilds a run from the JSON contract: the module from `init`, its inputs from `example` or `second`.

This is the one way from a report back to tensors; inference, TorchScript, export and verification all use it, so that
what is shown is what was run. It knows the contract's spelling of values and nothing of how they were found.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import math
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ts_shape_server.agent import absent, torch_state  # noqa: F401  # what an interruption leaves changed is put back
from ts_shape_server.agent.accepted import further
from ts_shape_server.contract.report import Report

SEED = 0

_INTEGER = {"uint8", "int8", "int16", "int32", "int64"}


@dataclass(frozen=True)
class Run:
    """A class with the constructor arguments and inputs for which it is known to run.

    `second` holds inputs of another allowed size, None where the size is fixed. `dtype`, such as ``float16``, is that
    of all floating weights and inputs; empty where each has its own. `others` are inputs of other types that the
    workspace passes and that run. `sizes` are inputs of further sizes that the claim accepts and that nobody has run.
    """

    cls: type[nn.Module]
    namespace: Mapping[str, Any]
    init: Mapping[str, str]
    example: Mapping[str, Any]
    second: Mapping[str, Any] | None
    dtype: str = ""
    others: tuple[Mapping[str, Any], ...] = ()
    sizes: tuple[Mapping[str, Any], ...] = ()

    def build(self) -> nn.Module:
        """A fresh instance on the CPU, in `eval` mode, with the same weights each time.

        Raises what the constructor raises.
        """
        seed()
        module = in_eval(build(self.cls, self.init, self.namespace))
        if any(nn.parameter.is_lazy(item) for item in module.parameters()):
            # Lazy layers get their sizes from the first input.
            self.call(module)
        return module.to(getattr(torch, self.dtype)) if self.dtype else module

    def inputs(self, second: bool = False, draw: int = 0) -> dict[str, Any]:
        """Fresh tensors by parameter name, for each draw the same values each time. ValueError if there is no second
        size.
        """
        chosen = self.second if second else self.example
        if chosen is None:
            raise ValueError("the input has one size only")
        seed(draw)
        found = {name: value(item, self.namespace, draw) for name, item in chosen.items()}
        return {name: _cast(item, getattr(torch, self.dtype)) for name, item in found.items()} if self.dtype else found

    def call(self, module: Any, second: bool = False) -> Any:
        """`module` on the inputs, without gradients."""
        arguments, keywords = self.arguments(second)
        with torch.no_grad():
            return module(*arguments, **keywords)

    def arguments(self, second: bool = False, draw: int = 0) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The inputs as a call of `forward` takes them: by position as far as its signature allows."""
        return positional(self.cls, self.inputs(second, draw))


def from_report(cls: type[nn.Module], namespace: Mapping[str, Any], report: Report) -> Run:
    """The run that `report` describes."""
    init = {name: item.expression for name, item in report.init}
    return Run(cls, namespace, init, report.example, report.second, others=report.others, sizes=further(report))


def build(cls: type[nn.Module], init: Mapping[str, str], namespace: Mapping[str, Any]) -> nn.Module:
    """`cls` called with the expressions of `init`. A name that starts with ``*`` is spread into the positions."""
    with absent.building(cls):
        return _built(cls, init, namespace)


def _built(cls: type[nn.Module], init: Mapping[str, str], namespace: Mapping[str, Any]) -> nn.Module:
    arguments: list[Any] = []
    keywords: dict[str, Any] = {}
    for name, expression in init.items():
        evaluated = evaluate(expression, namespace)
        if name.startswith("**"):
            keywords.update(evaluated)
        elif name.startswith("*"):
            arguments.extend(evaluated)
        else:
            keywords[name] = evaluated
    if arguments:
        named = [
            parameter.name
            for parameter in inspect.signature(cls.__init__).parameters.values()
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.name in keywords
        ]
        arguments = [*(keywords.pop(name) for name in named), *arguments]
    return cls(*arguments, **keywords)


def in_eval(module: nn.Module) -> nn.Module:
    """The module itself, in `eval` mode. What that method gives back is up to a `train` that the author overrides, and
    one that trains instead, as `train(self, positive, negative)` does, fails here: the mode is then set beside it.
    """
    try:
        module.eval()
    except Exception:
        for part in module.modules():
            part.training = False
    return module


def evaluate(expression: str, namespace: Mapping[str, Any]) -> Any:
    """The value of a Python expression in the module's namespace, with `torch` and `nn` at hand."""
    return eval(expression, {"torch": torch, "nn": nn, **namespace})


def value(item: Any, namespace: Mapping[str, Any], draw: int = 0) -> Any:
    """A fresh value from the contract's nested form; ValueError for a form that is none. `tensor` uses `draw`."""
    if not isinstance(item, Mapping) or not item:
        raise ValueError(f"not a value of the contract: {item!r}")
    if "tensor" in item:
        return tensor(item, draw)
    if "list" in item:
        return [value(element, namespace, draw) for element in item["list"]]
    if "tuple" in item:
        return tuple(value(element, namespace, draw) for element in item["tuple"])
    if "dict" in item:
        return {key: value(element, namespace, draw) for key, element in item["dict"].items()}
    if "make" in item:
        fields = {key: value(element, namespace, draw) for key, element in (item.get("fields") or {}).items()}
        return evaluate(item["make"], namespace)(**fields)
    if "expr" in item:
        return evaluate(item["expr"], namespace)
    raise ValueError(f"not a value of the contract: {item!r}")


def tensor(item: Mapping[str, Any], draw: int = 0) -> torch.Tensor:
    """Random values of the given dims and dtype; integers lie in ``low`` … ``high`` (inclusive, 0 … 1 if absent).

    Flags are all true in the first draw and mixed in the others. Of integers the first draw has the largest value in
    the first place and the least in the last.
    """
    dims = item["tensor"]
    name = item.get("dtype", "float32")
    dtype = getattr(torch, name)
    if dtype is torch.bool:
        return _mixed(dims) if draw else torch.ones(dims, dtype=torch.bool)
    if name in _INTEGER:
        low, high = item.get("low", 0), item.get("high", 1)
        drawn = torch.randint(low, high + 1, dims, dtype=dtype)
        if not draw and drawn.numel() > 1:
            drawn.view(-1)[0], drawn.view(-1)[-1] = high, low
        return drawn
    return torch.randn(dims, dtype=dtype)


def _mixed(dims: Sequence[int]) -> torch.Tensor:
    """Flags of which half are true, in every row as many as in the others and one at least: what a mask selects can
    be laid out in rows, and none of them is empty.
    """
    width = dims[-1] if dims and dims[-1] > 1 else math.prod(dims)
    return (torch.rand(dims).reshape(-1, max(width, 1)).argsort(-1) < (width + 1) // 2).reshape(dims)


def positional(cls: type[nn.Module], inputs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Split values by parameter name into the positional and keyword arguments of `cls.forward`."""
    remaining = dict(inputs)
    arguments: list[Any] = []
    try:
        parameters = list(forward_signature(cls).parameters.values())
    except (TypeError, ValueError):
        return tuple(remaining.values()), {}
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            arguments.extend(remaining.pop("*" + parameter.name, ()))
        elif parameter.kind is parameter.KEYWORD_ONLY or parameter.name not in remaining:
            break
        else:
            arguments.append(remaining.pop(parameter.name))
    for parameter in parameters:
        if parameter.kind is parameter.VAR_KEYWORD:
            remaining.update(remaining.pop("**" + parameter.name, {}))
    for name in [item for item in remaining if item.startswith("*")]:
        # The inputs were found when stars took them; the signature names them now.
        spread = remaining.pop(name)
        if name.startswith("**"):
            remaining.update(spread)
        else:
            arguments.extend(spread)
    return tuple(arguments), remaining


def forward_signature(cls: type) -> inspect.Signature:
    """What a call of an instance of `cls` takes: that of `forward` without the parameter for the instance, which a
    static `forward` does not have. Raises `TypeError` or `ValueError` where there is none.
    """
    signature = inspect.signature(cls.forward)  # type: ignore[attr-defined]  # only modules come here
    if isinstance(inspect.getattr_static(cls, "forward", None), (staticmethod, classmethod)):
        return signature
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def _cast(item: Any, dtype: torch.dtype) -> Any:
    """The value with its floating tensors in `dtype`."""
    if isinstance(item, torch.Tensor):
        return item.to(dtype) if item.is_floating_point() else item
    if type(item) in (list, tuple):
        return type(item)(_cast(element, dtype) for element in item)
    if isinstance(item, dict):
        return {key: _cast(element, dtype) for key, element in item.items()}
    return item


def seed(draw: int = 0) -> None:
    """Make everything random that follows the same each time, for each draw."""
    random.seed(SEED + draw)
    torch.manual_seed(SEED + draw)
    if "numpy" in sys.modules:
        # Numpy loads its generators when somebody first draws: those of a first run would follow nothing.
        with contextlib.suppress(Exception):
            importlib.import_module("numpy.random").seed(SEED + draw)
