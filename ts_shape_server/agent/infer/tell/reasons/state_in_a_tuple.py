"""A recurrent layer that has one state, a `GRU` or an `RNN`, gets a tuple of two, as an `LSTM` does."""

from __future__ import annotations

from typing import Any

from torch import nn

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.infer.running import mismatch
from ts_shape_server.agent.infer.tell.reasons.one_form import are_all_tensors
from ts_shape_server.agent.infer.tell.reasons.other_ways import may_run
from ts_shape_server.agent.infer.tell.reasons.unsolved import Unfound, Unsolved, unsolved


def reason(unfound: Unfound) -> Unsolved | None:
    layer = _layer(unfound) if unfound.certain else ""
    if not layer or may_run(unfound, unfound.result.inputs, layer):
        return None
    kind = type(unfound.session.module.get_submodule(layer)).__name__
    is_one = f"`{layer}` is a `{kind}`, whose state is one Tensor, and gets a tuple, as an `LSTM` does"
    return unsolved(
        unfound.context,
        unfound.error,
        "shape-mismatch",
        "state-in-a-tuple",
        f"{is_one}: no input can make it run.",
        status="failed",
        place=unfound.place(layer),
        facts={"layer": layer, "type": kind},
    )


def _layer(unfound: Unfound) -> str:
    """The layer that failed for it; empty where that is not what failed."""
    if not are_all_tensors(unfound) or "tensor-needed" not in torch_says.read(unfound.error):
        return ""
    module = unfound.session.module
    states: dict[int, bool] = {}

    def look(layer: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        state = keywords.get("hx", arguments[1] if len(arguments) > 1 else None)
        states[id(layer)] = isinstance(state, tuple)

    layers = [item for item in module.modules() if isinstance(item, (nn.GRU, nn.RNN))]
    handles = [item.register_forward_pre_hook(look, with_kwargs=True) for item in layers]
    watched = mismatch.FailingLayer(module)
    try:
        unfound.session.concrete(unfound.result.inputs, [watched])
    finally:
        for handle in handles:
            handle.remove()
    name = watched.entered[-1] if watched.entered else ""
    return name if name and states.get(id(module.get_submodule(name))) else ""
