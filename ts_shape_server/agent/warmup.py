"""Loads and exercises, before the first fork, what each child will use. Runs on fake and meta tensors only."""

from __future__ import annotations

import torch
from torch import nn


def warm() -> bool:
    """Whether symbolic sizes work on this torch."""
    torch.set_num_threads(1)
    # A child may not read the folder of the agent: what it may import late has to be loaded before.
    from ts_shape_server.agent import devices, runs, script  # noqa: F401  # each child finds it loaded
    from ts_shape_server.agent.infer import pipeline, solve  # noqa: F401  # each child finds it loaded
    from ts_shape_server.agent.infer.guesses import values  # each child finds it loaded
    from ts_shape_server.agent.infer.running import symbolic  # each child finds it loaded
    from ts_shape_server.agent.infer.running.session import Session

    works = solve.warm()
    if works:
        mode = symbolic.new_mode()
        with mode:
            net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(1)).eval()
        session = Session(nn.Sequential, {}, mode, net, nn.Identity)
        guess = (values.InputGuess("input", values.TensorGuess((2, 3, 16, 16))),)
        session.concrete(guess)
        session.symbolic(guess)
    script.warm_up()
    runs.seed()
    return works
