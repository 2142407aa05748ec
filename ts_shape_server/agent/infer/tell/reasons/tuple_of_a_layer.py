"""A recurrent layer's result, a tuple of its output and its state, goes as it is into a layer that takes one tensor.

``nn.Sequential(nn.LSTM(10, 20), nn.Linear(20, 2))``: whatever goes in, the second layer gets the tuple.
"""

from __future__ import annotations

from torch import nn

from ts_shape_server.agent import torch_says
from ts_shape_server.agent.infer.running import mismatch
from ts_shape_server.agent.infer.tell import remedies
from ts_shape_server.agent.infer.tell.reasons.one_form import are_all_tensors
from ts_shape_server.agent.infer.tell.reasons.other_ways import may_run
from ts_shape_server.agent.infer.tell.reasons.unsolved import Unfound, Unsolved, unsolved

_GIVE_TUPLES = (nn.RNNBase, nn.MultiheadAttention, nn.LSTMCell)


def reason(unfound: Unfound) -> Unsolved | None:
    if not unfound.certain or not are_all_tensors(unfound) or "tensor-needed" not in torch_says.read(unfound.error):
        return None
    module = unfound.session.module
    watched = mismatch.FailingLayer(module)
    unfound.session.concrete(unfound.result.inputs, [watched])
    if not watched.entered or not watched.finished:
        return None
    layer, (producer, given) = watched.entered[-1], watched.finished[-1]
    passed_on = isinstance(module.get_submodule(producer), _GIVE_TUPLES) and watched.taken.get(layer) == given
    if not passed_on or len(given) < 2 or may_run(unfound, unfound.result.inputs, layer, producer):
        return None
    gives, takes = remedies.named(producer, module), remedies.named(layer, module)
    return unsolved(
        unfound.context,
        unfound.error,
        "shape-mismatch",
        "tuple-of-a-layer",
        f"{gives} gives a tuple, its output and its state, and {takes} takes one Tensor: no input can make it run. "
        "Pass only the first of the two on.",
        status="failed",
        place=unfound.place(layer),
        facts={"layer": layer, "producer": producer},
    )
